"""A model is built again byte for byte, however the rows are spread; what is not as it was is named."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import mlflow
import pytest
from conftest import run_headrace
from deltalake import DeltaTable
from shop import headrace
from trained_rides import Rides

from headrace.erasure.answers import erase_from_snapshot
from headrace.erasure.marks import mark_runs
from headrace.errors import ModelError, NotReproduced, NotReproducible, SpecError
from headrace.lake.maintain import vacuum
from headrace.privacy.ring import KeyRing
from headrace.spec import Pipeline, load
from headrace.training import registry
from headrace.training.recipe import Recipe, recipe_of
from headrace.training.reproduce import Reproduction, reproduce
from headrace.training.trained import find


@pytest.fixture(autouse=True)
def at_home(rides: Rides, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_HOME", str(rides.home))
    registry.open_tracking(rides.tracking)


@pytest.fixture
def moved(rides: Rides, tmp_path: Path) -> Pipeline:
    """The pipeline with its lake at another place."""
    shutil.copytree(rides.pipeline.folder, tmp_path / "p")
    file = tmp_path / "p" / "pipeline.yaml"
    file.write_text(file.read_text().replace(str(rides.pipeline.folder), str(tmp_path / "p")))
    return load(tmp_path / "p")


def rebuilt(spark, pipeline: Pipeline, name: str, recipe: Recipe | None = None, **options) -> Reproduction:
    trained = find(name, model=pipeline.spec.model)
    return reproduce(spark, trained, recipe or recipe_of(trained.run_id), pipeline=pipeline, **options)


def changed(recipe: Recipe, **settings: object) -> Recipe:
    return recipe.model_copy(update={"settings": {**recipe.settings, **settings}})


def kinds(done: Reproduction) -> set[str]:
    return {one.kind for one in done.differences}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("partitions", [2, 7, 16])
def test_the_same_bytes_on_any_partitioning_and_number_of_threads(rides: Rides, partitions: int, threads: int) -> None:
    settings = ["--partitions", str(partitions), "--threads", str(threads)]
    told = json.loads(headrace("reproduce", str(rides.pipeline.folder), "champion", *settings, "--json"))
    assert told["reproduced"]
    assert told["differences"] == []
    assert told["rebuilt_sha256"] == rides.file_sha256(1)
    assert (told["model"], told["partitions"], told["threads"]) == ("remade/1", partitions, threads)


def test_the_same_bytes_in_another_process_from_the_tables_themselves(rides: Rides) -> None:
    done = run_headrace(
        "reproduce", str(rides.pipeline.folder), "remade/1", "--from-source", "--partitions", "7", "--threads", "1",
        "--log", environment={"HEADRACE_HOME": str(rides.home)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"SHA-256 {rides.file_sha256(1)}" in done.stdout
    tag = mlflow.MlflowClient().get_run(rides.runs[0]).data.tags["headrace.reproduced"]
    assert tag.startswith("yes, ")
    assert tag.endswith("UTC, 1 threads, 7 partitions")


def test_the_name_alone_is_enough_where_the_lake_is_where_it_was(rides: Rides) -> None:
    assert "remade/1 is reproduced byte for byte" in headrace("reproduce", rides.runs[0])
    with pytest.raises(SpecError, match="name it: headrace reproduce PIPELINE RUN --from-source"):
        headrace("reproduce", "remade/1", "--from-source")
    for absent in ("remade/99", "remade/nobody", "0" * 32, "7"):
        with pytest.raises(ModelError):
            headrace("reproduce", absent)


def test_what_a_training_records(rides: Rides) -> None:
    recipe = recipe_of(rides.runs[0])
    log = DeltaTable(recipe.snapshot.path)
    assert (recipe.snapshot.version, recipe.snapshot.rows) == (log.version(), log.to_pyarrow_table().num_rows)
    assert set(recipe.snapshot.columns) == set(log.to_pyarrow_table().column_names)
    assert {name: table.version for name, table in recipe.tables.items()} == rides.versions
    assert recipe.pipeline.text == rides.pipeline.text
    assert recipe.settings == {
        "objective": "binary:logistic", "tree_method": "hist", "max_depth": 4, "eta": 0.1, "subsample": 0.8, "seed": 7,
        "nthread": recipe.settings["nthread"],
    }  # fmt: skip
    assert recipe.split.train_rows + recipe.split.test_rows <= recipe.snapshot.rows
    assert {"xgboost", "pyspark", "delta-spark", "numpy", "pyarrow", "scikit-learn"} == set(recipe.environment.packages)
    assert recipe.booster_sha256 == rides.file_sha256(1)


def test_a_changed_row_is_named_by_its_column(spark, rides: Rides, moved: Pipeline) -> None:
    table = f"delta.`{moved.folder}/lake/snapshots/{rides.runs[0]}`"
    spark.sql(f"ALTER TABLE {table} SET TBLPROPERTIES ('delta.appendOnly' = 'false')")
    spark.sql(f"UPDATE {table} SET seen_30m = seen_30m + 40, label = 1 - label WHERE id < 'r2'")
    done = rebuilt(spark, moved, "1")
    assert not done.reproduced
    assert {"rows", "bytes", "tree", "predictions"} == kinds(done)
    assert "values differ in label, seen_30m;" in done.sentence
    assert "is the first that differs, at node" in done.sentence
    spark.sql(f"DELETE FROM {table} WHERE id = 'r7'")
    rows = recipe_of(rides.runs[0]).snapshot.rows
    assert (
        f"the snapshot has {rows - 1} rows, and the model was made from {rows};" in rebuilt(spark, moved, "1").sentence
    )
    with pytest.raises(NotReproduced, match=f"has {rows - 1} rows"):
        headrace("reproduce", str(moved.folder), "1")


def test_another_seed_setting_or_package_is_named(spark, rides: Rides) -> None:
    recipe = recipe_of(rides.runs[0])
    assert rebuilt(spark, rides.pipeline, "1", recipe).differences == ()
    older = recipe.environment.model_copy(update={"packages": {**recipe.environment.packages, "xgboost": "3.1.0"}})
    seed = rebuilt(spark, rides.pipeline, "1", changed(recipe, seed=8).model_copy(update={"environment": older}))
    assert {"record", "bytes", "environment", "tree", "predictions"} == kinds(seed)
    assert "the seed is 8 in training.json, and 7 beside it in MLflow" in seed.sentence
    assert "xgboost was 3.1.0, and is 3.2.0 here" in seed.sentence
    assert "tree 0 is the first that differs" in seed.sentence
    depth = rebuilt(spark, rides.pipeline, "1", changed(recipe, max_depth=5))
    assert "max_depth is 5 in training.json, and 4 beside it in MLflow" in depth.sentence
    rounds = rebuilt(spark, rides.pipeline, "1", recipe.model_copy(update={"rounds": 19}))
    assert "the registered model has 20 trees, the rebuilt one 19" in rounds.sentence
    assert not any(done.reproduced for done in (seed, depth, rounds))


def test_a_tampered_model_file_is_told_from_a_rebuild_that_fails(spark, rides: Rides) -> None:
    (file,) = rides.files(1)
    content = file.read_bytes()
    try:
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        done = rebuilt(spark, rides.pipeline, "1")
    finally:
        file.write_bytes(content)
    assert (done.reproduced, kinds(done)) == (False, {"model file"})
    assert done.rebuilt_sha256 == done.recorded_sha256
    assert "remade/1 was rebuilt byte for byte; remade/1: it is not the file that was registered" in done.sentence


def test_versions_that_are_gone_are_named_and_the_snapshot_still_does(spark, moved: Pipeline) -> None:
    path = f"{moved.folder}/lake/events/moved"
    spark.sql(f"OPTIMIZE delta.`{path}`")
    vacuum(spark, path, keep=timedelta(0))
    with pytest.raises(
        NotReproducible, match=r"version \d+ of events/moved can't be read any more.*without --from-source"
    ):
        rebuilt(spark, moved, "1", from_source=True)
    assert rebuilt(spark, moved, "1").reproduced


def test_rows_that_the_tables_give_otherwise_are_seen(spark, rides: Rides) -> None:
    recipe = recipe_of(rides.runs[0])
    declared = recipe.declared_label.model_copy(update={"positive": "delay > 12"})
    done = rebuilt(
        spark, rides.pipeline, "1", recipe.model_copy(update={"declared_label": declared}), from_source=True
    )  # fmt: skip
    assert not done.reproduced
    assert "values differ in label;" in done.sentence


def test_rows_of_erased_people_are_counted(spark, rides: Rides) -> None:
    ring, run = KeyRing("ring", {}), rides.runs[1]
    assert rebuilt(spark, rides.pipeline, "2").reproduced
    mark_runs(rides.tracking, [run], erasure="e1")
    assert erase_from_snapshot(spark, rides.pipeline, run, ["r5", "r6", "none"], ring=ring, erasure="e1")[0] == 2
    with pytest.raises(
        NotReproducible, match=r"^2 rows of erased people are gone from what remade/2 .* \(erasure e1\)"
    ):
        headrace("reproduce", str(rides.pipeline.folder), run)


def test_a_snapshot_is_released_once_and_the_champion_keeps_its_own(rides: Rides) -> None:
    folder, run = str(rides.pipeline.folder), rides.runs[2]
    with pytest.raises(ModelError, match=r"remade/1 is the champion; move the alias first, or say --even-champion"):
        headrace("snapshots", "release", folder, "champion")
    listed = [json.loads(line) for line in headrace("snapshots", folder, "--json").splitlines()]
    assert [(one["model"], one["aliases"], one["state"]) for one in listed] == [
        ("remade/3", [], "held"), ("remade/2", [], "held"), ("remade/1", ["champion"], "held"),
    ]  # fmt: skip
    rows = recipe_of(run).snapshot.rows
    assert listed[0]["rows"] == rows
    assert listed[0]["bytes"] > 0
    assert "are released" in headrace("snapshots", "release", folder, run)
    assert not (rides.pipeline.folder / "lake" / "snapshots" / run).exists()
    assert "were released before, on 20" in headrace("snapshots", "release", folder, "3")
    assert "released" in headrace("snapshots", folder)
    with pytest.raises(NotReproducible, match=r"^the training rows of remade/3 were released on 20.* UTC by \w+, so"):
        headrace("reproduce", folder, "3")


def test_a_snapshot_that_nobody_released_is_said_to_be_gone(spark, rides: Rides, moved: Pipeline) -> None:
    shutil.rmtree(moved.folder / "lake" / "snapshots" / rides.runs[0])
    with pytest.raises(NotReproducible, match="nothing says that they were released or erased; restore"):
        rebuilt(spark, moved, "1")
    trained = replace(find("remade/1", model=None), run_id=rides.unfinished())
    with pytest.raises(NotReproducible, match=r"recorded no training\.json"):
        recipe_of(trained.run_id)
