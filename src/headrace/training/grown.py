"""What a candidate of continuous training records in place of a recipe: the step that made its Booster, ``step.json``."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from headrace.parameters.used import from_tag
from headrace.spec.pipeline import Pipeline
from headrace.training.dataset import Dataset
from headrace.training.environment import Environment, environment
from headrace.training.recipe import GROWN, Recipe, recipe_of
from headrace.training.recorded import (
    Part,
    PipelineText,
    Recorded,
    Snapshot,
    Source,
    UsedParameters,
    fetched,
    read,
    recorded,
    snapshot_of,
    sources_of,
    text_of,
)

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


class StepTold(Part):
    """A step, as the table of steps has it."""

    table: str
    step: int
    chain: int
    """Number of the first step of its Booster."""
    versions: dict[str, int]
    """Of the events tables, up to which they were consumed."""
    as_of: datetime
    """What was known before it was consumed (UTC)."""
    trees: int
    parameters: str
    settings: str
    started_from: str
    """The registered version that the Booster began from, or that it began from nothing."""
    sha256: str


class Grown(Recorded):
    """The way back of a candidate."""

    format: Literal[1]
    pipeline: PipelineText
    as_of: datetime
    """What was known before it was judged on (UTC)."""
    features: tuple[str, ...]
    step: StepTold
    snapshot: Snapshot
    """The rows that it was judged on."""
    tables: dict[str, Source]
    """The events tables at the versions up to which its trees consumed them, by stream."""
    environment: Environment

    @property
    def booster_sha256(self) -> str:
        """Of its Booster file."""
        return self.step.sha256

    @property
    def settings(self) -> dict[str, Any]:
        """As XGBoost was given them for the last step."""
        return json.loads(self.step.settings)

    @property
    def rounds(self) -> int:
        """Trees of all steps."""
        return self.step.trees

    @property
    def parameters(self) -> dict[str, UsedParameters]:
        """The published parameters of the last step, by name."""
        used = from_tag(self.step.parameters, what=f"run {self.run_id}")
        return {name: UsedParameters(version=one.version, sha256=one.sha256) for name, one in used.items()}


def record_grown(
    spark: SparkSession, pipeline: Pipeline, dataset: Dataset, *, run_id: str, step: StepTold, content: str
) -> None:
    """Log it to the run that is open."""
    import mlflow

    made = Grown(
        format=1, run_id=run_id, pipeline=text_of(pipeline), as_of=dataset.as_of, features=dataset.features, step=step,
        snapshot=snapshot_of(spark, pipeline, run_id=run_id, content=content), tables=sources_of(pipeline, step.versions),
        environment=environment(),
    )  # fmt: skip
    mlflow.log_dict(made.model_dump(mode="json"), GROWN)


def made_from(run_id: str) -> Recipe | Grown:
    """What a run's model was made from, whichever way it was made. The tracking store must be open. Raises as :func:`recipe_of`."""
    if GROWN in recorded(run_id):
        return read(Grown, fetched(run_id, GROWN), name=GROWN, run_id=run_id)
    return recipe_of(run_id)
