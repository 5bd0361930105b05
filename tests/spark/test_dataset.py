"""Training rows: only what was known before the cut-off, the newest word on each outcome, and a count of what is left out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from accepted import schema
from pyspark.sql import SparkSession

from headrace.errors import TrainingError
from headrace.spec import Pipeline, load
from headrace.training.dataset import Dataset, build_dataset

AS_OF = datetime(2013, 6, 1, tzinfo=UTC)
MICRO = timedelta(microseconds=1)
DAY = timedelta(days=1)

PIPELINE = """
pipeline: planes
lake: {path: LAKE}
streams:
  asked: {topic: asked, schema: asked.json, event_time: known, known_at: known}
  told: {topic: told, schema: told.json, event_time: known, known_at: known}
features:
  requests: asked
  id: flight
  columns: {size: size}
  windows:
    - {stream: told, by: [tail], over: [30d], aggregates: {landings: [count, null]}}
label:
  stream: told
  where: kind = 'landed'
  by: flight
  positive: delay > 15
  excluded:
    cancelled: kind = 'cancelled'
    diverted: kind = 'diverted'
"""


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    folder = tmp_path_factory.mktemp("planes")
    (folder / "pipeline.yaml").write_text(PIPELINE.replace("LAKE", str(folder / "lake")), encoding="utf-8")
    (folder / "asked.json").write_text(
        schema(flight="string", tail="string", size="integer", known="timestamp"), encoding="utf-8"
    )
    columns = {"flight": "string", "tail": "string", "kind": "string", "delay": "double", "known": "timestamp"}
    (folder / "told.json").write_text(schema(**columns), encoding="utf-8")
    return load(folder, {})


def write(
    spark: SparkSession, pipeline: Pipeline, stream: str, rows: list[dict[str, Any]], **kinds: pa.DataType
) -> None:
    kinds |= {
        "known_at": pa.timestamp("us", "UTC"),
        "verdict": pa.string(),
        "kafka_partition": pa.int32(),
        "kafka_offset": pa.int64(),
    }
    table = pa.table({name: pa.array([row[name] for row in rows], kind) for name, kind in kinds.items()})
    path = f"{pipeline.spec.lake.root}/events/{stream}"
    spark.createDataFrame(table).write.format("delta").mode("append").partitionBy("verdict").save(path)


def ask(flight: str, at: datetime, *, verdict: str = "accepted", size: int = 1) -> dict[str, Any]:
    common = {"verdict": verdict, "kafka_partition": 0, "kafka_offset": size}
    return {"flight": flight, "tail": "T1", "size": size, "known_at": at, **common}


def tell(
    flight: str,
    at: datetime,
    delay: float | None = None,
    *,
    kind: str = "landed",
    verdict: str = "accepted",
    offset: int = 0,
) -> dict[str, Any]:
    common = {"verdict": verdict, "kafka_partition": 0, "kafka_offset": offset}
    return {"flight": flight, "tail": "T2", "kind": kind, "delay": delay, "known_at": at, **common}


MAY = datetime(2013, 5, 1, tzinfo=UTC)
FLIGHTS = [
    "late",
    "early",
    "later",
    "at the cut",
    "cancelled",
    "mended",
    "mended later",
    "no delay",
    "silent",
    "refused",
    "twice",
    "tie",
    "back",
    "reopened",
]
ASKED = [
    *(ask(name, MAY) for name in FLIGHTS),
    ask("twice", MAY + DAY, size=99),
    ask("after", AS_OF),
    ask("just before", AS_OF - MICRO),
    ask("unheard", MAY, verdict="quarantined"),
]
TOLD = [
    tell("late", MAY + DAY, 16.0),
    tell("early", MAY + DAY, 15.0),
    tell("later", AS_OF + DAY, 99.0),
    tell("at the cut", AS_OF, 99.0),
    tell("cancelled", MAY + DAY, kind="cancelled"),
    tell("mended", MAY + DAY, 99.0),
    tell("mended", MAY + 2 * DAY, 0.0),
    tell("mended later", MAY + DAY, 99.0),
    tell("mended later", AS_OF + DAY, 0.0),
    tell("no delay", MAY + DAY, None),
    tell("refused", MAY + DAY, 99.0, verdict="quarantined"),
    tell("twice", MAY + 2 * DAY, 20.0),
    tell("tie", MAY + DAY, 0.0, offset=1),
    tell("tie", MAY + DAY, 99.0, offset=2),
    tell("back", MAY + DAY, 99.0),
    tell("back", MAY + 2 * DAY, kind="diverted"),
    tell("reopened", MAY + DAY, 0.0),
    tell("reopened", MAY + 2 * DAY, kind="departed"),
    tell("unasked", MAY + DAY, 99.0),
]


@pytest.fixture(scope="module")
def dataset(spark: SparkSession, pipeline: Pipeline) -> Dataset:
    with pytest.raises(TrainingError, match="stream 'asked' has no table yet; run: headrace ingest --until-caught-up"):
        build_dataset(spark, pipeline, as_of=AS_OF)
    write(spark, pipeline, "asked", ASKED, flight=pa.string(), tail=pa.string(), size=pa.int32())
    write(spark, pipeline, "told", TOLD, flight=pa.string(), tail=pa.string(), kind=pa.string(), delay=pa.float64())
    return build_dataset(spark, pipeline, as_of=AS_OF)


@pytest.fixture(scope="module")
def rows(dataset: Dataset) -> dict[str, Any]:
    found = dataset.frame.collect()
    assert len({row["id"] for row in found}) == len(found), "one row per request"
    return {row["id"]: row for row in found}


def test_outcomes_known_before_the_cut_off_become_labels(rows: dict[str, Any]) -> None:
    assert {name: row["label"] for name, row in rows.items()} == {
        "late": 1, "early": 0, "mended": 0, "mended later": 1, "twice": 1, "tie": 1, "reopened": 0,
    }  # fmt: skip


def test_a_label_says_since_when_it_is_known(rows: dict[str, Any]) -> None:
    known = {name: row["label_known_at"].replace(tzinfo=UTC) for name, row in rows.items()}
    assert (known["mended"], known["mended later"]) == (MAY + 2 * DAY, MAY + DAY)
    assert max(known.values()) < AS_OF


def test_what_is_left_out_is_counted_by_reason(dataset: Dataset, rows: dict[str, Any]) -> None:
    """later, at the cut, silent, refused, just before: nothing known yet; no delay: landed, but where?"""
    assert dataset.excluded == {"cancelled": 1, "diverted": 1, "no_outcome": 1, "outcome_not_known": 5}
    accepted = {row["flight"] for row in ASKED if row["verdict"] == "accepted" and row["known_at"] < AS_OF}
    assert len(rows) + sum(dataset.excluded.values()) == len(accepted)


def test_of_a_request_sent_twice_the_first_counts(rows: dict[str, Any]) -> None:
    assert (rows["twice"]["size"], rows["twice"]["at"].replace(tzinfo=UTC)) == (1.0, MAY)


def test_the_frame_has_the_declared_columns(dataset: Dataset) -> None:
    assert dataset.frame.columns == ["id", "at", "size", "landings_30d", "label", "label_known_at"]
    assert dataset.features == ("size", "landings_30d")
    assert dataset.versions == {"asked": 0, "told": 0}


def test_a_later_cut_off_uses_what_became_known(spark: SparkSession, pipeline: Pipeline, dataset: Dataset) -> None:
    later = build_dataset(spark, pipeline, as_of=AS_OF + 2 * DAY)
    labels = {row["id"]: row["label"] for row in later.frame.select("id", "label").collect()}
    assert (labels["later"], labels["at the cut"], labels["mended later"]) == (1, 1, 0)
    assert later.excluded["outcome_not_known"] == 4


def test_rows_that_arrive_later_do_not_change_a_dataset_of_pinned_versions(
    spark: SparkSession, pipeline: Pipeline, dataset: Dataset, rows: dict[str, Any]
) -> None:
    kinds = {"flight": pa.string(), "tail": pa.string(), "kind": pa.string(), "delay": pa.float64()}
    write(spark, pipeline, "told", [tell("late", MAY + 3 * DAY, 0.0)], **kinds)
    assert {row["id"]: row["label"] for row in dataset.frame.collect()} == {
        name: row["label"] for name, row in rows.items()
    }
    renewed = build_dataset(spark, pipeline, as_of=AS_OF)
    assert renewed.versions["told"] == 1
    assert {row["id"]: row["label"] for row in renewed.frame.collect()}["late"] == 0


def test_before_any_outcome_there_is_nothing_to_train_on(
    spark: SparkSession, pipeline: Pipeline, dataset: Dataset
) -> None:
    with pytest.raises(
        TrainingError, match=r"no request before 2013-05-01 00:00 UTC has a known outcome; ingest more data or choose"
    ):
        build_dataset(spark, pipeline, as_of=MAY)
