"""A calibrated model and one that Spark's workers trained, on the real path: snapshot, MLflow, the gate, scoring, a rebuild."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pyarrow as pa
import pytest
import xgboost as xgb
from accepted import schema, write_accepted
from deltalake import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from headrace.connections import connect_tracking
from headrace.errors import NotReproducible, TrainingError
from headrace.lake.tables import read_accepted
from headrace.serving.publish import records
from headrace.serving.score import FeatureTables, score
from headrace.spec import Pipeline, load
from headrace.training import evaluate, registry
from headrace.training.apart import Apart
from headrace.training.calibration import Sigmoid, carried
from headrace.training.dataset import GROUP, LABEL, LABEL_KNOWN_AT
from headrace.training.differences import record_differences
from headrace.training.distributed.boost import NEWEST, Job, boosted_by_workers
from headrace.training.distributed.rows import split_apart, split_apart_at, with_newest
from headrace.training.fit import boosted, predict, settings, uncalibrated
from headrace.training.folds import newest_share
from headrace.training.learners.boosting import Boosted
from headrace.training.quality import feature_facts
from headrace.training.recipe import Calibrated, recipe_of
from headrace.training.reproduce import reproduce
from headrace.training.run import Training, train
from headrace.training.split import known_before, split_in_time
from headrace.training.task import Task
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


@pytest.fixture(scope="module")
def folder(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with a trip every hour, some without a speed, whose outcomes follow size and speed but for chance."""
    folder, chance = tmp_path_factory.mktemp("boosting"), np.random.default_rng(5)
    size, speed, noise = (chance.normal(size=ROWS) for _ in range(3))
    ids = [f"t{hour}" for hour in range(ROWS)]
    asked = [START + timedelta(hours=hour) for hour in range(ROWS)]
    seen = pa.array(np.where(chance.random(ROWS) < 0.1, np.nan, speed), from_pandas=True)
    write_accepted(spark, folder, "asked", known_at=asked, trip=ids, size=size, speed=seen)
    late = (chance.random(ROWS) < 1 / (1 + np.exp(1.5 - size - speed))).astype(int)
    minutes = 30 + 10 * size + 5 * speed + 2 * noise
    told = [at + timedelta(hours=5) for at in asked]
    write_accepted(spark, folder, "told", known_at=told, trip=ids, late=late, minutes=minutes)
    return folder


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


def booster_of(model: registry.RegisteredModel) -> xgb.Booster:
    """Its Booster, as XGBoost has it."""
    assert isinstance(model.fitted, Boosted)
    return model.fitted.booster


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


@pytest.fixture
def brought(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows came to the driver, each time that rows did."""
    counted: list[int] = []
    kind = type(spark.range(1))
    for name in ("toArrow", "collect", "toPandas"):
        real = getattr(kind, name)

        def watched(frame: DataFrame, real: Any = real) -> Any:
            found = real(frame)
            counted.append(len(found))
            return found

        monkeypatch.setattr(kind, name, watched)
    return counted


def test_a_calibrated_model_is_registered_judged_scored_and_rebuilt(
    spark: SparkSession, folder: Path, brought: list[int]
) -> None:
    declared = pipeline(
        folder,
        "calibrated",
        "calibration: sigmoid\n  calibration_share: 0.3\n  parameters: {scale_pos_weight: 10, max_depth: 3}",
    )
    done = trained(spark, folder, declared)
    assert done.promoted, done.verdict.refusals
    assert max(brought) == ROWS, "the driver holds all rows where it trains"
    loaded = registry.load("calibrated", version=1)
    assert isinstance(carried(booster_of(loaded)), Sigmoid)

    rows = snapshot(folder, done)
    expected = dict(zip(rows["id"].to_pylist(), predict(booster_of(loaded), rows, features=FEATURES), strict=True))
    found = answered(spark, folder, declared, loaded)
    assert len(found) == 300
    assert found == {key: pytest.approx(float(expected[key]), abs=1e-6) for key in found}

    newest = rows.filter(pa.array([int(one[1:]) >= ROWS * 3 // 4 for one in rows["id"].to_pylist()]))
    label = newest.column("label").to_numpy()
    before = uncalibrated(booster_of(loaded), newest, features=FEATURES)
    after = predict(booster_of(loaded), newest, features=FEATURES)
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
    other = recipe.model_copy(update={"calibration": Calibrated(method="isotonic", share=0.3), "workers": 2})
    planted = [found.sentence for found in record_differences(other, one)]
    assert planted == [
        "the calibration is isotonic in training.json, and sigmoid beside it in MLflow",
        "what trained is 2 workers in training.json, and None beside it in MLflow",
    ]


def test_workers_train_what_the_driver_would_and_the_gate_judges_it(
    spark: SparkSession, folder: Path, brought: list[int]
) -> None:
    said: list[str] = []
    model = "distributed: {above_rows: 1000, workers: 7}\n  parameters: {max_depth: 3}"
    declared = pipeline(folder, "distributed", model)
    done = trained(spark, folder, declared, said.append)
    assert done.promoted, done.verdict.refusals
    assert max(brought) == done.test_rows < ROWS / 3, "no row that trains comes to the driver"
    assert "7 workers are declared, and this Spark has slots for 2: so many train" in said
    assert registry.run_tag(done.run_id, "headrace.distributed") == "2 workers"
    recipe, loaded = recipe_of(done.run_id), registry.load("distributed", version=1)
    assert (recipe.workers, recipe.tolerance, recipe.settings["nthread"]) == (2, 1e-4, 1)

    rows = snapshot(folder, done)
    train = known_before(rows, recipe.split.cut)
    assert done.train_rows == train.num_rows
    exact = split_in_time(rows, share=0.25, gate_rows=100)
    assert abs(exact.test.num_rows - done.test_rows) <= 1, "the cut is where the driver's would be"
    here = boosted(train, features=FEATURES, label="label", settings=recipe.settings, rounds=30)
    assert (booster_of(loaded).feature_names, booster_of(loaded).feature_types) == (
        here.feature_names,
        here.feature_types,
    )
    differ = np.abs(predict(here, rows, features=FEATURES) - predict(booster_of(loaded), rows, features=FEATURES))
    assert differ.mean() < 0.02
    assert differ.max() < 0.2
    gate = mlflow.artifacts.load_dict(f"runs:/{done.run_id}/gate.json")  # pyright: ignore[reportPrivateImportUsage]
    facts = feature_facts(train, exact.test, features=FEATURES, outcomes=[exact.test["label"].to_numpy()])
    assert [one["missing"] for one in gate["features"]] == pytest.approx([one.missing for one in facts], abs=1e-3)
    assert all(0 < one["missing"] < 0.2 for one in gate["features"] if one["name"] == "speed")

    expected = dict(zip(rows["id"].to_pylist(), predict(booster_of(loaded), rows, features=FEATURES), strict=True))
    found = answered(spark, folder, declared, loaded)
    assert found == {key: pytest.approx(float(expected[key]), abs=1e-6) for key in found}

    one = find("distributed/1", model=declared.spec.model)
    again = reproduce(spark, one, recipe, partitions=5)
    assert again.reproduced, again.sentence
    assert again.how.startswith("within the tolerance of 0.0001 (the largest difference of a prediction is ")
    planted = reproduce(spark, one, recipe.model_copy(update={"settings": {**recipe.settings, "max_depth": 2}}))
    assert not planted.reproduced
    assert {"beyond tolerance", "record", "tree", "predictions"} <= {found.kind for found in planted.differences}
    assert "beyond the tolerance of 0.0001" in planted.sentence
    with pytest.raises(NotReproducible, match="3 workers of Spark trained this model, and here 2 can work at a time"):
        reproduce(spark, one, recipe.model_copy(update={"workers": 3}))


def dealt(spark: SparkSession, count: int = 900) -> DataFrame:
    """Rows of eight a group, of three classes, every third one newest."""
    chance = np.random.default_rng(9)
    size, speed = chance.normal(size=count), chance.normal(size=count)
    table = pa.table(
        {
            "id": [f"r{number:04d}" for number in range(count)],
            "size": size,
            "speed": pa.array(np.where(chance.random(count) < 0.2, np.nan, speed), from_pandas=True),
            GROUP: [f"shop {number // 8}" for number in range(count)],
            "kind": np.where(size > 0.5, "air", np.where(speed > 0, "rail", "road")),
            "relevant": np.clip(np.round(2 + size), 0, 4).astype("int32"),
            NEWEST: [number // 8 % 3 == 0 for number in range(count)],
        }
    )
    return spark.createDataFrame(table)


def test_rows_apart_are_split_as_the_driver_would_split_them(spark: SparkSession) -> None:
    asked = [START + timedelta(hours=number) for number in range(900)]
    told = [at + timedelta(hours=5 if number % 10 else 400) for number, at in enumerate(asked)]
    kind = pa.timestamp("us", "UTC")
    table = dealt(spark).drop(NEWEST).withColumnRenamed("relevant", LABEL).orderBy("id").toArrow()
    table = table.append_column("at", pa.array(asked, kind)).append_column(LABEL_KNOWN_AT, pa.array(told, kind))
    rows = spark.createDataFrame(table)
    here = split_in_time(table, share=0.3, gate_rows=100)
    there = split_apart(
        rows, features=FEATURES, kind="ranking", share=0.3, gate_rows=100, total=900, limit=2**30, workers=2
    )  # fmt: skip
    assert isinstance(there.train, Apart)
    assert isinstance(here.train, pa.Table)
    assert there.cut.tzinfo is UTC
    assert abs(there.cut - here.cut) <= timedelta(hours=1)
    exact = split_apart_at(rows, here.cut, features=FEATURES, kind="ranking", limit=2**30, workers=2)
    assert isinstance(exact.train, Apart)
    assert exact.test.column("id").to_pylist() == here.test.column("id").to_pylist(), "no group of older rows tests"
    trained = {row["id"] for row in exact.train.rows.select("id").collect()}
    assert trained == set(here.train.column("id").to_pylist()), "nor does a row train that was not known by then"
    assert exact.train.num_rows == len(trained) < 630
    facts = feature_facts(exact.train, here.test, features=FEATURES, outcomes=[])
    assert [one.missing for one in facts] == pytest.approx(
        [one.missing for one in feature_facts(here.train, here.test, features=FEATURES, outcomes=[])]
    )
    assert sorted(exact.train.labels[LABEL].to_pylist()) == [0, 4], (
        "the least and the largest, and nothing that is no relevance"
    )
    newest = newest_share(here.train, share=0.25)
    marked = {
        row["id"]: row[NEWEST] for row in with_newest(exact.train.rows, share=0.25).select("id", NEWEST).collect()
    }
    for part, positions in ((False, newest.train), (True, newest.validation)):
        ids = set(here.train.take(positions).column("id").to_pylist())
        assert len(ids ^ {one for one, newer in marked.items() if newer is part}) <= 1
    with pytest.raises(TrainingError, match=r"^the \d+ test rows of 2 features .* lower model\.test_share, or raise"):
        split_apart_at(rows, here.cut, features=FEATURES, kind="ranking", limit=1000, workers=2)
    with pytest.raises(
        TrainingError, match=r"the validation part has 5[01], or outcomes of one kind only, and needs 100"
    ):
        with_newest(exact.train.rows.orderBy("id").limit(250), share=0.2)


def test_workers_train_classes_and_rankings_and_stop_early(spark: SparkSession) -> None:
    rows = dealt(spark)
    here = rows.drop(NEWEST).orderBy("id").toArrow()
    task = Task("multiclass", ("air", "rail", "road"))
    told = settings({"objective": "multi:softprob", "eta": 0.5, "max_depth": 4} | task.settings, seed=7, threads=1)
    watched = Job(FEATURES, "label", task, {**told, "eval_metric": "mlogloss"}, 200, patience=5)
    classes = rows.drop(GROUP).withColumnRenamed("kind", "label")
    booster, rounds = boosted_by_workers(classes, watched, workers=2)
    assert 1 < rounds < 100
    found = predict(booster, here, features=FEATURES)
    assert found.shape == (900, 3)
    named = np.array(task.classes)[found.argmax(axis=1)]
    known = here["speed"].is_valid().to_numpy()
    assert (named == np.array(here["kind"].to_pylist()))[known].mean() > 0.95

    ranked = settings({"objective": "rank:ndcg", "max_depth": 3}, seed=7, threads=1)
    booster, rounds = boosted_by_workers(
        rows.withColumnRenamed("relevant", "label"), Job(FEATURES, "label", Task("ranking"), ranked, 20), workers=2
    )
    assert rounds == booster.num_boosted_rounds() == 20
    order = predict(booster, here, features=FEATURES)
    assert np.corrcoef(order, here["relevant"].to_numpy())[0, 1] > 0.8


def test_a_worker_that_fails_ends_the_training_in_one_sentence(spark: SparkSession) -> None:
    rows = dealt(spark).withColumnRenamed("relevant", "label").drop(GROUP)
    rows = rows.withColumn("size", F.when(F.col("id") == "r0005", F.lit(float("inf"))).otherwise(F.col("size")))
    told = settings({"objective": "reg:squarederror"}, seed=7, threads=1)
    with pytest.raises(TrainingError, match=r"^Spark's workers could not train: .*inf") as failed:
        boosted_by_workers(rows, Job(FEATURES, "label", Task("regression"), told, 5), workers=2)
    assert "\n" not in str(failed.value)
