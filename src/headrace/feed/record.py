"""One record on its way to Kafka."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple


class Record(NamedTuple):
    """What Kafka is given; a ``value`` of None is a tombstone.

    ``sent_at`` is in ms since 1970 UTC: the record's timestamp, and when it could be known.
    A tuple rather than a dataclass: a year of flights is a million of them.
    """

    topic: str
    key: bytes
    value: bytes | None
    sent_at: int
    headers: list[tuple[str, str | bytes | None]]


def instant(sent_at: int) -> datetime:
    """The UTC time of ``sent_at`` (ms since 1970)."""
    return datetime.fromtimestamp(sent_at / 1000, tz=UTC)
