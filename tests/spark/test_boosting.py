"""A calibrated model and one that Spark's workers trained, through the real path: snapshot, MLflow, the gate, scoring, a rebuild."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pyarrow as pa
import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from headrace.connections import connect_tracking
from headrace.lake.tables import read_accepted
from headrace.serving.publish import records
from headrace.serving.score import FeatureTables, score
from headrace.spec import Pipeline, load
from headrace.training import evaluate, registry
from headrace.training.calibration import Sigmoid, carried
from headrace.training.fit import predict, uncalibrated
from headrace.training.recipe import Calibrated, recipe_of
from headrace.training.reproduce import reproduce
from headrace.training.run import Training, train
from headrace.training.trained import find

START = datetime(2026, 1, 1, tzinfo=UTC)
AS_OF = START + timedelta(days=100)
ROWS = 2000
FEATURES = ("size", "speed")
PIPELINE = """
pipeline: trips
lake: {path: LAKE}
streams:
  asked: {topic: asked, schema: asked.json, event_time: known, known_at: known}
  told: {topic: told, schema: told.json, event_time: known, known_at: known}
features:
  requests: asked
  id: trip
  columns: {size: size, speed: speed}
label: {stream: told, by: trip, LABEL}
model:
  name: NAME
  rounds: 30
  test_share: 0.25
  MODEL
  gate: {minimum_rows: 100, resamples: 100}
"""


def schema(**columns: str) -> str:
    fields = [{"name": name, "type": kind, "nullable": True, "metadata": {}} for name, kind in columns.items()]
    return json.dumps({"type": "struct", "fields": fields})


@pytest.fixture(scope="module")
def folder(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with a trip every hour, some without a speed, whose outcomes follow size and speed but for chance."""
    folder, chance = tmp_path_factory.mktemp("boosting"), np.random.default_rng(5)
    size, speed, noise = (chance.normal(size=ROWS) for _ in range(3))
    ids = [f"t{hour}" for hour in range(ROWS)]
    asked = [START + timedelta(hours=hour) for hour in range(ROWS)]
    seen = pa.array(np.where(chance.random(ROWS) < 0.1, np.nan, speed), from_pandas=True)
    _write(spark, folder, "asked", known_at=asked, trip=ids, size=size, speed=seen)
    late = (chance.random(ROWS) < 1 / (1 + np.exp(1.5 - size - speed))).astype(int)
    minutes = 30 + 10 * size + 5 * speed + 2 * noise
    told = [at + timedelta(hours=5) for at in asked]
    _write(spark, folder, "told", known_at=told, trip=ids, late=late, minutes=minutes)
    return folder


def _write(spark: SparkSession, folder: Path, stream: str, *, known_at: list[datetime], **columns: Any) -> None:
    moments = pa.array(known_at, pa.timestamp("us", "UTC"))
    table = pa.table(
        {
            **columns,
            "known_at": moments,
            "verdict": ["accepted"] * len(known_at),
            "kafka_partition": pa.array([0] * len(known_at), pa.int32()),
            "kafka_offset": pa.array(range(len(known_at)), pa.int64()),
            "kafka_timestamp": moments,
        }
    )
    spark.createDataFrame(table).write.format("delta").partitionBy("verdict").save(f"{folder}/lake/events/{stream}")


def pipeline(folder: Path, name: str, model: str, *, label: str = "positive: late = 1") -> Pipeline:
    """A pipeline with ``model`` in its section of that name."""
    place = folder / name
    place.mkdir(exist_ok=True)
    text = PIPELINE.replace("LAKE", str(folder / "lake")).replace("LABEL", label).replace("NAME", name)
    (place / "pipeline.yaml").write_text(text.replace("MODEL", model), encoding="utf-8")
    (place / "asked.json").write_text(schema(trip="string", size="double", speed="double", known="timestamp"))
    (place / "told.json").write_text(schema(trip="string", late="integer", minutes="double", known="timestamp"))
    return load(place, {})


def trained(spark: SparkSession, folder: Path, one: Pipeline, notify: Any = lambda line: None) -> Training:
    return train(spark, one, tracking=connect_tracking(one, home=folder / "home"), as_of=AS_OF, notify=notify)


def answered(spark: SparkSession, folder: Path, one: Pipeline, model: registry.RegisteredModel) -> dict[str, float]:
    """The newest 300 requests, scored, as the records of the topic have the answers."""
    asked = read_accepted(spark, f"{folder}/lake/events/asked")
    asked = asked.where(f"known_at >= '{START + timedelta(hours=ROWS - 300)}'")
    assert one.spec.features is not None
    rows = score(
        spark, asked, features=one.spec.features, tables=FeatureTables({}, {}), model=model, span=(START, AS_OF), degraded=False,
        score_batch=0,
    )  # fmt: skip
    sent = records(rows, kind=model.task.kind).selectExpr("cast(key as string) key", "cast(value as string) value")
    told = {row["key"]: json.loads(row["value"]) for row in sent.collect()}
    return {key: value.get("probability", value.get("prediction")) for key, value in told.items()}


def snapshot(folder: Path, done: Training) -> pa.Table:
    """The rows of a training, by delta-rs."""
    return DeltaTable(f"{folder}/lake/snapshots/{done.run_id}").to_pyarrow_table().sort_by("id")


def test_a_calibrated_model_is_registered_judged_scored_and_rebuilt(spark: SparkSession, folder: Path) -> None:
    declared = pipeline(
        folder, "calibrated", "calibration: sigmoid\n  calibration_share: 0.3\n  parameters: {scale_pos_weight: 10, max_depth: 3}"
    )
    done = trained(spark, folder, declared)
    assert done.promoted, done.verdict.refusals
    loaded = registry.load("calibrated", version=1)
    assert isinstance(carried(loaded.booster), Sigmoid)

    rows = snapshot(folder, done)
    expected = dict(zip(rows["id"].to_pylist(), predict(loaded.booster, rows, features=FEATURES), strict=True))
    found = answered(spark, folder, declared, loaded)
    assert len(found) == 300
    assert found == {key: pytest.approx(float(expected[key]), abs=1e-6) for key in found}

    newest = rows.filter(pa.array([int(one[1:]) >= ROWS * 3 // 4 for one in rows["id"].to_pylist()]))
    label = newest.column("label").to_numpy()
    before = uncalibrated(loaded.booster, newest, features=FEATURES)
    after = predict(loaded.booster, newest, features=FEATURES)
    assert before is not None
    errors = [evaluate.calibration_error(label, one) for one in (before, after)]
    assert errors[0] > 0.2
    assert errors[1] < 0.08
    card = mlflow.artifacts.load_text(f"runs:/{done.run_id}/card.md")  # pyright: ignore[reportPrivateImportUsage]
    assert f"over tenths of the test rows: {errors[1]:.4f}" in card
    assert f"Without the calibration that the model carries, it is {errors[0]:.4f}." in card

    recipe, one = recipe_of(done.run_id), find("calibrated/1", model=declared.spec.model)
    assert recipe.calibration == Calibrated(method="sigmoid", share=0.3)
    again = reproduce(spark, one, recipe, threads=1, partitions=3)
    assert again.reproduced, again.sentence
    assert again.rebuilt_sha256 == again.recorded_sha256
    other = recipe.model_copy(update={"calibration": Calibrated(method="isotonic", share=0.3)})
    planted = reproduce(spark, one, other)
    assert not planted.reproduced
    assert {"record", "bytes", "calibration", "predictions"} <= {found.kind for found in planted.differences}
    assert "the calibration is isotonic in training.json, and sigmoid beside it in MLflow" in planted.sentence
