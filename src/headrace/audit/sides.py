"""The two sides of a record-by-record comparison: the table's rows and Kafka's records, taken in as streams into bits and sums."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

from headrace.audit.offset_set import OffsetSet, SegmentSums
from headrace.connections import Broker
from headrace.errors import KeyRingError
from headrace.ingest.records import Chunk, read_records
from headrace.lake.outside import scan
from headrace.privacy.keys import KeyRing
from headrace.privacy.seal import open_sealed

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import DeltaTable

COLUMNS = ("kafka_partition", "kafka_offset", "kafka_timestamp")
ROWS_AT_ONCE = 65_536
Done = Callable[[int], None]
"""Hears how many rows or records more were looked at."""


@dataclass
class Partition:
    """What both sides hold of one partition, in the spans that are looked at (ranges of offsets, in order)."""

    spans: list[tuple[int, int]]
    rows: OffsetSet = field(init=False)
    records: OffsetSet = field(init=False)
    opened: OffsetSet = field(init=False)
    """Offsets of the rows whose sealed payload was opened."""
    row_sums: SegmentSums = field(init=False)
    record_sums: SegmentSums = field(init=False)
    repeated: list[np.ndarray] = field(default_factory=list)
    """Offsets of rows that came before."""

    def __post_init__(self) -> None:
        start, end = self.spans[0][0], self.spans[-1][1]
        self.rows, self.records, self.opened = (OffsetSet(start, end) for _ in range(3))
        self.row_sums, self.record_sums = (SegmentSums(start, end) for _ in range(2))

    def inside(self, offsets: np.ndarray) -> np.ndarray:
        """A mask of those that are looked at."""
        firsts = np.array([first for first, _ in self.spans], np.int64)
        ends = np.array([end for _, end in self.spans], np.int64)
        at = np.searchsorted(firsts, offsets, side="right") - 1
        return (at >= 0) & (offsets < ends[at])


class Rows:
    """Takes in the table's rows."""

    def __init__(self, partitions: Mapping[int, Partition], *, topic: str, ring: KeyRing | None) -> None:
        self._partitions, self._topic, self._ring = partitions, topic, ring
        self.outside: dict[int, list[np.ndarray]] = {}
        """Offsets of rows that no partition looks at."""
        self.sealed = self.unopened = 0
        """Rows whose payload was opened; those whose key is gone."""

    def take(self, table: DeltaTable, *, days: Sequence[str] | None, done: Done) -> None:
        """All rows, or those of some days of ingest. Needs memory for a few batches of rows."""
        columns = COLUMNS if self._ring is None else (*COLUMNS, "payload")
        for rows in scan(table, columns, days=days, at_once=ROWS_AT_ONCE):
            partitions = rows.column("kafka_partition").to_numpy(zero_copy_only=False)
            for number in np.unique(partitions):
                self._take(int(number), rows.filter(partitions == number))
            done(rows.num_rows)

    def _take(self, number: int, rows: pa.RecordBatch) -> None:
        offsets = rows.column("kafka_offset").to_numpy(zero_copy_only=False)
        partition = self._partitions.get(number)
        inside = np.zeros(len(offsets), bool) if partition is None else partition.inside(offsets)
        if not inside.all():
            self.outside.setdefault(number, []).append(offsets[~inside])
        if partition is None:
            return
        offsets, times = offsets[inside], _milliseconds(rows)[inside]
        known = partition.rows.add(offsets)
        if known.any():
            partition.repeated.append(offsets[known])
        partition.row_sums.add(offsets, times)
        if "payload" in rows.schema.names:
            self._open(number, partition, offsets, rows.column("payload").filter(_mask(inside)))

    def _open(self, number: int, partition: Partition, offsets: np.ndarray, payloads: pa.Array) -> None:
        opened: list[tuple[int, int]] = []
        for place in np.flatnonzero(np.asarray(payloads.is_valid())):
            offset = int(offsets[place])
            content = self._content(payloads[int(place)].as_py(), number, offset)
            if content is not None:
                opened.append((offset, content))
        _add(partition.row_sums, opened)
        if opened:
            partition.opened.add(np.array([offset for offset, _ in opened], np.int64))

    def _content(self, payload: bytes, number: int, offset: int) -> int | None:
        assert self._ring is not None
        try:
            original = open_sealed(payload, topic=self._topic, partition=number, offset=offset, ring=self._ring)
        except KeyRingError:
            self.unopened += 1
            return None
        self.sealed += 1
        return content(original.key, original.value)


def take_records(broker: Broker, topic: str, partitions: Mapping[int, Partition], *, done: Done) -> None:
    """Kafka's records of the spans. Raises BrokerError, AccountingError."""
    spans = {number: (partition.spans[0][0], partition.spans[-1][1]) for number, partition in partitions.items()}
    for chunk in read_records(broker, topic, spans):
        partition = partitions[chunk.partition]
        inside = partition.inside(chunk.offsets)
        offsets = chunk.offsets[inside]
        partition.records.add(offsets)
        partition.record_sums.add(offsets, chunk.times[inside])
        _add(partition.record_sums, list(_contents(chunk, inside & _opened(partition, chunk.offsets, inside))))
        done(len(chunk.offsets))


def content(key: bytes | None, value: bytes | None) -> int:
    """63 bits that stand for a record's key and value, whether they are null included."""
    digest = blake2b(digest_size=8)
    for part in (key, value):
        digest.update(b"-" if part is None else len(part).to_bytes(8, "big") + part)
    return int.from_bytes(digest.digest(), "big") >> 1


def _opened(partition: Partition, offsets: np.ndarray, inside: np.ndarray) -> np.ndarray:
    mask = np.zeros(len(offsets), bool)
    mask[inside] = partition.opened.has(offsets[inside])
    return mask


def _contents(chunk: Chunk, which: np.ndarray) -> Iterator[tuple[int, int]]:
    for place in np.flatnonzero(which):
        message = chunk.messages[int(place)]
        yield int(chunk.offsets[place]), content(message.key(), message.value())


def _add(sums: SegmentSums, contents: Sequence[tuple[int, int]]) -> None:
    if contents:
        table = np.array(contents, np.int64)
        sums.add(table[:, 0], table[:, 1])


def _milliseconds(rows: pa.RecordBatch) -> np.ndarray:
    import pyarrow as pa

    micros = rows.column("kafka_timestamp").cast(pa.timestamp("us", "UTC")).cast(pa.int64())
    return micros.fill_null(-1000).to_numpy(zero_copy_only=False) // 1000


def _mask(inside: np.ndarray) -> pa.Array:
    import pyarrow as pa

    return pa.array(inside)
