"""Record by record: each of Kafka's is in the table once, and what the row keeps of it is the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from headrace.audit.findings import MOST_RANGES, Finding, Ranges, batches_in_words, in_words
from headrace.audit.groups import ERASE, RETENTION, Group
from headrace.audit.offset_set import SEGMENT, ranges
from headrace.audit.sides import Done, Partition, Rows, take_records
from headrace.connections import Broker
from headrace.ingest.records import is_compacted
from headrace.lake.ledger.record import BATCH, UNKNOWN, Record
from headrace.privacy.keys import KeyRing

if TYPE_CHECKING:
    from deltalake import DeltaTable

Spans = dict[int, list[tuple[int, int]]]
"""Partition to ranges of offsets, in order."""


@dataclass(frozen=True)
class Compared:
    """What a comparison saw."""

    in_kafka: int
    """Records that Kafka holds in the offsets that were looked at."""
    once: int
    """Those of them that are in the table exactly once."""
    taken_out: int
    """Those whose row was erased, or removed by retention."""
    gone: int
    """Rows whose record Kafka no longer holds (retention, compaction)."""
    sealed: int
    """Rows whose sealed original is the record, byte for byte."""
    findings: tuple[Finding, ...]


def compare(
    table: DeltaTable,
    *,
    broker: Broker,
    topic: str,
    spans: Spans,
    held: Mapping[int, tuple[int, int]],
    groups: Sequence[Group],
    days: Sequence[str] | None,
    ring: KeyRing | None,
    done: Done,
) -> Compared:
    """Compare the offsets of ``spans``. ``held``: partition to the earliest offset in Kafka, and the end. ``groups``: all that the
    batches of these offsets are in. ``days``: the only days of ingest of their rows, or None. ``ring`` opens sealed originals.

    Memory: 3 bits for each offset and about 200 MB. Raises BrokerError, AccountingError where Kafka stops answering.
    """
    partitions = {number: Partition(some) for number, some in spans.items() if some}
    rows = Rows(partitions, topic=topic, ring=ring)
    rows.take(table, days=days, done=done)
    take_records(broker, topic, partitions, done=done)
    index = _BatchIndex(groups)
    compacted = is_compacted(broker, topic)
    findings: list[Finding] = []
    missing, taken_out = _missing(partitions, index, groups, findings)
    repeated = _repeated(partitions, index, findings)
    gone = _foreign(partitions, rows, held, findings, compacted=compacted, whole=days is None)
    findings += _different(partitions, index)
    if rows.unopened:
        findings.append(
            Finding("sealed", f"{rows.unopened} sealed originals of quarantined rows do not open with this key ring")
        )
    in_kafka = sum(len(partition.records) for partition in partitions.values())
    return Compared(in_kafka, in_kafka - missing - taken_out - repeated, taken_out, gone, rows.sealed, tuple(findings))


class _BatchIndex:
    """Which batch took an offset."""

    def __init__(self, groups: Sequence[Group]) -> None:
        self.batches = [(batch, group.day) for group in groups for batch in group.batches]
        rows: dict[int, list[tuple[int, int, int]]] = {}
        for number, (batch, _) in enumerate(self.batches):
            for partition, (first, end) in batch.spans.items():
                if first < end:
                    rows.setdefault(partition, []).append((first, end, number))
        self._tables = {partition: np.array(sorted(found), np.int64) for partition, found in rows.items()}

    def of(self, partition: int, offsets: np.ndarray) -> np.ndarray:
        """Positions in ``batches``; -1 for an offset that no batch took."""
        table = self._tables.get(partition)
        if table is None:
            return np.full(len(offsets), -1, np.int64)
        at = np.searchsorted(table[:, 0], offsets, side="right") - 1
        return np.where((at >= 0) & (offsets < table[at, 1]), table[at, 2], -1)

    def numbers(self, positions: set[int]) -> tuple[int, ...]:
        """Numbers of the micro-batches at these positions."""
        return tuple(sorted({self.batches[position][0].batch for position in positions if position >= 0}))


def _missing(
    partitions: Mapping[int, Partition], index: _BatchIndex, groups: Sequence[Group], findings: list[Finding]
) -> tuple[int, int]:
    """Records without a row: how many are not explained, and how many the commits that take rows away explain."""
    found: Ranges = {}
    by_batch: Counter[int] = Counter()
    for number, partition in partitions.items():
        lost = [some[partition.inside(some)] for some in partition.records.without(partition.rows)]
        for some in lost:
            by_batch.update(
                dict(
                    zip(*(part.tolist() for part in np.unique(index.of(number, some), return_counts=True)), strict=True)
                )
            )
        found[number] = list(ranges(iter(lost)))
    by_day: Counter[str] = Counter()
    for position, count in by_batch.items():
        by_day[index.batches[position][1] if position >= 0 else ""] += count
    may_be_out = _taken_out(groups)
    unexplained = sum(max(0, count - may_be_out[day]) for day, count in by_day.items())
    total = by_day.total()
    if unexplained:
        numbers = index.numbers(set(by_batch))
        of = f" of {batches_in_words(numbers)}" if numbers else ", read by no batch"
        rest = (
            f" ({total - unexplained} of these records were erased or removed by retention)"
            if total > unexplained
            else ""
        )
        text = f"{unexplained} records in Kafka have no row{of}: {in_words(found)}{rest}"
        findings.append(Finding("missing", text, numbers, _cut(found)))
    return unexplained, total - unexplained


def _taken_out(groups: Sequence[Group]) -> Counter[str]:
    """Day of ingest to the rows that erasure and retention took away."""
    moves = {
        (group.day, move.version): move for group in groups for move in group.moves if move.kind in (ERASE, RETENTION)
    }
    out: Counter[str] = Counter()
    for (day, _), move in moves.items():
        out[day] -= sum(move.rows.get(day, {}).values())
    return out


def _repeated(partitions: Mapping[int, Partition], index: _BatchIndex, findings: list[Finding]) -> int:
    found: Ranges = {}
    positions: set[int] = set()
    records = rows = 0
    for number, partition in partitions.items():
        if partition.repeated:
            offsets, again = np.unique(np.concatenate(partition.repeated), return_counts=True)
            records += int(partition.records.has(offsets).sum())
            rows += int(again.sum())
            positions |= set(index.of(number, offsets).tolist())
            found[number] = list(ranges(iter([offsets])))
    if rows:
        numbers = index.numbers(positions)
        text = f"{rows} rows more than there are records, of {batches_in_words(numbers)}: {in_words(found)}"
        findings.append(Finding("repeated", text, numbers, _cut(found)))
    return records


def _foreign(
    partitions: Mapping[int, Partition],
    rows: Rows,
    held: Mapping[int, tuple[int, int]],
    findings: list[Finding],
    *,
    compacted: bool,
    whole: bool,
) -> int:
    """Rows without a record: how many Kafka may have deleted. The others are findings."""
    found: Ranges = {}
    gone = foreign = 0
    for number, partition in partitions.items():
        low = held.get(number, (0, 0))[0]
        strange: list[np.ndarray] = []
        for some in partition.rows.without(partition.records):
            never = some[some >= low] if not compacted else some[:0]
            gone, foreign = gone + len(some) - len(never), foreign + len(never)
            strange += [never] if len(never) else []
        found[number] = list(ranges(iter(strange)))
    for number, parts in rows.outside.items() if whole else ():
        offsets = np.unique(np.concatenate(parts))
        foreign += len(offsets)
        found[number] = found.get(number, []) + list(ranges(iter([offsets])))
    if foreign:
        text = f"{foreign} rows are of no record that Kafka ever held there: {in_words(found)}"
        findings.append(Finding("foreign", text, (), _cut(found)))
    return gone


def _different(partitions: Mapping[int, Partition], index: _BatchIndex) -> Iterator[Finding]:
    """Segments that hold the same offsets on both sides and other contents."""
    for number, partition in partitions.items():
        unlike = (partition.row_sums.sums != partition.record_sums.sums) & partition.rows.same_segments(
            partition.records
        )
        for some in partition.repeated:  # reported already
            unlike[(some - partition.rows.start) // SEGMENT] = False
        places = np.flatnonzero(unlike)
        if not len(places):
            continue
        end = partition.rows.end
        firsts = partition.rows.start + places * SEGMENT
        found = {number: [(int(first), min(int(first) + SEGMENT, end)) for first in firsts]}
        numbers = index.numbers(set(index.of(number, firsts).tolist()))
        text = f"some rows are not as their records: the timestamp or the sealed original differs, within {in_words(found)}"
        yield Finding("different", text, numbers, _cut(found))


def _cut(found: Ranges) -> Ranges:
    return {partition: spans[:MOST_RANGES] for partition, spans in found.items() if spans}


def spans_of(records: Sequence[Record], *, held: Mapping[int, tuple[int, int]], until: Mapping[int, int]) -> Spans:
    """All offsets up to the table's end, from the first that Kafka holds or a batch took."""
    whole = any(record.kind == UNKNOWN for record in records)
    firsts: dict[int, int] = {}
    for record in records:
        for partition, (first, _) in (record.spans if record.kind == BATCH else {}).items():
            firsts[partition] = min(firsts.get(partition, first), first)
    return {
        partition: [(0 if whole else min(firsts.get(partition, end), held.get(partition, (end, end))[0]), end)]
        for partition, end in until.items()
        if end > 0
    }
