"""Rides that were ingested, and three models that were trained on them: the first is the champion."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import mlflow
from deltalake import DeltaTable
from pipelines import make_topic
from rides import CUT, events, make_pipeline, send
from shop import headrace
from told import declare_lineage

from headrace.connections import Tracking, connect_tracking
from headrace.spec import Pipeline, load
from headrace.training import registry


@dataclass(frozen=True)
class Rides:
    """The pipeline, its home folder, and the runs in their order."""

    pipeline: Pipeline
    home: Path
    tracking: Tracking
    runs: tuple[str, ...]
    versions: dict[str, int]
    """Of the events tables when the models were trained, by delta-rs."""

    @property
    def events(self) -> Path:
        """Where lineage events are told."""
        return self.pipeline.folder / "told" / "events.jsonl"

    def files(self, version: int) -> list[Path]:
        """The Booster file of a version in MLflow's store."""
        source = mlflow.MlflowClient().get_model_version("remade", str(version)).source
        return [path for path in self.home.rglob("model.ubj") if source.rpartition("/")[2] in str(path)]

    def file_sha256(self, version: int) -> str:
        (file,) = self.files(version)
        return hashlib.sha256(file.read_bytes()).hexdigest()

    def unfinished(self) -> str:
        """A run that ended before it had anything."""
        with mlflow.start_run(experiment_id=registry.open_tracking(self.tracking)) as active:
            return active.info.run_id


def make_rides(folder: Path, *, bootstrap: str) -> Rides:
    """Ten hours of rides in two ingests, and three trainings on them, all by commands. ``HEADRACE_HOME`` is ``folder/home``."""
    make_pipeline(folder / "p", bootstrap, "remade")
    file = folder / "p" / "pipeline.yaml"
    text = file.read_text().replace("rounds: 20", "rounds: 20\n  parameters: {subsample: 0.8, max_depth: 4}")
    text = text.replace("tolerance: 1.0", "tolerance: 0, floors: {auc: 0.5}")
    file.write_text(text)
    declare_lineage(folder / "p")
    pipeline, tracking = load(folder / "p"), connect_tracking(load(folder / "p"), home=folder / "home")
    for name in ("asked", "moved"):
        make_topic(bootstrap, f"remade.{name}")
    for first, last in ((0, 300), (300, 600)):
        send(bootstrap, events("remade", first=first, last=last))
        headrace("ingest", str(pipeline.folder), "--until-caught-up")
    trained = [json.loads(headrace("train", str(pipeline.folder), "--as-of", CUT.isoformat())) for _ in range(3)]
    registry.set_alias("remade", alias="champion", version=1)
    versions = {name: DeltaTable(f"{folder}/p/lake/events/{name}").version() for name in ("asked", "moved")}
    return Rides(pipeline, folder / "home", tracking, tuple(one["run_id"] for one in trained), versions)
