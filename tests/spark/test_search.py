"""A search: trials on splits in time, stopped and gone on with, in the database and in MLflow."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from headrace.connections import Tracking, connect_tracking
from headrace.errors import TrainingError
from headrace.parameters.table import read_table
from headrace.spec import Pipeline, load
from headrace.training import registry
from headrace.training.dataset import build_dataset
from headrace.training.run import train
from headrace.training.search import Found, Stand, search
from headrace.training.snapshot import read_snapshot

START = datetime(2026, 1, 1, tzinfo=UTC)
AS_OF = START + timedelta(days=100)
ROWS, TRIALS = 1600, 12
PIPELINE = """
pipeline: trips
lake: {path: LAKE}
streams:
  asked: {topic: asked, schema: asked.json, event_time: known, known_at: known}
  told: {topic: told, schema: told.json, event_time: known, known_at: known}
features:
  requests: asked
  id: trip
  columns: {distance: distance, noise: noise}
label: {stream: told, by: trip, positive: delay > 0}
model:
  name: trips
  rounds: 20
  seed: 3
  parameters: {learning_rate: 0.2}
  test_share: 0.2
  gate: {minimum_rows: 50}
  search:
    trials: 3
    folds: 3
    most_rounds: 40
    patience: 5
    space:
      max_depth: [1, 6]
      learning_rate: {log: [0.01, 0.5]}
      min_child_weight: {log: [1.0, 300.0]}
      subsample: {choice: [0.5, 1.0]}
"""


def schema(**columns: str) -> str:
    fields = [{"name": name, "type": kind, "nullable": True, "metadata": {}} for name, kind in columns.items()]
    return json.dumps({"type": "struct", "fields": fields})


@pytest.fixture(scope="module")
def pipeline(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """A trip every hour; the longer, the later, but for chance. Each is told of 30 hours after it was asked for."""
    folder = tmp_path_factory.mktemp("trips")
    (folder / "pipeline.yaml").write_text(PIPELINE.replace("LAKE", str(folder / "lake")), encoding="utf-8")
    (folder / "asked.json").write_text(
        schema(trip="string", distance="double", noise="double", known="timestamp"), encoding="utf-8"
    )
    (folder / "told.json").write_text(schema(trip="string", delay="double", known="timestamp"), encoding="utf-8")
    chance = np.random.default_rng(5)
    distance, noise = chance.normal(size=ROWS), chance.normal(size=ROWS)
    asked = [START + timedelta(hours=hour) for hour in range(ROWS)]
    ids = [f"t{hour}" for hour in range(ROWS)]
    _write(spark, folder, "asked", known_at=asked, trip=ids, distance=distance, noise=noise)
    told = [at + timedelta(hours=30) for at in asked]
    _write(spark, folder, "told", known_at=told, late=True, trip=ids, delay=distance + chance.normal(size=ROWS))
    return load(folder, {})


def _write(
    spark: SparkSession, folder: Path, stream: str, *, known_at: list[datetime], late: bool = False, **columns: Any
) -> None:
    table = pa.table(
        {
            **columns,
            "known_at": pa.array(known_at, pa.timestamp("us", "UTC")),
            "verdict": ["accepted"] * len(known_at),
            "kafka_partition": pa.array([0] * len(known_at), pa.int32()),
            "kafka_offset": pa.array(range(len(known_at)), pa.int64()),
            "kafka_timestamp": pa.array(
                [at + timedelta(hours=2 if late and n % 10 == 0 else 0) for n, at in enumerate(known_at)],
                pa.timestamp("us", "UTC"),
            ),
        }
    )
    path = f"{folder}/lake/events/{stream}"
    spark.createDataFrame(table).write.format("delta").partitionBy("verdict").save(path)


class Searching:
    """Searches in one home folder."""

    def __init__(self, spark: SparkSession, pipeline: Pipeline, home: Path) -> None:
        self.spark, self.pipeline, self.home = spark, pipeline, home
        self.tracking: Tracking = connect_tracking(pipeline, home=home)
        self.said: list[str] = []

    def __call__(self, trials: int, *, as_of: datetime = AS_OF, stop_at: Callable[[Stand], bool] | None = None) -> Any:
        stop = threading.Event()

        def progress(stand: Stand) -> None:
            if stop_at is not None and stop_at(stand):
                stop.set()

        return search(
            self.spark, self.pipeline, tracking=self.tracking, broker=None, as_of=as_of, home=self.home, trials=trials, stop=stop,
            progress=progress, notify=self.said.append,
        )  # fmt: skip

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """The study's database, read without Optuna."""
        with sqlite3.connect(f"file:{self.home}/search/studies.db?mode=ro", uri=True) as database:
            return database.execute(query).fetchall()


@pytest.fixture(scope="module")
def searched(
    spark: SparkSession, pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Searching, Found]:
    """Stopped within its fourth trial, then gone on with."""
    searching = Searching(spark, pipeline, tmp_path_factory.mktemp("searched"))
    assert searching(TRIALS, stop_at=lambda stand: (stand.trial, stand.fold) == (4, 1)) is None
    assert searching.rows("select state, count(*) from trials group by state order by state") == [
        ("COMPLETE", 3),
        ("FAIL", 1),
    ]
    found = searching(TRIALS)
    assert isinstance(found, Found)
    return searching, found


def test_a_stopped_search_goes_on_and_comes_to_what_one_without_a_stop_does(
    spark: SparkSession, pipeline: Pipeline, searched: tuple[Searching, Found], tmp_path: Path
) -> None:
    searching, found = searched
    assert f"going on with the study {found.study}: 3 of {TRIALS} trials are done" in searching.said
    straight = Searching(spark, pipeline, tmp_path)(TRIALS)
    assert isinstance(straight, Found)
    assert (straight.parameters, straight.rounds, straight.best) == (found.parameters, found.rounds, found.best)
    assert (straight.study, straight.trials, straight.pruned) == (found.study, TRIALS, found.pruned)


def test_the_winner_is_the_best_complete_trial_of_the_database(searched: tuple[Searching, Found]) -> None:
    searching, found = searched
    values = dict(
        searching.rows("select trial_id, value from trial_values join trials using (trial_id) where state = 'COMPLETE'")
    )
    assert found.best == max(values.values()) > 0.6
    best = max(values, key=lambda trial: values[trial])
    params = dict(searching.rows(f"select param_name, param_value from trial_params where trial_id = {best}"))
    assert found.parameters["max_depth"] == params["max_depth"]
    assert found.parameters["learning_rate"] == pytest.approx(params["learning_rate"])
    assert 1 <= found.parameters["max_depth"] <= 6
    assert 0.01 <= found.parameters["learning_rate"] <= 0.5
    assert 1 <= found.rounds <= 40


def test_the_winner_is_published_as_hyperparameters(
    spark: SparkSession, pipeline: Pipeline, searched: tuple[Searching, Found]
) -> None:
    _, found = searched
    event = read_table(spark, pipeline).version("hyperparameters", found.version)
    assert event.value["parameters"] == found.parameters
    assert (event.value["rounds"], event.value["study"]) == (found.rounds, found.study)
    assert (event.as_of, dict(event.sources)) == (AS_OF, {"asked": 0, "told": 0})


def test_clearly_worse_trials_end_early(searched: tuple[Searching, Found]) -> None:
    searching, found = searched
    states = dict(searching.rows("select state, count(*) from trials group by state"))
    assert states["COMPLETE"] + states["PRUNED"] == found.trials == TRIALS
    assert states["PRUNED"] == found.pruned > 0
    folds = "select max(step) from trial_intermediate_values join trials using (trial_id) where state = 'PRUNED' group by trial_id"
    assert all(step < 2 for (step,) in searching.rows(folds)), "a pruned trial was not run to its last fold"


def test_a_study_is_one_run_with_a_run_for_each_trial(searched: tuple[Searching, Found]) -> None:
    searching, found = searched
    registry.open_tracking(searching.tracking)
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name(searching.tracking.experiment)
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], max_results=100)
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == found.run_id]
    assert [run.info.run_id for run in parents] == [found.run_id], "a search that goes on stays the same run"
    assert sorted(run.data.tags["headrace.trial"] for run in children) == sorted(
        ["stopped"] + ["pruned"] * found.pruned + ["complete"] * (TRIALS - found.pruned)
    )
    complete = [run for run in children if run.data.tags["headrace.trial"] == "complete"]
    assert max(run.data.metrics["mean_auc"] for run in complete) == pytest.approx(found.best)
    assert len(client.get_metric_history(complete[0].info.run_id, "fold_auc")) == 3
    files = {file.path for file in client.list_artifacts(found.run_id)}
    assert files == {"best.json", "history.png", "importances.json", "importances.png"}


def test_what_tests_the_model_later_is_not_searched_on(
    spark: SparkSession, pipeline: Pipeline, searched: tuple[Searching, Found]
) -> None:
    searching, found = searched
    rows = read_snapshot(spark, f"{pipeline.spec.lake.root}/snapshots/{found.run_id}")
    assert rows.count() == ROWS, "the snapshot holds all that was known"
    trained = train(spark, pipeline, tracking=searching.tracking, as_of=AS_OF)
    assert found.train_rows == trained.train_rows == ROWS - trained.test_rows - 30, "and the gap of 30 hours"


def test_another_cut_off_is_another_study(searched: tuple[Searching, Found]) -> None:
    searching, found = searched
    other = searching(1, as_of=START + timedelta(hours=1500))
    assert isinstance(other, Found)
    assert other.study != found.study
    assert other.trials == 1
    studies = {name for (name,) in searching.rows("select study_name from studies")}
    assert studies == {found.study, other.study}


def test_rows_that_claim_to_have_been_known_before_they_were_sent_do_not_train(
    spark: SparkSession, pipeline: Pipeline
) -> None:
    """Nine in ten outcomes were sent as they were known, the others two hours later."""
    for stream, within, said in (
        ("told", "3h", None),
        ("told", "1h", "160 of 1,600 rows were sent more than 1h"),
        ("asked", "1s", None),
    ):
        streams = {
            name: declared.model_copy(update={"sent_within": within if name == stream else None})
            for name, declared in pipeline.spec.streams.items()
        }
        spec = pipeline.spec.model_copy(update={"streams": streams})
        declared = Pipeline(pipeline.file, spec, pipeline.schemas, pipeline.text)
        if said is None:
            assert build_dataset(spark, declared, as_of=AS_OF).versions == {"asked": 0, "told": 0}
        else:
            with pytest.raises(
                TrainingError, match=f"stream 'told': {said} after their known_at, so they were not known then"
            ):
                build_dataset(spark, declared, as_of=AS_OF)


def test_more_rows_than_memory_allows_are_refused_before_they_are_collected(
    spark: SparkSession, pipeline: Pipeline, searched: tuple[Searching, Found], monkeypatch: pytest.MonkeyPatch
) -> None:
    searching, _ = searched
    model = pipeline.spec.model.model_copy(update={"memory": "1m"})
    small = Pipeline(pipeline.file, pipeline.spec.model_copy(update={"model": model}), pipeline.schemas, pipeline.text)
    monkeypatch.setattr("headrace.training.memory.BYTES_PER_ROW", 4000)
    monkeypatch.setattr("headrace.training.run.to_arrow", lambda rows: pytest.fail("rows were collected"))
    monkeypatch.setattr("headrace.training.search.to_arrow", lambda rows: pytest.fail("rows were collected"))
    said = "1,600 rows of 2 features are likely to need .* GiB on the driver, and model.memory allows 0.0; raise model.memory"
    with pytest.raises(TrainingError, match=said):
        train(spark, small, tracking=searching.tracking, as_of=AS_OF)
    with pytest.raises(TrainingError, match=said):
        Searching(spark, small, searching.home)(1)
