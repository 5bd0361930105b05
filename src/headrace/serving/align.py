"""Time aligned: a request for time T is ready once the streams that feed its features are ingested up to T.

Two proofs, either is enough, for each feature stream:

- **watermark**: every partition of the stream has been ingested beyond T (its newest accepted ``known_at`` is later than T);
- **fence**: when the request had been read from Kafka, the stream's topic ended at some offsets; ingest has committed up to
  them, so everything that was sent before the request is in the table. This one needs no newer event, so a quiet stream
  (weather, once an hour) holds nobody up.

Both are read from the table's commits: offsets from their metadata, event times from the files' statistics.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from headrace.lake.log import LogEntry, reached, read_log

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Fence = Mapping[str, Mapping[int, int]]
"""Stream to partition to end offset."""


@dataclass
class StreamProgress:
    """How far a stream's table is, followed commit by commit."""

    version: int = -1
    until: dict[int, int] = field(default_factory=dict)
    newest: dict[int, datetime] = field(default_factory=dict)
    """Partition to the newest ``known_at`` of an accepted row."""
    released: set[datetime] = field(default_factory=set)
    """From when on requests see the rows that replays have released."""

    def follow(self, entries: Iterable[LogEntry]) -> None:
        """Take in newer commits, oldest first."""
        for entry in entries:
            self.version = entry.version
            if entry.metadata.get("known_from"):
                self.released.add(datetime.fromisoformat(entry.metadata["known_from"]))
            if not entry.is_batch:
                continue
            self.until |= entry.until
            for file in entry.added:
                partition = file.minimum.get("kafka_partition")
                known = file.maximum.get("known_at")
                if partition is None or partition != file.maximum.get("kafka_partition"):
                    continue  # a compacted file mixes partitions
                if known and file.partition.get("verdict") == "accepted":
                    when, number = datetime.fromisoformat(known), int(partition)
                    self.newest[number] = max(when, self.newest.get(number, when))

    def watermark(self) -> datetime | None:
        """Every row known before this instant is in the table, or None where a partition has no accepted row yet."""
        if not self.until or set(self.newest) != set(self.until):
            return None
        return min(self.newest.values())

    def reached(self, offsets: Mapping[int, int]) -> bool:
        """Whether all records before these offsets are in the table."""
        return reached(self.until, offsets)


class Alignment:
    """The progress of all feature streams."""

    def __init__(self, tables: Mapping[str, str]) -> None:
        """``tables``: stream name to path of its events table."""
        self._tables = dict(tables)
        self.streams = {name: StreamProgress() for name in tables}

    def follow(self, spark: SparkSession) -> None:
        """Read the commits since the last call."""
        for name, progress in self.streams.items():
            progress.follow(read_log(spark, self._tables[name], after=progress.version))

    def reached(self, fence: Fence) -> bool:
        """Whether every feature stream is ingested up to the fence."""
        return all(progress.reached(fence.get(name, {})) for name, progress in self.streams.items())

    def released(self, *, after: datetime, until: datetime) -> set[datetime]:
        """Moments of release (headrace.features.knowledge) in (after, until]."""
        return {m for progress in self.streams.values() for m in progress.released if after < m <= until}

    def watermark(self) -> datetime | None:
        """The earliest of the streams' watermarks, or None where one has none."""
        marks = [progress.watermark() for progress in self.streams.values()]
        known = [mark for mark in marks if mark is not None]
        return min(known) if known and len(known) == len(marks) else None

    def behind(self, fence: Fence) -> str:
        """Which streams are not there yet, in words."""
        waiting = [
            f"{name} ({sum(max(o - self.streams[name].until.get(p, 0), 0) for p, o in offsets.items()):,} records behind)"
            for name, offsets in fence.items()
            if name in self.streams and not self.streams[name].reached(offsets)
        ]
        return ", ".join(waiting) or "none"
