"""``headrace feed``: the events of a source into its topics."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import datetime

from headrace.feed.produce import Produced, produce
from headrace.feed.source import Source
from headrace.feed.topics import open_topics, refuse_if_fed


def feed(
    source: Source,
    *,
    bootstrap: str,
    speed: float = 0.0,
    rate: float = 0.0,
    kafka_options: Mapping[str, str] | None = None,
    progress: Callable[[int, int, datetime], None] | None = None,
    stop: threading.Event | None = None,
    again: bool = False,
) -> Produced:
    """Send the source's records and say what Kafka acknowledged.

    ``speed``: N is N times real time; ``rate``: N records a second; without both as fast as it goes. ``progress`` gets
    records acknowledged, records in all, event time. ``stop``, or Ctrl-C, ends it cleanly after what is queued:
    ``Produced.complete`` is False then.

    Absent topics are created (2 partitions, nothing ever expires). Raises HeadraceError if (unless ``again``) the topics
    hold records of this range already, and BrokerError if Kafka doesn't answer or loses a record.
    """
    options = dict(kafka_options or {})
    present = open_topics(source.topics, bootstrap=bootstrap, kafka_options=options)
    if not again:
        refuse_if_fed(present, first=source.begins, after=source.ends, bootstrap=bootstrap, kafka_options=options)
    produced = produce(
        source.records(),
        size=source.size,
        held_back=source.held_back,
        bootstrap=bootstrap,
        speed=speed,
        rate=rate,
        kafka_options=options,
        progress=progress,
        stop=stop,
    )
    source.sent(produced)
    return produced
