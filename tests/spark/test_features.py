"""Features at a point in time, against a slow reader that goes through all rows for each request."""

# ruff: noqa: E501

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from headrace.features.compute import compute_features, lookback_seconds
from headrace.spec.features import Features

START = datetime(2013, 1, 1, tzinfo=UTC)
MICRO = timedelta(microseconds=1)
HOUR = timedelta(hours=1)
Rows = list[dict[str, Any]]

FEATURES = Features.model_validate(
    {
        "requests": "asked",
        "id": "flight",
        "columns": {"double_size": "size * 2", "hour": "hour(known_at)"},
        "last": [
            {"stream": "seen", "by": ["tail"], "within": "2h", "columns": {"last_delay": "delay", "last_seats": "seats"}, "age": "last_age"},
            {"stream": "seen", "where": "kind = 'landed'", "by": ["tail"], "within": "1h", "columns": {"landed_delay": "delay"}},
        ],
        "windows": [
            {"stream": "seen", "where": "kind = 'left'", "by": ["tail"], "over": ["1h", "3h"],
             "aggregates": {"left": ["count", None], "delays": ["count", "delay"], "mean": ["mean", "delay"], "sum": ["sum", "delay"]}},
            {"stream": "seen", "by": ["tail", "port"], "over": ["2h"], "aggregates": {"least": ["min", "delay"], "most": ["max", "delay"]}},
        ],
    }
)  # fmt: skip


def frame(spark: SparkSession, rows: Rows, **kinds: pa.DataType) -> DataFrame:
    kinds |= {"known_at": pa.timestamp("us", "UTC"), "kafka_partition": pa.int32(), "kafka_offset": pa.int64()}
    return spark.createDataFrame(
        pa.table({name: pa.array([row[name] for row in rows], kind) for name, kind in kinds.items()})
    )


def asked(spark: SparkSession, rows: Rows) -> DataFrame:
    return frame(spark, rows, flight=pa.string(), tail=pa.string(), port=pa.string(), size=pa.int32())


def seen(spark: SparkSession, rows: Rows) -> DataFrame:
    return frame(
        spark, rows, tail=pa.string(), port=pa.string(), kind=pa.string(), delay=pa.float64(), seats=pa.int32()
    )


def request(
    flight: str, at: datetime, *, tail: str | None = "T1", port: str | None = "EWR", size: int = 1, offset: int = 0
) -> dict[str, Any]:
    return {
        "flight": flight,
        "known_at": at,
        "tail": tail,
        "port": port,
        "size": size,
        "kafka_partition": 0,
        "kafka_offset": offset,
    }


def event(
    at: datetime, delay: float | None, *, kind: str | None = "left", tail: str | None = "T1", port: str | None = "EWR"
) -> dict[str, Any]:
    return {
        "known_at": at,
        "delay": delay,
        "kind": kind,
        "tail": tail,
        "port": port,
        "seats": 100,
        "kafka_partition": 0,
        "kafka_offset": 0,
    }


def oracle(requests: Rows, events: Rows) -> dict[str, dict[str, set[Any]]]:
    """By id and feature, the values that are right (several where rows share the newest instant)."""
    first: dict[str, dict[str, Any]] = {}
    for row in sorted(requests, key=lambda r: (r["known_at"], r["kafka_partition"], r["kafka_offset"])):
        first.setdefault(row["flight"], row)
    return {flight: features_of(row, events) for flight, row in first.items()}


def features_of(row: dict[str, Any], events: Rows) -> dict[str, set[Any]]:
    now = row["known_at"]

    def of(*keys: str, kind: str | None = None) -> Rows:
        return [
            e for e in events
            if all(row[k] is not None and e[k] == row[k] for k in keys) and kind in (None, e["kind"]) and e["known_at"] <= now
        ]  # fmt: skip

    def newest(rows: Rows, within: timedelta) -> Rows:
        fresh = [e for e in rows if e["known_at"] >= now - within]
        return [e for e in fresh if e["known_at"] == max(f["known_at"] for f in fresh)]

    def one(values: Iterable[Any]) -> set[Any]:
        return set(values) or {None}

    last, landed = newest(of("tail"), 2 * HOUR), newest(of("tail", kind="landed"), HOUR)
    found: dict[str, set[Any]] = {
        "double_size": {row["size"] * 2.0},
        "hour": {float(now.hour)},
        "last_delay": one(e["delay"] for e in last),
        "last_seats": one(e["seats"] for e in last),
        "last_age": one((now - e["known_at"]) / timedelta(minutes=1) for e in last),
        "landed_delay": one(e["delay"] for e in landed),
    }
    for hours in (1, 3):
        within = [e for e in of("tail", kind="left") if e["known_at"] > now - hours * HOUR]
        delays = [e["delay"] for e in within if e["delay"] is not None]
        found |= {
            f"left_{hours}h": {float(len(within))},
            f"delays_{hours}h": {float(len(delays))},
            f"mean_{hours}h": {math.fsum(delays) / len(delays) if delays else None},
            f"sum_{hours}h": {math.fsum(delays) if delays else None},
        }
    both = [e["delay"] for e in of("tail", "port") if e["known_at"] > now - 2 * HOUR and e["delay"] is not None]
    return found | {"least_2h": {min(both, default=None)}, "most_2h": {max(both, default=None)}}


def differences(got: DataFrame, expected: dict[str, dict[str, set[Any]]]) -> list[str]:
    rows = {row["id"]: row for row in got.drop("at").collect()}
    wrong = [f"{flight}: absent or too many" for flight in rows.keys() ^ expected.keys()]
    for flight, features in expected.items():
        for name, right in features.items():
            value = rows[flight][name]
            if not any(value == r if None in (value, r) else math.isclose(value, r, abs_tol=1e-8) for r in right):
                wrong.append(f"{flight}.{name}: {value}, expected {right}")
    return wrong


def random_rows(seed: int) -> tuple[Rows, Rows]:
    """Coarse times, so that ties and exact boundaries occur often."""
    chance = random.Random(seed)

    def at() -> datetime:
        return START + chance.randrange(24) * HOUR / 2 + chance.choice([-1, 0, 0, 0, 1]) * MICRO

    def tail() -> str | None:
        return chance.choice(["T1", "T1", "T2", None])

    def port() -> str | None:
        return chance.choice(["EWR", "JFK", None])

    requests = [
        request(f"F{chance.randrange(40)}", at(), tail=tail(), port=port(), size=i, offset=i) for i in range(60)
    ]
    events = [
        event(at(), chance.choice([None, -5.0, 0.1, 0.2, 30.0, 1e6 / 7]), kind=chance.choice(["left", "landed", None]), tail=tail(), port=port())
        for _ in range(200)
    ]  # fmt: skip
    return requests, events


@pytest.mark.parametrize("seed", range(4))
def test_features_are_those_of_the_slow_reader(spark: SparkSession, seed: int) -> None:
    requests, events = random_rows(seed)
    got = compute_features(asked(spark, requests), {"seen": seen(spark, events)}, features=FEATURES)
    assert differences(got, oracle(requests, events)) == []


def test_a_look_one_microsecond_into_the_future_is_caught(spark: SparkSession) -> None:
    """The fault is planted: every row becomes visible a microsecond too early."""
    requests, events = random_rows(0)
    early = seen(spark, events).withColumn("known_at", F.col("known_at") - F.expr("interval 1 microsecond"))
    assert differences(
        compute_features(asked(spark, requests), {"seen": early}, features=FEATURES), oracle(requests, events)
    )


def test_order_and_partitioning_of_rows_change_nothing(spark: SparkSession) -> None:
    """Not even in the last bit, and not where several rows share the newest instant."""
    requests, events = random_rows(7)

    def computed(parts: int, shuffle: int) -> list[Any]:
        chance = random.Random(shuffle)
        a, b = chance.sample(requests, len(requests)), chance.sample(events, len(events))
        tables = {"seen": seen(spark, b).repartition(parts)}
        return sorted(
            compute_features(asked(spark, a).repartition(parts), tables, features=FEATURES).collect(),
            key=lambda r: r["id"],
        )

    first = computed(1, 1)
    assert computed(5, 2) == first
    assert computed(3, 3) == first


def test_the_edges_of_time_are_exact(spark: SparkSession) -> None:
    noon = START + 12 * HOUR
    events = [
        event(noon, 1.0),
        event(noon + MICRO, 2.0),
        event(noon - HOUR, 4.0),
        event(noon - HOUR + MICRO, 8.0),
        event(noon - 2 * HOUR, 16.0, tail="T2"),
        event(noon - 2 * HOUR - MICRO, 32.0, tail="T3"),
    ]
    requests = [
        request("A", noon),
        request("B", noon, tail="T2"),
        request("C", noon, tail="T3"),
        request("D", noon, tail="T9"),
    ]
    got = compute_features(asked(spark, requests), {"seen": seen(spark, events)}, features=FEATURES)
    a, b, c, d = sorted(got.collect(), key=lambda row: row["id"])
    assert a["sum_1h"] == 9.0, "a row at T counts, one at T - 1 h does not, nor one after T"
    assert (a["last_delay"], a["last_age"]) == (1.0, 0.0)
    assert (b["last_delay"], b["last_age"]) == (16.0, 120.0), "a row exactly as old as `within` still counts"
    assert (c["last_delay"], c["last_age"]) == (None, None)
    assert (d["left_1h"], d["mean_1h"], d["sum_1h"], d["least_2h"], d["last_delay"]) == (0.0, None, None, None, None)


def test_the_newest_row_counts_even_where_its_value_is_null(spark: SparkSession) -> None:
    events = [event(START, 5.0), event(START + HOUR, None)]
    (row,) = compute_features(
        asked(spark, [request("A", START + HOUR)]), {"seen": seen(spark, events)}, features=FEATURES
    ).collect()
    assert (row["last_delay"], row["last_seats"]) == (None, 100.0)


def test_columns_come_in_declared_order_as_doubles(spark: SparkSession) -> None:
    got = compute_features(asked(spark, []), {"seen": seen(spark, [])}, features=FEATURES)
    assert got.columns == ["id", "at", *FEATURES.names]
    assert {kind for name, kind in got.dtypes if name not in ("id", "at")} == {"double"}
    assert lookback_seconds(FEATURES) == 3 * 3600
