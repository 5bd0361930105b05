"""A feature table that follows its events equals one computed whole, value by value, and computes only what was touched."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from headrace.errors import TrainingError
from headrace.features.catalogue import catalogue, figures
from headrace.features.compute import compute_features
from headrace.features.table import build_features, built_by, forget_features
from headrace.lake.layout import Layout
from headrace.lake.tables import create_table, read_accepted
from headrace.spec import load

PIPELINE = """
pipeline: rides
lake: {path: LAKE}
streams:
  asked: {topic: asked, schema: asked.json, event_time: known, known_at: known}
  seen: {topic: seen, schema: seen.json, event_time: known, known_at: known}
features:
  requests: asked
  id: ride
  columns: {size: size}
  last:
    - {stream: seen, by: [zone], within: 2h, columns: {last_fare: fare}, age: last_age}
  windows:
    - {stream: seen, by: [zone], over: [1h], aggregates: {fare: [mean, fare], rides: [count, null]}}
    - {stream: asked, by: [zone], over: [30m], aggregates: {asked: [count, null]}}
"""
START = datetime(2026, 1, 1, tzinfo=UTC)
KINDS = {
    "known_at": pa.timestamp("us", "UTC"), "released_known_at": pa.timestamp("us", "UTC"), "verdict": pa.string(),
    "kafka_partition": pa.int32(), "kafka_offset": pa.int64(), "zone": pa.string(),
}  # fmt: skip
OWN = {"asked": {"ride": pa.string(), "size": pa.int32()}, "seen": {"fare": pa.float64()}}
FIELDS = {"asked": ("ride string", "zone string", "size integer"), "seen": ("zone string", "fare double")}


class Lake:
    def __init__(self, spark: SparkSession, folder: Path) -> None:
        import json

        for stream, fields in FIELDS.items():
            named = [field.split() for field in (*fields, "known timestamp")]
            told = [{"name": name, "type": kind, "nullable": True, "metadata": {}} for name, kind in named]
            (folder / f"{stream}.json").write_text(json.dumps({"type": "struct", "fields": told}))
        (folder / "pipeline.yaml").write_text(PIPELINE.replace("LAKE", str(folder / "lake")))
        self.spark, self.pipeline, self.offset = spark, load(folder, {}), 0
        self.layout = Layout(self.pipeline.spec.lake.root)
        assert self.pipeline.spec.features is not None
        self.features = self.pipeline.spec.features
        self.path = self.layout.features("asked")

    def add(self, stream: str, *rows: dict[str, Any]) -> None:
        filled = []
        for row in rows:
            self.offset += 1
            filled.append(
                {
                    "verdict": "accepted",
                    "kafka_partition": 0,
                    "kafka_offset": self.offset,
                    "released_known_at": None,
                    **row,
                }
            )
        kinds = {**KINDS, **OWN[stream]}
        table = pa.table({name: pa.array([row[name] for row in filled], kind) for name, kind in kinds.items()})
        frame = self.spark.createDataFrame(table)
        create_table(self.spark, self.layout.events(stream), schema=frame.schema, statistics=())
        frame.write.format("delta").mode("append").save(self.layout.events(stream))

    def whole(self) -> list[Any]:
        rows = {name: read_accepted(self.spark, self.layout.events(name)) for name in FIELDS}
        return sorted(compute_features(rows["asked"], rows, features=self.features).collect())

    def table(self) -> list[Any]:
        return sorted(self.spark.read.format("delta").load(self.path).collect())


def ask(ride: str, minute: float, zone: str | None = "a", size: int = 1, **more: Any) -> dict[str, Any]:
    return {"ride": ride, "known_at": START + timedelta(minutes=minute), "zone": zone, "size": size, **more}


def saw(minute: float, fare: float | None, zone: str | None = "a", **more: Any) -> dict[str, Any]:
    return {"known_at": START + timedelta(minutes=minute), "zone": zone, "fare": fare, **more}


@pytest.fixture
def lake(spark: SparkSession, tmp_path: Path) -> Lake:
    return Lake(spark, tmp_path)


def test_late_and_new_rows_touch_only_their_own_and_the_table_equals_one_computed_whole(lake: Lake) -> None:
    lake.add("asked", *(ask(f"r{n}", 30 * n, "ab"[n % 2]) for n in range(12)))
    lake.add("seen", *(saw(20 * n, float(n), "ab"[n % 2]) for n in range(15)))
    first = build_features(lake.spark, lake.pipeline)
    assert (first.requests, first.computed, first.whole) == (12, 12, "the table is new")
    assert lake.table() == lake.whole()
    again = build_features(lake.spark, lake.pipeline)
    assert (again.computed, again.version) == (0, first.version)  # nothing changed: not even a commit
    lake.add("seen", saw(61, 99.0))  # late: known since minute 61, touches zone a until 181 + 1
    before = lake.table()
    late = build_features(lake.spark, lake.pipeline)
    assert lake.table() == lake.whole() != before
    assert (late.computed, late.whole) == (2, None)  # r4 at 120 and r6 at 180; r2 at 60 came before
    lake.add("asked", ask("new", 75), ask("r6", 175, size=7))  # one of its own, and an earlier one with r6's id
    third = build_features(lake.spark, lake.pipeline)
    assert lake.table() == lake.whole()
    assert third.whole is None
    assert third.computed < 12


@pytest.mark.parametrize("seed", range(2))
def test_any_order_of_arrival_ends_with_the_same_table(lake: Lake, seed: int) -> None:
    chance = random.Random(seed)
    rows = [
        ("asked", ask(f"r{chance.randrange(30)}", chance.randrange(300), chance.choice("ab"), n)) for n in range(40)
    ]
    rows += [
        ("seen", saw(chance.randrange(300), chance.choice([None, 1.5, 2.5]), chance.choice("ab"))) for _ in range(40)
    ]
    rows += [("seen", saw(5, 1.0, None)), ("seen", saw(6, 1e9, verdict="quarantined")), ("asked", ask("r99", 9, None))]
    chance.shuffle(rows)
    for part in (rows[:40], rows[40:60], rows[60:]):
        for stream in FIELDS:
            lake.add(stream, *(row for name, row in part if name == stream))
        build_features(lake.spark, lake.pipeline)
        assert lake.table() == lake.whole()


def test_a_change_that_is_overlooked_is_caught(lake: Lake, monkeypatch) -> None:
    """The fault is planted: changes of the stream of rides are not looked at."""
    from headrace.features import table

    lake.add("asked", *(ask(f"r{n}", 30 * n) for n in range(4)))
    lake.add("seen", saw(10, 1.0))
    build_features(lake.spark, lake.pipeline)
    looked = table._changes
    monkeypatch.setattr(
        table,
        "_changes",
        lambda spark, path, **versions: None if path.endswith("seen") else looked(spark, path, **versions),
    )
    lake.add("seen", saw(20, 5.0))
    build_features(lake.spark, lake.pipeline)
    assert lake.table() != lake.whole()


def test_another_declaration_computes_all_anew_and_the_catalogue_tells_of_it(lake: Lake, tmp_path: Path) -> None:
    lake.add("asked", ask("r1", 30), ask("r2", 60))
    lake.add("seen", saw(10, 3.0), saw(20, None))
    build_features(lake.spark, lake.pipeline)
    text = (tmp_path / "pipeline.yaml").read_text().replace("over: [1h]", "over: [2h]")
    (tmp_path / "pipeline.yaml").write_text(text)
    lake.pipeline = load(tmp_path, {})
    assert lake.pipeline.spec.features is not None
    lake.features = lake.pipeline.spec.features
    assert not built_by(lake.spark, lake.path, lake.features)
    built = build_features(lake.spark, lake.pipeline)
    assert (built.computed, built.whole) == (2, "their declaration changed")
    assert lake.table() == lake.whole()
    values = figures(lake.spark.read.format("delta").load(lake.path), lake.features.names)
    assert (values["fare_2h"].missing, values["fare_2h"].mean, values["rides_2h"].p50) == (0, 3.0, 2.0)
    assert (values["last_fare"].missing, values["last_fare"].mean) == (2, None)  # the newest row has no fare
    told = {entry.name: (entry.what, entry.sees) for entry in catalogue(lake.features)}
    assert tuple(told) == lake.features.names
    assert told["fare_2h"] == ("mean of fare", "rows of the same zone, known in (T - 2h, T]")
    assert told["asked_30m"] == ("count of rows", "earlier rows of the same zone, known in (T - 30m, T)")


def test_a_forgotten_table_is_gone_and_can_be_built_anew(lake: Lake) -> None:
    lake.add("asked", ask("r1", 30))
    with pytest.raises(TrainingError, match="stream 'seen' has no table yet; run: headrace ingest"):
        build_features(lake.spark, lake.pipeline)
    lake.add("seen", saw(10, 3.0))
    build_features(lake.spark, lake.pipeline)
    assert forget_features(lake.spark, lake.path, what="features/asked")
    assert not Path(lake.path).exists()
    assert not forget_features(lake.spark, lake.path, what="features/asked")
    build_features(lake.spark, lake.pipeline)
    assert lake.table() == lake.whole()
