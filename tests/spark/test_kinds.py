"""Models of every kind through the real path: features, training, MLflow, the gate, and a rebuild byte for byte.

What is true of the rows is known, as they are made here. Of each kind, the same training on shuffled outcomes must be refused.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
from accepted import schema, write_accepted
from deltalake import DeltaTable
from pyspark.sql import SparkSession
from sklearn.metrics import roc_auc_score

from headrace.connections import connect_tracking
from headrace.errors import SpecError, TrainingError
from headrace.lake.tables import read_accepted
from headrace.monitoring.outcome import live_quality
from headrace.serving.publish import records
from headrace.serving.score import FeatureTables, predictions_schema, score
from headrace.spec import Pipeline, load
from headrace.training import registry
from headrace.training.recipe import recipe_of
from headrace.training.reproduce import reproduce
from headrace.training.run import Training, train
from headrace.training.trained import find

START = datetime(2026, 1, 1, tzinfo=UTC)
AS_OF = START + timedelta(days=100)
ROWS = 1200
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
  parameters: {max_depth: 3, eta: 0.2, OBJECTIVE}
  test_share: 0.25
  gate: {minimum_rows: 100, resamples: 100, GATE}
"""
KINDS = {
    "imbalanced": ("positive: rare = 1", "scale_pos_weight: 12", "floors: {auc: 0.85, average_precision: 0.4}"),
    "regression": (
        "value: minutes",
        "objective: 'reg:squarederror'",
        "tolerance: 0.5, floors: {rmse: 4, mae: 3, r2: 0.8}",
    ),
    "multiclass": (
        "value: kind",
        "objective: 'multi:softprob'",
        "floors: {macro_auc: 0.9, accuracy: 0.8, log_loss: 0.7}",
    ),
    "ranking": ("value: relevant, group: shop", "objective: 'rank:ndcg'", "floors: {ndcg_10: 0.9}"),
}
TELLS = {"imbalanced": "rare", "regression": "minutes", "multiclass": "kind", "ranking": "relevant"}
COLUMNS = {"rare": "integer", "minutes": "double", "kind": "string", "relevant": "integer"}


@pytest.fixture(scope="module")
def folder(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with a trip every hour, whose outcomes follow size and speed but for chance, and the same outcomes shuffled."""
    folder, chance = tmp_path_factory.mktemp("kinds"), np.random.default_rng(5)
    size, speed, noise = (chance.normal(size=ROWS) for _ in range(3))
    lucky = chance.random(ROWS) < 0.12
    kind = np.where(size > 0.5, "air", np.where(speed > 0, "rail", "road"))
    outcomes: dict[str, Any] = {
        "rare": (size + 0.4 * noise > 1.5).astype(int),
        "minutes": 30 + 10 * size + 2 * noise,
        "kind": np.where(lucky, chance.permutation(kind), kind),
        "relevant": np.clip(np.round(2 + size + 0.2 * noise), 0, 4).astype(int),
    }
    assert 0.03 < outcomes["rare"].mean() < 0.12
    outcomes |= {f"{name}_shuffled": chance.permutation(column) for name, column in outcomes.items()}
    ids = [f"t{hour}" for hour in range(ROWS)]
    asked = [START + timedelta(hours=hour) for hour in range(ROWS)]
    write_accepted(spark, folder, "asked", known_at=asked, trip=ids, size=size, speed=speed)
    told = [at + timedelta(hours=5) for at in asked]
    shops = [f"shop {hour // 8}" for hour in range(ROWS)]
    write_accepted(spark, folder, "told", known_at=told, trip=ids, shop=shops, **outcomes)
    return folder


def pipeline(folder: Path, kind: str, *, name: str = "", label: str = "") -> Pipeline:
    """Of a kind; ``label`` in place of its own."""
    place = folder / f"p{len(list(folder.iterdir()))}"
    place.mkdir()
    own, objective, gate = KINDS[kind]
    text = PIPELINE.replace("LAKE", str(folder / "lake")).replace("LABEL", label or own).replace("NAME", name or kind)
    (place / "pipeline.yaml").write_text(text.replace("OBJECTIVE", objective).replace("GATE", gate), encoding="utf-8")
    (place / "asked.json").write_text(schema(trip="string", size="double", speed="double", known="timestamp"))
    outcomes = COLUMNS | {f"{name}_shuffled": kind for name, kind in COLUMNS.items()}
    (place / "told.json").write_text(schema(trip="string", shop="string", known="timestamp", **outcomes))
    return load(place, {})


def trained(spark: SparkSession, folder: Path, one: Pipeline) -> Training:
    return train(spark, one, tracking=connect_tracking(one, home=folder / "home"), as_of=AS_OF)


def _answered(spark: SparkSession, folder: Path, model: registry.RegisteredModel) -> list[dict[str, Any]]:
    """The newest 100 requests, scored, as the records of the topic have the answers."""
    asked = read_accepted(spark, f"{folder}/lake/events/asked").where(
        f"known_at >= '{START + timedelta(hours=ROWS - 100)}'"
    )
    features = pipeline(folder, "regression").spec.features
    assert features is not None
    rows = score(
        spark, asked, features=features, tables=FeatureTables({}, {}), model=model, span=(START, AS_OF), degraded=False,
        score_batch=0,
    )  # fmt: skip
    expected = predictions_schema(features, model.task.kind)
    assert [(one.name, one.dataType) for one in rows.schema] == [(one.name, one.dataType) for one in expected]
    sent = (
        records(rows, kind=model.task.kind)
        .selectExpr("cast(key as string) key", "cast(value as string) value")
        .collect()
    )
    assert len(sent) == 100
    found = {row["key"]: json.loads(row["value"]) for row in sent}
    assert all(one["id"] == key for key, one in found.items())
    return [found[f"t{hour}"] for hour in range(ROWS - 100, ROWS)]


def _check_answers(found: list[dict[str, Any]], kind: str, folder: Path) -> None:
    """The records say what is true of the rows, read by delta-rs."""
    told = DeltaTable(f"{folder}/lake/events/told").to_pandas().set_index("trip")
    true = told.loc[[one["id"] for one in found]]
    own = {"multiclass": {"predicted", "probability"}, "binary": {"probability"}}.get(kind, {"prediction"})
    assert all(set(one) == {"id", "at", "model_version", "degraded"} | own for one in found)
    if kind == "multiclass":
        assert np.mean([one["predicted"] == name for one, name in zip(found, true["kind"], strict=True)]) > 0.8
        assert all(1 / 3 <= one["probability"] <= 1 for one in found)
    elif kind == "binary":
        assert roc_auc_score(true["rare"], [one["probability"] for one in found]) > 0.8
    else:
        column = true["minutes" if kind == "regression" else "relevant"]
        assert np.corrcoef(column, [one["prediction"] for one in found])[0, 1] > 0.8


def refused(done: Training) -> set[str]:
    return {check.name for check in done.verdict.checks if not check.passed}


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_of_each_kind_learns_what_is_true_and_what_is_shuffled_is_refused(
    spark: SparkSession, folder: Path, kind: str
) -> None:
    good = pipeline(folder, kind)
    done = trained(spark, folder, good)
    assert done.promoted, done.verdict.refusals
    model = good.spec.model
    assert model is not None
    logged = mlflow.MlflowClient().get_run(done.run_id).data.metrics
    assert {f"test_{name}": value for name, value in done.metrics.items()}.items() <= logged.items()
    assert set(model.gate.floors) <= set(done.metrics)
    loaded = registry.load(kind, version=1)
    assert loaded.task.kind == model.kind
    assert loaded.task.classes == (("air", "rail", "road") if kind == "multiclass" else ())
    card = mlflow.artifacts.load_text(f"runs:/{done.run_id}/card.md")  # pyright: ignore[reportPrivateImportUsage]
    assert ("## Calibration" in card) == (kind in ("imbalanced", "multiclass"))
    assert "The gate let it pass" in card

    answered = _answered(spark, folder, loaded)
    _check_answers(answered, model.kind, folder)

    rebuilt = reproduce(spark, find(f"{kind}/1", model=model), recipe_of(done.run_id), threads=1, partitions=3)
    assert rebuilt.reproduced, rebuilt.sentence
    assert rebuilt.rebuilt_sha256 == rebuilt.recorded_sha256

    told = TELLS[kind]
    planted = pipeline(folder, kind, label=KINDS[kind][0].replace(told, f"{told}_shuffled"))
    bad = trained(spark, folder, planted)
    assert not bad.promoted
    assert {f"floor/{name}" for name in model.gate.floors if name != "log_loss"} <= refused(bad)
    assert registry.alias_version(kind, "champion") == 1, "the champion stays"


def test_rows_that_are_no_outcomes_of_the_kind_are_refused_in_one_sentence(spark: SparkSession, folder: Path) -> None:
    for kind, label, says in [
        ("regression", "value: kind", r"label\.value is a text, and a regression model learns a number; .*multi:softprob"),
        ("multiclass", "value: relevant", r"label\.value is a number, and the objective multi:softprob .* cast\(.* as string\)"),
    ]:  # fmt: skip
        with pytest.raises(TrainingError, match=says):
            trained(spark, folder, pipeline(folder, kind, name="none", label=label))


def test_predictions_of_another_kind_are_not_held_against_outcomes(spark: SparkSession, folder: Path) -> None:
    with pytest.raises(
        SpecError, match="declares a regression model; predictions are held against outcomes of binary ones"
    ):
        live_quality(spark, pipeline(folder, "regression"))


def test_a_champion_of_another_kind_is_told_so(spark: SparkSession, folder: Path) -> None:
    if registry.alias_version("regression", "champion") is None:  # where this test runs alone
        trained(spark, folder, pipeline(folder, "regression"))
    done = trained(spark, folder, pipeline(folder, "multiclass", name="regression"))
    assert refused(done) == {"champion"}
    assert "is a regression model, and nothing of both can be compared" in done.verdict.refusals
