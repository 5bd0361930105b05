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
    path: str = ""
    """As the log has it: below the table, percent-encoded."""


@dataclass(frozen=True)
class RemovedFile:
    """One data file that a commit took out of the table. ``rows`` is None where the commit does not say how many it had."""

    path: str
    partition: dict[str, str]
    rows: int | None


@dataclass(frozen=True)
class LogEntry:
    """One commit. ``metadata`` is the writer's ``userMetadata``, parsed; empty where there was none."""

    version: int
    committed_at: datetime
    operation: str
    metadata: dict[str, Any]
    added: tuple[AddedFile, ...] = field(repr=False)
    removed: tuple[RemovedFile, ...] = field(default=(), repr=False)
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
    if after >= 0 and has_version(spark, path, after):
        return read_next(spark, path, after=after)
    versions = (version for version in log_versions(spark, path) if version > after)
    return [entry for entry in (read_version(spark, path, version) for version in versions) if entry is not None]


def newest_first(spark: SparkSession, path: str) -> Iterator[LogEntry]:
    """The table's commits, newest first; each is read when it is asked for."""
    for version in reversed(log_versions(spark, path)):
        entry = read_version(spark, path, version)
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


def log_versions(spark: SparkSession, path: str) -> list[int]:
    """The versions that the table's log still has, in order."""
    parts = (name.partition(".") for name in files.names(spark, f"{path}/_delta_log"))
    return sorted(int(stem) for stem, _, kind in parts if kind == "json" and stem.isdigit())


def has_version(spark: SparkSession, path: str, version: int) -> bool:
    """Whether the table's log has this commit."""
    return files.exists(spark, f"{path}/{commit_file(version)}")


def read_version(spark: SparkSession, path: str, version: int) -> LogEntry | None:
    """One commit of the table, or None where its log no longer has it, or not yet."""
    text = files.read_text(spark, f"{path}/{commit_file(version)}")
    return None if text is None else parse_entry(version, text)


def read_next(spark: SparkSession, path: str, *, after: int) -> list[LogEntry]:
    """The commits that follow a version without a gap, oldest first. Costs one look for a file each, and lists no folder."""
    found: list[LogEntry] = []
    while (entry := read_version(spark, path, after + len(found) + 1)) is not None:
        found.append(entry)
    return found


def commit_file(version: int) -> str:
    """Where a commit lies below its table."""
    return f"_delta_log/{version:020d}.json"


def offsets(told: Mapping[str, Any]) -> dict[int, int]:
    """Partition to offset, from JSON, whose keys are texts."""
    return {int(partition): int(offset) for partition, offset in told.items()}


def reached(until: Mapping[int, int], end: Mapping[int, int]) -> bool:
    """Whether everything before the offsets ``end`` lies before ``until``."""
    return all(until.get(partition, 0) >= offset for partition, offset in end.items())


def parse_entry(version: int, text: str) -> LogEntry:
    """A commit from the text of its file in ``_delta_log``. Raises ValueError where the text is cut."""
    info: dict[str, Any] = {}
    added: list[AddedFile] = []
    removed: list[RemovedFile] = []
    for line in text.splitlines():
        action = json.loads(line)
        if "commitInfo" in action:
            info = action["commitInfo"]
        elif "add" in action:
            added.append(_added(action["add"]))
        elif "remove" in action:
            removed.append(_removed(action["remove"]))
    when = datetime.fromtimestamp(info.get("timestamp", 0) / 1000, UTC)
    return LogEntry(
        version, when, info.get("operation", ""), _metadata(info.get("userMetadata")), tuple(added), tuple(removed),
        info.get("operationParameters", {}),
    )  # fmt: skip


def _added(action: dict[str, Any]) -> AddedFile:
    stats = json.loads(action.get("stats") or "{}")
    return AddedFile(
        action.get("partitionValues", {}), int(stats.get("numRecords", 0)), stats.get("minValues", {}),
        stats.get("maxValues", {}), action["path"],
    )  # fmt: skip


def _removed(action: dict[str, Any]) -> RemovedFile:
    rows = json.loads(action.get("stats") or "{}").get("numRecords")
    return RemovedFile(action["path"], action.get("partitionValues", {}), None if rows is None else int(rows))


def _metadata(text: str | None) -> dict[str, Any]:
    try:
        parsed = json.loads(text) if text else {}
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}
