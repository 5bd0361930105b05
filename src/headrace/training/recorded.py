"""What runs record of where their models come from: the parts that their documents share, and how these are read again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from headrace.errors import ModelError
from headrace.lake import delta
from headrace.lake.layout import Layout
from headrace.spec.pipeline import Pipeline
from headrace.training.snapshot import column_hashes, read_snapshot

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


class Part(BaseModel):
    """A part of what is recorded: a name that is not expected is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PipelineText(Part):
    """The pipeline file as it was written: with ``${NAME}`` in place of what the environment held, so without secrets."""

    name: str
    version: str
    text: str


class Table(Part):
    """A table that was read, at a version."""

    path: str
    version: int


class Source(Table):
    """An events table, and the topic that it holds."""

    topic: str


class Snapshot(Table):
    """The training rows."""

    content: str
    """``count-sum-xor`` of the rows' hashes (:func:`headrace.training.snapshot.content_hash`)."""
    columns: dict[str, str]
    """A hash of each column."""

    @property
    def rows(self) -> int:
        """How many they were."""
        return int(self.content.partition("-")[0], 16)


class UsedParameters(Part):
    """Published parameters: their version, and the hash of their content."""

    version: int
    sha256: str


class Recorded(Part):
    """A whole document, of one run."""

    run_id: str


Document = TypeVar("Document", bound=Recorded)


def text_of(pipeline: Pipeline) -> PipelineText:
    """The pipeline file, as it is recorded."""
    return PipelineText(name=pipeline.name, version=pipeline.version, text=pipeline.text)


def sources_of(pipeline: Pipeline, versions: Mapping[str, int]) -> dict[str, Source]:
    """The events tables at their versions, by stream."""
    layout = Layout(pipeline.spec.lake.root)
    return {
        name: Source(path=layout.events(name), version=at, topic=pipeline.spec.streams[name].topic)
        for name, at in versions.items()
    }


def snapshot_of(spark: SparkSession, pipeline: Pipeline, *, run_id: str, content: str) -> Snapshot:
    """The snapshot of a run, with a hash of each column."""
    path = Layout(pipeline.spec.lake.root).snapshot(run_id)
    columns = column_hashes(read_snapshot(spark, path))
    return Snapshot(path=path, version=delta.version(spark, path), content=content, columns=columns)


def recorded(run_id: str) -> frozenset[str]:
    """Names of what a run recorded. Raises ModelError where MLflow does not say."""
    from mlflow.tracking import MlflowClient

    try:
        return frozenset(one.path for one in MlflowClient().list_artifacts(run_id))
    except Exception as error:
        raise _gone("what was recorded", run_id, error) from None


def fetched(run_id: str, name: str) -> str:
    """The text of what a run recorded. Raises ModelError where it can't be fetched."""
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from mlflow.tracking import MlflowClient

    try:
        with TemporaryDirectory() as folder:
            return Path(MlflowClient().download_artifacts(run_id, name, folder)).read_text(encoding="utf-8")
    except Exception as error:
        raise _gone(name, run_id, error) from None


def _gone(name: str, run_id: str, error: Exception) -> ModelError:
    return ModelError(
        f"{name} of run {run_id} can't be fetched from MLflow ({type(error).__name__}); is its store for artifacts there?"
    )


def read(kind: type[Document], text: str, *, name: str, run_id: str) -> Document:
    """What a run recorded as ``name``. Raises ModelError where it is damaged, or another run's."""
    try:
        found = kind.model_validate(json.loads(text))
    except (ValueError, ValidationError) as error:
        where = ".".join(map(str, error.errors()[0]["loc"])) if isinstance(error, ValidationError) else "no JSON"
        raise ModelError(
            f"{name} of run {run_id} is not what a training wrote ({where}); find out who changed it, and train anew"
        ) from None
    if found.run_id != run_id:
        raise ModelError(f"{name} of run {run_id} is that of run {found.run_id[:32]}; find out who changed it")
    return found
