"""Topics that hold what was found, and when Kafka lets go of it: they are not Headrace's to change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from headrace.connections import Broker
from headrace.erasure.find import Found
from headrace.errors import BrokerError
from headrace.ingest.refusals import refusal
from headrace.ingest.source import topic_settings
from headrace.serving.deliver import deliver

_AS_PUBLISHED = {"partitioner": "murmur2_random"}
"""Compaction looks at one partition: a tombstone must go where Spark's Java client has put the prediction with its key."""


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


def left_in_predictions(topic: str, kept: Kept | None) -> str:
    """A sentence for the topic to which predictions were published; ``kept``: what the broker says of it."""
    if kept is None:
        return (
            f"topic {topic} holds the predictions that were published: the broker does not say for how long, nor whether it is "
            "compacted, so it gets no tombstones"
        )
    if kept.compacted:
        return (
            f"topic {topic} is compacted: the first compaction after an erasure's tombstones removes what was published"
        )
    return f"topic {topic} holds the predictions that were published: {_until(kept, None)}"


def tombstone(broker: Broker, topic: str, keys: Iterable[str]) -> int:
    """Send a record without a value for each key, with which compaction removes what was sent before; how many.

    Raises BrokerError where one was not delivered.
    """
    wanted = sorted(keys)
    arrived, why = deliver(broker, topic, ((key, None) for key in wanted), settings=_AS_PUBLISHED)
    if why is not None:
        raise BrokerError(
            f"topic {topic!r} did not take {arrived.count(False)} of {len(wanted)} tombstones "
            f"({refusal(why, topic=topic) or why}), so the erasure is not finished; mend that, then run the same command again"
        )
    return len(wanted)


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
