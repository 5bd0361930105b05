"""Other learners than boosting through the real path: Spark ML, MLflow, the gate, Spark's workers, and a rebuild byte for byte."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pyarrow as pa
import pytest
from accepted import write_accepted
from own_learner import example, importable, install
from pyspark.errors import PythonException
from pyspark.sql import Row, SparkSession
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge

from headrace.connections import connect_tracking
from headrace.errors import LearnerError, NotReproducible, TrainingError
from headrace.lake.tables import read_accepted
from headrace.serving.failure import own_learner_failure
from headrace.serving.score import FeatureTables, score
from headrace.spec import Pipeline, load
from headrace.training import registry
from headrace.training.learners.linear import Linear
from headrace.training.learners.linear_model import LinearModel
from headrace.training.recipe import recipe_of
from headrace.training.reproduce import Reproduction, reproduce
from headrace.training.run import Training, train
from headrace.training.trained import find

START = datetime(2026, 1, 1, tzinfo=UTC)
AS_OF = START + timedelta(days=100)
ROWS, FEATURES = 1200, ("size", "speed", "same")
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
label: {stream: told, by: trip, positive: late = 1}
model:
  name: late
  LEARNER
  test_share: 0.25
  gate: {minimum_rows: 100, resamples: 100, tolerance: 0.1}
"""
BOOSTING, LINEAR = "parameters: {max_depth: 3, eta: 0.2}\n  rounds: 30", "learner: linear"
OWN = "learner: bands\n  parameters: {feature: size, bands: 40}"


# What Spark ML fits


def _fit(spark: SparkSession, rows: pa.Table, kind: Any, **parameters: float) -> LinearModel:
    classes = ("a", "b", "c") if kind == "multiclass" else ()
    return Linear().fit(
        rows, features=FEATURES, label="label", kind=kind, classes=classes, groups=None, parameters=parameters, seed=1, spark=spark
    )  # fmt: skip


def _rows(label: str) -> tuple[pa.Table, np.ndarray, np.ndarray]:
    """Rows with gaps in one feature and a feature that never changes; the same as a matrix, standardized; and the outcomes."""
    chance = np.random.default_rng(1)
    size, speed, noise, gap = 3 + 5 * chance.normal(size=900), *chance.normal(size=(2, 900)), chance.random(900) < 0.2
    number = 10 + 3 * size + 2 * speed + 4 * gap + noise
    outcome = {
        "binary": (number > 18).astype("int32"),
        "multiclass": np.digitize(number, [10, 25]).astype("int32"),
        "regression": number,
    }[label]
    known = speed[~gap]
    matrix = np.column_stack([size, np.where(gap, known.mean(), speed), gap])
    matrix = (matrix - [size.mean(), known.mean(), gap.mean()]) / [size.std(), known.std(), gap.std()]
    speed = pa.array(np.where(gap, np.nan, speed), from_pandas=True)
    return pa.table({"size": size, "speed": speed, "same": np.full(900, 7.0), "label": outcome}), matrix, outcome


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_classes_are_told_apart_as_scikit_learn_does_it(spark: SparkSession, kind: str) -> None:
    table, matrix, outcome = _rows(kind)
    made = _fit(spark, table, kind, regularization=0.01)
    other = LogisticRegression(C=1 / (900 * 0.01), tol=1e-10, max_iter=2000).fit(matrix, outcome).predict_proba(matrix)
    told = made.predict(table, features=FEATURES)
    assert np.allclose(told, other if kind == "multiclass" else other[:, 1], atol=1e-5)
    looser = LogisticRegression(C=1 / (900 * 0.02), tol=1e-10, max_iter=2000).fit(matrix, outcome).predict_proba(matrix)
    assert not np.allclose(looser, other, atol=1e-3), "another regularization would be seen"


def test_numbers_are_predicted_as_scikit_learn_does_it(spark: SparkSession) -> None:
    table, matrix, outcome = _rows("regression")
    free, bound = (
        _fit(spark, table, "regression", regularization=0),
        _fit(spark, table, "regression", regularization=0.1),
    )
    expected = LinearRegression().fit(matrix, outcome).predict(matrix)
    assert np.allclose(free.predict(table, features=FEATURES), expected, atol=1e-8)
    expected = Ridge(alpha=0.1 * 900).fit(matrix, outcome).predict(matrix)
    assert np.allclose(bound.predict(table, features=FEATURES), expected, atol=1e-8)
    assert free.outputs[0].weights[2] == 0, "what never changes has no weight"
    assert _fit(spark, table, "regression", regularization=0.1).to_bytes() == bound.to_bytes()
    assert not np.allclose(expected, free.predict(table, features=FEATURES), atol=0.1)


def test_the_file_is_the_same_however_spark_spreads_rows(spark: SparkSession) -> None:
    table, _, _ = _rows("binary")
    spread = spark.newSession()
    spread.conf.set("spark.sql.leafNodeDefaultParallelism", "7")
    assert spread.createDataFrame(table).rdd.getNumPartitions() == 7
    assert _fit(spread, table, "binary").to_bytes() == _fit(spark, table, "binary").to_bytes()


def test_without_a_feature_that_changes_the_share_is_predicted(spark: SparkSession) -> None:
    table, _, outcome = _rows("binary")
    for name in ("size", "speed"):
        table = table.set_column(table.column_names.index(name), name, pa.array([None] * 900, pa.float64()))
    found = _fit(spark, table, "binary").predict(table, features=FEATURES)
    assert np.allclose(found, outcome.mean(), atol=1e-6)
    with pytest.raises(TrainingError, match="all training rows have one outcome"):
        _fit(spark, table.set_column(3, "label", pa.array([1] * 900, pa.int32())), "binary")


# The way of a pipeline


@pytest.fixture(scope="module")
def folder(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with a trip every hour. Its outcome follows size, and far more so what no line tells: size times speed."""
    folder, chance = tmp_path_factory.mktemp("learners"), np.random.default_rng(5)
    size, speed, noise = (chance.normal(size=ROWS) for _ in range(3))
    late = pa.array((size + 2 * size * speed + 0.2 * noise > 0).astype("int32"))
    ids, asked = [f"t{hour}" for hour in range(ROWS)], [START + timedelta(hours=hour) for hour in range(ROWS)]
    gap = chance.random(ROWS) < 0.1
    columns = {"trip": ids, "size": size, "speed": pa.array(np.where(gap, np.nan, speed), from_pandas=True)}
    write_accepted(spark, folder, "asked", known_at=asked, **columns)
    write_accepted(spark, folder, "told", known_at=[at + timedelta(hours=5) for at in asked], trip=ids, late=late)
    return folder


def pipeline(folder: Path, learner: str) -> Pipeline:
    place = folder / f"p{len(list(folder.iterdir()))}"
    place.mkdir()
    text = PIPELINE.replace("LAKE", str(folder / "lake")).replace("LEARNER", learner)
    (place / "pipeline.yaml").write_text(text, encoding="utf-8")
    for name, columns in (("asked", {"size": "double", "speed": "double"}), ("told", {"late": "integer"})):
        fields = {"trip": "string", "known": "timestamp", **columns}
        told = [{"name": one, "type": kind, "nullable": True, "metadata": {}} for one, kind in fields.items()]
        (place / f"{name}.json").write_text(json.dumps({"type": "struct", "fields": told}))
    return load(place, {})


def trained(spark: SparkSession, folder: Path, one: Pipeline) -> Training:
    return train(spark, one, tracking=connect_tracking(one, home=folder / "home"), as_of=AS_OF)


def answered(spark: SparkSession, folder: Path, model: registry.RegisteredModel) -> list[Row]:
    """The newest 100 requests as Spark's workers answer them."""
    asked = read_accepted(spark, f"{folder}/lake/events/asked").where(f"trip >= 't{ROWS - 100}' and length(trip) = 5")
    features = pipeline(folder, BOOSTING).spec.features
    assert features is not None
    rows = score(
        spark, asked, features=features, tables=FeatureTables({}, {}), model=model, span=(START, AS_OF), degraded=False,
        score_batch=0,
    )  # fmt: skip
    return rows.collect()


def remade(spark: SparkSession, done: Training, *, partitions: int) -> Reproduction:
    return reproduce(spark, find(f"late/{done.version}", model=None), recipe_of(done.run_id), partitions=partitions)


def test_a_linear_baseline_is_held_against_boosting_served_and_built_again(spark: SparkSession, folder: Path) -> None:
    first = trained(spark, folder, pipeline(folder, BOOSTING))
    assert first.promoted, first.verdict.refusals
    baseline = trained(spark, folder, pipeline(folder, LINEAR))
    assert [one.name for one in baseline.verdict.checks if not one.passed] == ["champion"], (
        "it is worse, and nothing else"
    )
    assert first.metrics["auc"] > 0.9 > 0.75 > baseline.metrics["auc"] > 0.6
    assert registry.alias_version("late", "champion") == 1

    run = mlflow.MlflowClient().get_run(baseline.run_id)
    assert {"learner": "linear", "linear.regularization": "0.0001", "seed": "7"}.items() <= run.data.params.items()
    assert recipe_of(baseline.run_id).learner == "linear"
    loaded = [registry.load("late", version=version) for version in (1, 2)]
    assert [one.learner for one in loaded] == ["boosting", "linear"]
    card = mlflow.artifacts.load_text(f"runs:/{baseline.run_id}/card.md")  # pyright: ignore[reportPrivateImportUsage]
    assert "linear" in card
    assert "share of weight" in card

    rows = answered(spark, folder, loaded[1])
    assert len(rows) == 100
    table = pa.table({name: pa.array([row[name] for row in rows], pa.float64()) for name in ("size", "speed")})
    assert table.column("speed").null_count, "some features are missing"
    expected = loaded[1].fitted.predict(table, features=("size", "speed")).tolist()
    assert [row["probability"] for row in rows] == expected, "training and scoring answer the same"

    source = mlflow.MlflowClient().get_model_version("late", "2").source
    other = mlflow.pyfunc.load_model(source)
    assert other.metadata.signature.inputs.input_names() == ["size", "speed"]
    assert (
        other.predict(table.to_pandas()).tolist()
        == loaded[1].fitted.predict(table, features=("size", "speed")).tolist()
    )
    assert other.metadata.load_input_example(mlflow.artifacts.download_artifacts(source)).shape == (5, 2)  # pyright: ignore

    again = remade(spark, baseline, partitions=7)
    assert again.reproduced, again.sentence
    assert again.rebuilt_sha256 == again.recorded_sha256


@pytest.fixture
def packages(spark: SparkSession, tmp_path: Path) -> Iterator[Path]:
    """A folder from which packages are imported, here and by Spark's workers."""
    there = spark.sparkContext.environment
    before = there.get("PYTHONPATH")
    there["PYTHONPATH"] = str(tmp_path / "site")
    with importable(tmp_path / "site", "bands", "broken"):
        yield tmp_path / "site"
    there.pop("PYTHONPATH")
    if before is not None:
        there["PYTHONPATH"] = before


def _install(
    packages: Path, *, version: str = "1.0", change: tuple[str, str] = ("", ""), module: str = "bands"
) -> None:
    code = example()
    assert change[0] in code
    install(
        packages, package="trip-bands", version=version, module=module, code=code.replace(*change), learner="Bands", name="bands"
    )  # fmt: skip


def test_the_class_that_the_guide_shows_is_trained_served_and_built_again(
    spark: SparkSession, folder: Path, packages: Path
) -> None:
    _install(packages)
    registry.set_alias("late", alias="champion", version=2)
    done = trained(spark, folder, pipeline(folder, OWN))
    assert done.promoted, done.verdict.refusals
    (against,) = [one.sentence for one in done.verdict.checks if one.name == "champion"]
    assert f"{done.metrics['auc']:.4f} against the champion's 0." in against, "a linear one"
    recipe = recipe_of(done.run_id)
    assert (recipe.learner, recipe.environment.packages["trip-bands"]) == ("bands", "1.0")
    model = registry.load("late", version=done.version)
    rows = answered(spark, folder, model)
    table = pa.table({name: pa.array([row[name] for row in rows], pa.float64()) for name in ("size", "speed")})
    expected = model.fitted.predict(table, features=("size", "speed"))
    assert [row["probability"] for row in rows] == expected.tolist()
    again = remade(spark, done, partitions=5)
    assert again.reproduced, again.sentence

    _install(packages, version="1.1", change=("/ bands)", "/ bands * 0.5)"))
    changed = remade(spark, done, partitions=2)
    assert not changed.reproduced
    assert "trip-bands was 1.0, and is 1.1 here" in changed.sentence
    assert "the learner's code was " in changed.sentence

    planted = ("return np.where(", "return np.nan * np.where(")  # in a module that no worker has imported yet
    _install(packages, version="1.2", change=planted, module="broken")
    with pytest.raises(PythonException) as failed:
        answered(spark, folder, model)
    told = own_learner_failure(failed.value)
    assert isinstance(told, LearnerError)
    assert str(told).startswith("learner 'bands' (of trip-bands 1.2) answered ")
    assert "rows with NaN or infinity" in str(told)

    for file in packages.rglob("entry_points.txt"):
        file.unlink()
    with pytest.raises(NotReproducible, match="can't be rebuilt: no learner 'bands' is installed here"):
        remade(spark, done, partitions=2)
    with pytest.raises(LearnerError, match=rf"^model late version {done.version}: no learner 'bands' is installed"):
        registry.load("late", version=done.version)
