"""What requests saw of rows, at each one's T: whole keys at a time, in Arrow tables, on Spark's Python workers.

A table holds rows and requests (``REQUEST``) with their time (``TIME``, microseconds since 1970). The rows of a key lie in
order of time, so what a request sees of them is one stretch: found by bisection, however many rows there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.features.aggregates import aggregated, frames

if TYPE_CHECKING:
    from headrace.spec.features import Aggregate

    Array = np.ndarray[Any, Any]

TIME, REQUEST, TIE, BUCKET = "__time", "__request", "__tie", "__bucket"
_AT_ONCE = 100_000
"""Buckets are put together up to so many rows."""
_MINUTE, _HOUR = 60_000_000, 3_600_000_000


@dataclass(frozen=True)
class Newest:
    """A feature of the newest row that is not older than ``within`` (microseconds): the column ``value``, or the row's age."""

    name: str
    value: str | None
    holds: str | None
    within: int


@dataclass(frozen=True)
class InWindow:
    """A feature of the rows of the last ``over`` microseconds: of their column ``value``, or of the rows themselves.

    ``holds``: the boolean column that says which rows count; all if None. The same goes for :class:`Newest`.
    """

    name: str
    aggregate: Aggregate
    value: str | None
    holds: str | None
    over: int
    half_life: int


@dataclass(frozen=True)
class View:
    """What the requests of a stream see of another, by ``keys``; ``kept`` are the requests' columns.

    ``own``: the rows are those of the requests' stream, so only what was known before T counts: not the request itself.
    """

    keys: tuple[str, ...]
    kept: tuple[str, ...]
    features: tuple[Newest | InWindow, ...]
    own: bool

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The requests with their features (``double``), from batches that are sorted by ``BUCKET``, which holds whole keys."""
        for table in _buckets(batches):
            with np.errstate(all="ignore"):  # an infinite value is a column's own
                seen = _Seen(table, self)
                asked = table.select(list(self.kept)).take(pa.array(seen.requests))
                for feature in self.features:
                    found = seen.newest(feature) if isinstance(feature, Newest) else seen.window(feature)
                    asked = asked.append_column(feature.name, found)
            yield from asked.to_batches()


def _buckets(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Whole buckets, so that a worker holds few of a partition's rows at once."""
    held: list[pa.RecordBatch] = []
    count, last = 0, -1
    for batch in batches:
        bucket = batch.column(BUCKET).to_numpy()
        if not len(bucket):
            continue
        if count >= _AT_ONCE and bucket[-1] != last:
            cut = int(np.searchsorted(bucket, bucket[-1]))
            yield pa.Table.from_batches([*held, batch.slice(0, cut)])
            held, count, batch = [], 0, batch.slice(cut)
        held.append(batch)
        count, last = count + batch.num_rows, bucket[-1]
    if held:
        yield pa.Table.from_batches(held)


class _Seen:
    """The rows of a table, sorted by key and time, and where in them what each request sees begins and ends."""

    def __init__(self, table: pa.Table, view: View) -> None:
        self._table = table
        keys = _numbered([_array(table, key) for key in view.keys])
        time, asked = _array(table, TIME).to_numpy(), _array(table, REQUEST).to_numpy(zero_copy_only=False)
        tie = pc.fill_null(_array(table, TIE), 0).to_numpy()
        rows = np.flatnonzero(~asked)
        self._order = rows[np.lexsort((tie[rows], time[rows], keys[rows]))]
        self._time = time[self._order]
        self.requests = np.flatnonzero(asked)
        of = keys[self.requests]
        self._now = time[self.requests]
        self._first = np.searchsorted(keys[self._order], of)
        self._end = self._behind(np.searchsorted(keys[self._order], of, side="right"), self._now - view.own)
        self._begins: dict[int, Array] = {}

    def newest(self, feature: Newest) -> pa.Array:
        chosen, start, end = self._chosen(feature.holds, None, self._first)
        rows = np.append(chosen, 0)[end - 1]
        age = self._now - np.append(self._time, 0)[rows]
        fresh = (end > start) & (age <= feature.within)
        if feature.value is None:
            return pa.array(age / _MINUTE, mask=~fresh)
        values = _array(self._table, feature.value)
        return values.take(pa.array(self._order[rows] if len(self._order) else rows, mask=~fresh))

    def window(self, feature: InWindow) -> pa.Array:
        if feature.over not in self._begins:
            self._begins[feature.over] = self._behind(self._end, self._now - feature.over)
        chosen, start, end = self._chosen(feature.holds, feature.value, self._begins[feature.over])
        if feature.aggregate in ("count", "rate"):
            return pa.array((end - start) * (_HOUR / feature.over if feature.aggregate == "rate" else 1.0))
        times = self._time[chosen]
        if feature.aggregate == "since":
            return pa.array((self._now - np.append(times, 0)[end - 1]) / _MINUTE, mask=end == start)
        found = np.zeros(len(self._now))
        missing = np.full(len(found), feature.aggregate != "distinct")
        values = self._values(feature, chosen)
        for requests, of in frames(start, end, self._now):
            found[requests] = aggregated(feature.aggregate, values, times, of, half_life=feature.half_life)
            missing[requests] = (of.size == 1) & (feature.aggregate == "std")
        return pa.array(found, mask=missing)

    def _behind(self, end: Array, at: Array) -> Array:
        """Where the first row lies that is later than ``at``, between the first row of the key and ``end``."""
        low, high = self._first.copy(), end.copy()
        while (open_ := low < high).any():
            middle = (low + high) // 2
            before = np.zeros(len(low), bool)
            before[open_] = self._time[middle[open_]] <= at[open_]
            low = np.where(before, middle + 1, low)
            high = np.where(open_ & ~before, middle, high)
        return low

    def _chosen(self, holds: str | None, value: str | None, begin: Array) -> tuple[Array, Array, Array]:
        """The rows that count and have the value, and where in them each request's stretch begins and ends."""
        counts = np.ones(len(self._order), bool)
        if holds is not None:
            counts &= _array(self._table, holds).take(pa.array(self._order)).to_numpy(zero_copy_only=False).astype(bool)
        if value is not None:
            counts &= _array(self._table, value).is_valid().to_numpy(zero_copy_only=False)[self._order]
        before = np.concatenate([[0], np.cumsum(counts)])
        return np.flatnonzero(counts), before[begin], before[self._end]

    def _values(self, feature: InWindow, chosen: Array) -> Array:
        if feature.value is None:
            return np.ones(len(chosen))
        values = _array(self._table, feature.value).take(pa.array(self._order[chosen]))
        return _numbered([values]) if feature.aggregate == "distinct" else values.to_numpy(zero_copy_only=False)


def _array(table: pa.Table, name: str) -> pa.Array:
    return table.column(name).combine_chunks()


def _numbered(columns: list[pa.Array]) -> Array:
    """A number for each combination of values; negative where one of them is null."""
    numbers = np.zeros(len(columns[0]), np.int64)
    missing = np.zeros(len(numbers), bool)
    for column in columns:
        same = pc.call_function("add", [column, 0.0]) if pa.types.is_floating(column.type) else column  # -0.0 is 0.0
        encoded = same.dictionary_encode()
        index = pc.fill_null(encoded.indices, -1).to_numpy().astype(np.int64)
        missing |= index < 0
        numbers = numbers * len(encoded.dictionary) + index
        if column is not columns[0]:  # so that they stay small
            numbers = np.unique(numbers, return_inverse=True)[1]
    return np.where(missing, -1, numbers)
