"""Up to where a table holds its topic, as the table's own commits tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headrace.lake.log import LogEntry, offsets, standing

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

POSITIONS = ("batch", "resume", "loss")
"""Kinds of commits that fix a position: a micro-batch; a checkpoint rebuilt from the table; a loss that was accepted."""


@dataclass(frozen=True)
class Position:
    """What the last such commit says: every record of ``topic`` before ``until`` is in the table (or lost by acceptance)."""

    query: str
    batch: int
    topic: str
    topic_id: str | None
    """Kafka's own id of the topic, which a topic made anew under the same name does not have."""
    until: dict[int, int]

    def metadata(self, kind: str, *, stream: str, **more: Any) -> dict[str, Any]:
        """The commit's ``userMetadata`` from which :func:`table_position` reads this position."""
        return {
            "headrace": kind, "stream": stream, "query": self.query, "batch": self.batch, "topic": self.topic,
            "topic_id": self.topic_id, "until": self.until, **more,
        }  # fmt: skip


def table_position(spark: SparkSession, table: str) -> Position | None:
    """The table's position, or None where no commit that its log still holds fixes one.

    A table that was restored to an older version (``RESTORE``) is where it was then.
    """
    entry = last_fixing(spark, table)
    return _position(entry.metadata) if entry else None


def last_fixing(spark: SparkSession, table: str) -> LogEntry | None:
    """The commit that fixes it."""
    return next((entry for entry in standing(spark, table) if entry.metadata.get("headrace") in POSITIONS), None)


def _position(told: Mapping[str, Any]) -> Position:
    return Position(told["query"], int(told["batch"]), told["topic"], told.get("topic_id"), offsets(told["until"]))
