"""Topics that hold what was found, and when Kafka lets go of it: they are not Headrace's to change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from headrace.connections import Broker
from headrace.erasure.find import Found
from headrace.ingest.source import TIMEOUT_S, client_settings, topic_settings


@dataclass(frozen=True)
class Kept:
    """How long Kafka keeps a topic's records."""

    compacted: bool
    retention: timedelta | None
    """None: for ever, by time."""


def kept_in(broker: Broker, topic: str) -> Kept | None:
    """What the broker says of a topic, or None where it does not answer or knows no such topic."""
    settings = topic_settings(broker, topic)
    if settings is None:
        return None
    policy, kept = settings["cleanup.policy"], int(settings["retention.ms"])
    by_time = "delete" in policy and kept >= 0
    return Kept("compact" in policy, timedelta(milliseconds=kept) if by_time else None)


def left_in_topics(found: Found, broker: Broker) -> Iterator[str]:
    """A sentence for each topic from which records of the person were read."""
    newest: dict[str, datetime | None] = {}
    for table in found.tables:
        scanned = found.scans.get(table.name)
        if scanned is not None and scanned.found:
            newest.setdefault(table.stream.topic, scanned.newest)
    for topic, last in sorted(newest.items()):
        yield f"topic {topic} holds the records themselves: {_until(kept_in(broker, topic), last)}"


def left_in_predictions(topic: str, broker: Broker) -> str:
    """A sentence for the topic to which predictions were published."""
    return f"topic {topic} holds the predictions that were published: {_until(kept_in(broker, topic), None)}"


def tombstone(broker: Broker, topic: str, keys: Iterable[str]) -> int:
    """Send a record without a value for each key, with which compaction removes what was sent before; how many."""
    from confluent_kafka import Producer

    producer, failed, sent = Producer(client_settings(broker.bootstrap, broker.options)), list[object](), 0
    for key in sorted(keys):
        producer.produce(
            topic, key=key, value=None, on_delivery=lambda error, _: failed.append(error) if error else None
        )
        sent += 1
    left = producer.flush(TIMEOUT_S)
    return sent - left - len(failed)


def _until(kept: Kept | None, last: datetime | None) -> str:
    if kept is None:
        return "the broker does not say for how long"
    if kept.compacted:
        return "it is compacted, so a record stays until its producer sends a newer one with its key, or none"
    if kept.retention is None:
        return "it keeps them for ever (retention.ms -1)"
    said = f"it keeps records for {_in_words(kept.retention)}"
    if last is None:
        return said
    gone = last + kept.retention
    if gone <= datetime.now(UTC):
        return f"{said}, so they are gone or go with its next check"
    return f"{said}, so the last of them goes after {gone:%Y-%m-%d %H:%M} UTC"


def _in_words(length: timedelta) -> str:
    return f"{length.days} days" if length >= timedelta(days=2) else f"{length / timedelta(hours=1):.0f} hours"
