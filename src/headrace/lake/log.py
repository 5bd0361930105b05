"""What a table's commits say: who wrote them, how many rows of each verdict, up to which offset and event time.

Read from ``_delta_log`` itself, so that it costs no scan of data and every figure is derived from what was committed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from headrace.lake import files

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class AddedFile:
    """One data file of a commit: its partition, its rows, and the minimum and maximum of its columns."""

    partition: dict[str, str]
    rows: int
    minimum: dict[str, Any]
    maximum: dict[str, Any]


@dataclass(frozen=True)
class LogEntry:
    """One commit. ``metadata`` is the writer's ``userMetadata``, parsed; empty where there was none."""

    version: int
    committed_at: datetime
    operation: str
    metadata: dict[str, Any]
    added: tuple[AddedFile, ...] = field(repr=False)
    parameters: dict[str, Any] = field(default_factory=dict, repr=False)
    """Of the operation, as Delta writes them."""

    @property
    def is_batch(self) -> bool:
        """Whether a micro-batch of a stream wrote it."""
        return self.metadata.get("headrace") == "batch"

    @property
    def batch(self) -> int | None:
        """Id of the micro-batch that wrote it, or None where something else did."""
        return int(self.metadata["batch"]) if self.is_batch else None

    @property
    def until(self) -> dict[int, int]:
        """Partition to the offset at which that micro-batch ends."""
        return offsets(self.metadata.get("until", {}))

    def rows(self, verdict: str) -> int:
        """Rows of a verdict that the commit added."""
        return sum(file.rows for file in self.added if file.partition.get("verdict") == verdict)


def read_log(spark: SparkSession, path: str, *, after: int = -1) -> list[LogEntry]:
    """The table's commits with a version above ``after``, oldest first, as far back as the log reaches."""
    versions = (version for version in _versions(spark, path) if version > after)
    return [entry for entry in (_read(spark, path, version) for version in versions) if entry is not None]


def newest_first(spark: SparkSession, path: str) -> Iterator[LogEntry]:
    """The table's commits, newest first; each is read when it is asked for."""
    for version in reversed(_versions(spark, path)):
        entry = _read(spark, path, version)
        if entry is not None:
            yield entry


def standing(spark: SparkSession, path: str) -> Iterator[LogEntry]:
    """As :func:`newest_first`, without those that a RESTORE took back."""
    newest: int | None = None
    for entry in newest_first(spark, path):
        if newest is not None and entry.version > newest:
            continue
        if entry.operation == "RESTORE":
            newest = _restored_to(entry)
        else:
            yield entry


def _restored_to(entry: LogEntry) -> int:
    """The version whose content a RESTORE brought back; by a timestamp, the newest version of then."""
    version = entry.parameters.get("version")
    return int(version) if version not in (None, "null") else entry.version - 1


def _versions(spark: SparkSession, path: str) -> list[int]:
    parts = (name.partition(".") for name in files.names(spark, f"{path}/_delta_log"))
    return sorted(int(stem) for stem, _, kind in parts if kind == "json" and stem.isdigit())


def _read(spark: SparkSession, path: str, version: int) -> LogEntry | None:
    text = files.read_text(spark, f"{path}/_delta_log/{version:020d}.json")
    return None if text is None else _entry(version, text)


def offsets(told: Mapping[str, Any]) -> dict[int, int]:
    """Partition to offset, from JSON, whose keys are texts."""
    return {int(partition): int(offset) for partition, offset in told.items()}


def reached(until: Mapping[int, int], end: Mapping[int, int]) -> bool:
    """Whether everything before the offsets ``end`` lies before ``until``."""
    return all(until.get(partition, 0) >= offset for partition, offset in end.items())


def _entry(version: int, text: str) -> LogEntry:
    info: dict[str, Any] = {}
    added: list[AddedFile] = []
    for line in text.splitlines():
        action = json.loads(line)
        if "commitInfo" in action:
            info = action["commitInfo"]
        elif "add" in action:
            added.append(_added(action["add"]))
    when = datetime.fromtimestamp(info.get("timestamp", 0) / 1000, UTC)
    return LogEntry(
        version, when, info.get("operation", ""), _metadata(info.get("userMetadata")), tuple(added),
        info.get("operationParameters", {}),
    )  # fmt: skip


def _added(action: dict[str, Any]) -> AddedFile:
    stats = json.loads(action.get("stats") or "{}")
    return AddedFile(
        action.get("partitionValues", {}), int(stats.get("numRecords", 0)), stats.get("minValues", {}), stats.get("maxValues", {})
    )  # fmt: skip


def _metadata(text: str | None) -> dict[str, Any]:
    try:
        parsed = json.loads(text) if text else {}
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}
