"""One commit of a stream's table, as the ledger keeps it."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from headrace.lake.log import LogEntry, offsets

Rows = dict[str, dict[str, int]]
"""Day of ingest (``2026-11-24``) to verdict to rows; negative where rows were taken away."""
BATCH, UNKNOWN, RESTORE = "batch", "unknown", "RESTORE"
BY_SPARK, BY_KAFKA, GONE = "as read", "again", "gone"
"""How a batch's records were counted: in the pass that wrote them; again, in Kafka; or not any more, as Kafka has lost some."""
BATCH_TOLD = frozenset({"query", "batch", "topic_id", "from", "until", "spec"})
"""What of a batch's metadata is kept; what watches commit with it may be large, and is of use to the next batch only."""
_SUM = ',"sum":"'


@dataclass(frozen=True)
class Record:
    """What one commit did to the stream's sum."""

    version: int
    at: datetime
    """When it was committed (UTC)."""
    kind: str
    """As the commit names itself (``batch``, ``loss``, ``replay``, ...), else Delta's own word for it, such as ``OPTIMIZE``.
    ``unknown`` stands for all the versions that neither ledger nor log has any more."""
    rows: Rows = field(default_factory=dict)
    """Rows that it added, less those that it took away."""
    uncounted: tuple[str, ...] = ()
    """Days of which it took files away whose rows could not be counted any more."""
    read: int | None = None
    """A batch's records, counted in Kafka; None where nobody can count them any more."""
    counted: str = ""
    told: Mapping[str, Any] = field(default_factory=dict)
    """What the commit says of itself: for a batch ``query``, ``batch``, ``from``, ``until``, ``spec``."""

    @property
    def batch(self) -> int:
        """Number of the micro-batch."""
        return int(self.told["batch"])

    @property
    def start(self) -> dict[int, int]:
        """Partition to the first offset of the micro-batch."""
        return offsets(self.told.get("from", {}))

    @property
    def until(self) -> dict[int, int]:
        """Partition to the offset at which the micro-batch ends."""
        return offsets(self.told.get("until", {}))

    @property
    def spans(self) -> dict[int, tuple[int, int]]:
        """Partition to the offsets that the micro-batch took: the first, and the one after the last."""
        start = self.start
        return {partition: (start.get(partition, 0), end) for partition, end in self.until.items()}

    @property
    def lost(self) -> dict[int, tuple[int, int]]:
        """Partition to the offsets whose loss was accepted."""
        ranges: dict[str, list[int]] = self.told.get("ranges", {}) if self.kind == "loss" else {}
        return {int(partition): (int(span[0]), int(span[1])) for partition, span in ranges.items()}

    @property
    def total(self) -> int:
        """Rows that it added in all."""
        return sum(count for verdicts in self.rows.values() for count in verdicts.values())

    def verdict(self, verdict: str) -> int:
        """Rows of a verdict that it added."""
        return sum(verdicts.get(verdict, 0) for verdicts in self.rows.values())

    @property
    def versions(self) -> range:
        """The versions that it stands for: its own, or for ``unknown`` those up to its own."""
        first = int(self.told["first"]) if self.kind == UNKNOWN else self.version
        return range(first, self.version + 1)


def record_of(entry: LogEntry, *, rows_of: Callable[[str], int | None]) -> Record:
    """The record of a commit. ``rows_of``: rows of a data file (its path in the log), or None where nobody knows."""
    rows: Rows = {}
    uncounted: set[str] = set()
    for file in entry.added:
        add_rows(rows, _in(file.partition, file.rows))
    for file in entry.removed:
        count = file.rows if file.rows is not None else rows_of(file.path)
        if count is None:
            uncounted.add(file.partition.get("ingest_date", ""))
        else:
            add_rows(rows, _in(file.partition, -count))
    told = {name: value for name, value in entry.metadata.items() if name in BATCH_TOLD or not entry.is_batch}
    told.pop("headrace", None)
    if entry.operation == RESTORE:
        told |= {name: entry.parameters.get(name) for name in ("version", "timestamp")}
    kind = str(entry.metadata.get("headrace") or entry.operation)
    return Record(entry.version, entry.committed_at, kind, changed(rows), tuple(sorted(uncounted)), told=told)


def to_line(record: Record) -> str:
    """The record as one line of JSON that ends with a sum of all before it, so that damage shows."""
    fields = {
        "version": record.version, "at": record.at.isoformat(timespec="milliseconds"), "kind": record.kind,
        "rows": record.rows, "uncounted": list(record.uncounted), "read": record.read, "counted": record.counted,
        "told": record.told,
    }  # fmt: skip
    body = json.dumps(
        {name: value for name, value in fields.items() if value not in ({}, [], None, "")}, separators=(",", ":")
    )
    return f'{body[:-1]}{_SUM}{zlib.crc32(body.encode()):08x}"}}'


def from_line(line: str) -> Record:
    """The record of a line. Raises ValueError where the line was cut or changed."""
    body, _, checksum = line.rpartition(_SUM)
    if checksum != f'{zlib.crc32(f"{body}}}".encode()):08x}"}}':
        raise ValueError("its sum does not match")
    fields = json.loads(f"{body}}}")
    return Record(
        fields["version"], datetime.fromisoformat(fields["at"]).astimezone(UTC), fields["kind"], fields.get("rows", {}),
        tuple(fields.get("uncounted", ())), fields.get("read"), fields.get("counted", ""), fields.get("told", {}),
    )  # fmt: skip


def add_rows(rows: Rows, more: Mapping[str, Mapping[str, int]], *, times: int = 1) -> None:
    """Add ``more`` to ``rows`` in place; ``times`` is -1 to take it away."""
    for day, verdicts in more.items():
        here = rows.setdefault(day, {})
        for verdict, count in verdicts.items():
            here[verdict] = here.get(verdict, 0) + times * count


def changed(rows: Rows) -> Rows:
    """``rows`` by day, without zeros."""
    left = {day: {verdict: count for verdict, count in verdicts.items() if count} for day, verdicts in rows.items()}
    return {day: verdicts for day, verdicts in sorted(left.items()) if verdicts}


def _in(partition: Mapping[str, str], rows: int) -> Rows:
    return {partition.get("ingest_date", ""): {partition.get("verdict", ""): rows}}
