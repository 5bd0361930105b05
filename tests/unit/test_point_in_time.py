"""What a request sees does not depend on how its rows come to a worker: in which batches, buckets, pieces and order."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from headrace.features import aggregates, point_in_time
from headrace.features.point_in_time import BUCKET, REQUEST, TIE, TIME, InWindow, Newest, View
from headrace.spec.features import Aggregate

HOUR = 3_600_000_000
KINDS = (
    "count",
    "rate",
    "distinct",
    "sum",
    "mean",
    "min",
    "max",
    "std",
    "p10",
    "p50",
    "since",
    "decayed_sum",
    "decayed_mean",
)
SCHEMA = pa.schema(
    {"id": pa.string(), "key": pa.string(), "number": pa.float64(), TIME: pa.int64(), REQUEST: pa.bool_(), TIE: pa.int64(),
     BUCKET: pa.int32(), "value": pa.float64(), "holds": pa.bool_()}
)  # fmt: skip


def window(aggregate: Aggregate, holds: str | None = None) -> InWindow:
    return InWindow(f"{aggregate}_{holds}", aggregate, "value", holds, over=6 * HOUR, half_life=HOUR)


def view(*keys: str, own: bool = False) -> View:
    features = (
        Newest("newest", "value", None, 4 * HOUR),
        Newest("newest_held", "value", "holds", 4 * HOUR),
        Newest("age", None, "holds", 4 * HOUR),
        *(window(kind, holds) for kind in KINDS for holds in (None, "holds")),  # pyright: ignore[reportArgumentType]
    )
    return View(keys, ("id", *keys), features, own)


def rows(count: int, *, seed: int = 1) -> pa.Table:
    """Requests and rows of a few keys, at coarse times, sorted by bucket."""
    chance = random.Random(seed)
    made: list[dict[str, Any]] = []
    for number in range(count):
        key, asked = chance.choice("abcdefgh"), chance.random() < 0.3
        made.append(
            {
                "id": str(number) if asked else None,
                "key": None if asked and chance.random() < 0.1 else key,
                "number": chance.choice([0.0, -0.0, 1.5]),
                TIME: chance.randrange(48) * HOUR // 2,
                REQUEST: asked,
                TIE: None if asked else chance.randrange(1_000_000),
                BUCKET: ord(key) % 4,
                "value": None if asked else chance.choice([None, -5.0, 0.1, 30.0]),
                "holds": None if asked else chance.random() < 0.5,
            }
        )
    made.sort(key=lambda row: row[BUCKET])
    return pa.Table.from_pylist(made, SCHEMA)


def seen(table: pa.Table, by: View, *, batch: int = 10_000) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for part in by(table.to_batches(max_chunksize=batch)) for row in part.to_pylist()}


def test_batches_buckets_and_pieces_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    table, by = rows(600), view("key")
    whole = seen(table, by)
    assert len(whole) == sum(table[REQUEST].to_pylist()) > 100
    assert {value for row in whole.values() for value in row.values()} > {None, 0.0, -5.0}
    monkeypatch.setattr(point_in_time, "_AT_ONCE", 10)
    monkeypatch.setattr(aggregates, "_GATHERED", 7)
    for batch in (1, 3, 50, 10_000):
        assert seen(table, by, batch=batch) == whole
    taken = list(point_in_time._buckets(table.to_batches(max_chunksize=3)))
    assert [len(set(one[BUCKET].to_pylist())) for one in taken] == [1] * 4, "each bucket by itself"
    assert sum(one.num_rows for one in taken) == table.num_rows


def test_buckets_that_end_with_a_batch_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(point_in_time, "_AT_ONCE", 10)
    table = rows(600)
    parts = [table.filter(pa.compute.equal(table[BUCKET], number)) for number in range(4)]
    batches = [batch for part in parts for batch in (*part.to_batches(), *part.slice(0, 0).to_batches())]
    assert [one.num_rows for one in point_in_time._buckets(batches)] == [part.num_rows for part in parts]


def test_the_order_of_rows_makes_no_difference() -> None:
    table, by = rows(600), view("key")
    whole = seen(table, by)
    shuffled = table.take(pa.array(np.random.default_rng(1).permutation(table.num_rows)))
    assert seen(shuffled.sort_by(BUCKET), by) == whole


def test_a_bucket_that_is_cut_in_two_is_noticed_here() -> None:
    """The planted fault: were a key's rows spread over two tables, what requests see would be other."""
    table, by = rows(600), view("key")
    halves = [table.slice(0, 301), table.slice(301)]
    assert {k: v for half in halves for k, v in seen(half, by).items()} != seen(table, by)


def test_keys_of_several_columns_are_all_compared_and_null_belongs_to_nobody() -> None:
    table = rows(400)
    both, one = seen(table, view("key", "number")), seen(table, view("key"))
    assert both != one
    slow = {
        asked["id"]: sum(
            1.0
            for row in table.to_pylist()
            if not row[REQUEST] and row["value"] is not None and (row["key"], row["number"]) == (asked["key"], asked["number"])
            and asked[TIME] - 6 * HOUR < row[TIME] <= asked[TIME]
        )
        for asked in table.to_pylist()
        if asked[REQUEST]
    }  # fmt: skip
    assert {name: row["count_None"] for name, row in both.items()} == slow
    nobody = [name for name, row in one.items() if row["key"] is None]
    assert nobody
    assert {one[name]["count_None"] for name in nobody} == {0.0}
    assert {one[name]["newest"] for name in nobody} == {None}


def test_requests_without_any_row_and_rows_without_any_request() -> None:
    table, by = rows(200), view("key")
    alone = seen(table.filter(table[REQUEST]), by)
    assert len(alone) == sum(table[REQUEST].to_pylist())
    assert {row["count_None"] for row in alone.values()} == {row["distinct_holds"] for row in alone.values()} == {0.0}
    assert {
        row[name] for row in alone.values() for name in ("newest", "age", "since_None", "mean_None", "std_holds")
    } == {None}
    asked = pa.compute.invert(table[REQUEST])
    assert seen(table.filter(asked), by) == {}
    assert list(by([])) == []


def test_infinite_and_not_a_number_values_stay_what_they_are(recwarn: pytest.WarningsRecorder) -> None:
    made = [
        {"key": "a", TIME: at, REQUEST: at == 3, TIE: at, BUCKET: 0, "id": str(at), "value": value, "holds": True}
        for at, value in enumerate([np.inf, -np.inf, np.nan, None])
    ]
    (row,) = seen(pa.Table.from_pylist(made, SCHEMA), view("key")).values()
    assert (row["count_None"], row["distinct_None"], row["min_None"]) == (3.0, 3.0, -np.inf)
    assert np.isnan([row[name] for name in ("newest", "sum_None", "mean_None", "max_None", "std_None")]).all()
    assert [str(warning.message) for warning in recwarn] == []
