"""Predictions and training rows of a person go, under old pseudonyms too; the models are marked in a real MLflow store."""

from __future__ import annotations

from pathlib import Path

import mlflow
import pytest
from customers import write_customers
from deltalake import DeltaTable
from leaks import contents

from headrace.connections import Tracking
from headrace.erasure.answers import Answers, erase_from_snapshot, erase_predictions, find_answers
from headrace.erasure.marks import mark_runs, models_of
from headrace.lake.lease import leased
from headrace.lake.tables import create_table
from headrace.privacy.keys import ensure_keys, needed_keys, open_ring
from headrace.privacy.person import makers, named_in
from headrace.privacy.rotation import rotate
from headrace.training.registry import open_tracking
from headrace.training.snapshot import write_snapshot

PROTECT = {"email": {"pseudonym": "email", "as": "email"}}


def test_what_was_computed_for_a_person_goes(spark, tmp_path: Path) -> None:
    pipeline = write_customers(
        tmp_path, bootstrap="localhost:1", topic="t", protect=PROTECT, subject={"email": "email"}, scored=True
    )  # fmt: skip
    reference = pipeline.spec.keys.ring
    ensure_keys(reference, needed_keys(pipeline))
    rotate(reference, ["pseudonym/email"], fresh=False)
    ring = open_ring(reference)
    stream = pipeline.spec.streams["customers"]
    made = makers(named_in(stream, [stream])[0], ring=ring)
    old, new = ({name: make(f"{name}@example.org") for name in ("ada", "bob")} for make in (made["v1"], made["v2"]))
    lake = tmp_path / "lake"
    rows = spark.createDataFrame([(old["ada"], 1.5), (old["bob"], 2.5)], "id string, feature double")
    write_snapshot(rows, str(lake / "snapshots" / "run1"))  # keeps the ids with which it was made
    write_snapshot(rows.where("feature > 2"), str(lake / "snapshots" / "run2"))
    predictions = str(lake / "serving" / "shop-model" / "predictions")
    create_table(spark, predictions, schema=rows.schema, statistics=("feature",))
    rows.replace(old, subset="id").write.format("delta").mode("append").save(predictions)
    spark.createDataFrame([(new["ada"], 3.5)], rows.schema).write.format("delta").mode("append").save(predictions)

    found = find_answers(spark, pipeline, [new["ada"]], ring=ring)
    assert (found.predictions, found.snapshots) == (2, {"run1": 1})
    with leased(spark, predictions, what="serving") as lease:
        assert erase_predictions(spark, pipeline, [new["ada"]], ring=ring, erasure="e", lease=lease)[0] == 2
    assert erase_from_snapshot(spark, pipeline, "run1", [new["ada"]], ring=ring, erasure="e")[0] == 1
    assert find_answers(spark, pipeline, [new["ada"]], ring=ring) == Answers()
    left = DeltaTable(str(lake / "snapshots" / "run1")).to_pyarrow_table().to_pylist()
    assert left == [{"id": old["bob"], "feature": 2.5}]
    assert DeltaTable(predictions).to_pyarrow_table().column("id").to_pylist() == [old["bob"]]
    needles = [old["ada"].encode(), new["ada"].encode()]
    files = [file for file in lake.rglob("*") if file.is_file()]
    assert not [file for file in files for data in contents(file) for needle in needles if needle in data]
    with pytest.raises(Exception, match=r"DELTA_CANNOT_MODIFY_APPEND_ONLY"):
        spark.sql(f"DELETE FROM delta.`{lake / 'snapshots' / 'run1'}`")


def test_models_are_marked(tmp_path: Path) -> None:
    tracking = Tracking(f"sqlite:///{tmp_path / 'mlflow.db'}", "shop", str(tmp_path / "artifacts"))
    experiment = open_tracking(tracking)
    with mlflow.start_run(experiment_id=experiment) as active:
        run = active.info.run_id
    client = mlflow.MlflowClient()
    client.create_registered_model("shop-model")
    client.create_model_version("shop-model", str(tmp_path), run)
    assert models_of(tracking, [run]) == ["shop-model/1"]
    assert mark_runs(tracking, [run, "0" * 32], erasure="e1") == ["shop-model/1"]
    assert mark_runs(tracking, [run], erasure="e2") == ["shop-model/1"]
    tags = client.get_run(run).data.tags
    assert (tags["headrace.erased"], tags["headrace.reproducible"]) == ("e1,e2", "no")
    assert client.get_model_version("shop-model", "1").tags["headrace.erased"] == "e1,e2"
