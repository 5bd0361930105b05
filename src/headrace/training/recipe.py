"""What a training run records so that its model can be built again: one JSON document, ``training.json``, in its MLflow run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from headrace.errors import ModelError, NotReproducible
from headrace.parameters.event import Parameters
from headrace.spec.boosting import Method
from headrace.spec.features import Features, Label
from headrace.spec.kinds import kind_of
from headrace.spec.learners import BOOSTING
from headrace.spec.model import Model
from headrace.spec.pipeline import Pipeline
from headrace.training.dataset import LABEL, Dataset
from headrace.training.environment import Environment, environment
from headrace.training.learners.found import Found
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
from headrace.training.task import Task

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

FILE = "training.json"
GROWN = "step.json"
"""What a candidate of continuous training has in its place: the step that made it."""

TOLERANCE = 1e-4
"""Where sums are added by several workers, or on a graphics card: largest difference of a prediction that a rebuild may have, in
probability, or in the spread of the predictions where they are none."""


class Split(Part):
    """Which rows train: those of requests before ``cut`` (UTC) whose outcome was known before it."""

    share: float
    cut: datetime
    train_rows: int
    test_rows: int


class Calibrated(Part):
    """How the calibration was learned: by a method, on the newest share of the training rows."""

    method: Method
    share: float


class Recipe(Recorded):
    """Everything that a rebuild needs, apart from the rows."""

    format: Literal[1]
    pipeline: PipelineText
    declared_features: Features
    declared_label: Label
    as_of: datetime
    features: tuple[str, ...]
    """In the order in which the model sees them."""
    label: str
    split: Split
    classes: tuple[str, ...] = ()
    """Of several classes: their names, in the order of the label's numbers."""
    learner: str = BOOSTING
    settings: dict[str, Any]
    """As the learner was given them, ``seed`` among them (of boosting: ``nthread``, too)."""
    rounds: int
    """Number of trees; 0 where the learner has none."""
    calibration: Calibrated | None = None
    """Of what was trained before there was one: none."""
    workers: int | None = None
    """Of Spark, that trained; None: the driver did."""
    tolerance: float | None = None
    """By how much predictions of a rebuild may differ; None: its bytes are the same."""
    snapshot: Snapshot
    tables: dict[str, Source]
    """The events tables that the rows were computed from, by stream."""
    parameters: dict[str, UsedParameters]
    """Those that were taken in, by name."""
    environment: Environment
    booster_sha256: str
    """Of the registered file, whichever learner's; the name is from when all were Boosters."""

    @property
    def task(self) -> Task:
        """What the model learned. Raises ModelError where the settings name no objective that a pipeline file can declare."""
        try:
            return Task(kind_of(self.settings), self.classes)
        except KeyError:
            raise ModelError(
                f"{FILE} of run {self.run_id} names the objective {str(self.settings.get('objective'))[:40]!r}, which no training "
                "takes; find out who changed it, and train anew"
            ) from None


def calibration_of(model: Model) -> Calibrated | None:
    """What a training of this declaration records of its calibration."""
    return None if model.calibration is None else Calibrated(method=model.calibration, share=model.newest_share)


def tolerance_of(model: Model, *, workers: int | None) -> float | None:
    """By how much predictions of a rebuild may differ; None where it gives the same bytes."""
    return TOLERANCE if workers is not None or model.device != "cpu" else None


def record(
    spark: SparkSession,
    pipeline: Pipeline,
    dataset: Dataset,
    *,
    run_id: str,
    split: Split,
    settings: Mapping[str, Any],
    rounds: int,
    content: str,
    booster_sha256: str,
    used: Iterable[Parameters] = (),
    classes: tuple[str, ...] = (),
    calibration: Calibrated | None = None,
    workers: int | None = None,
    tolerance: float | None = None,
    learner: Found,
) -> Recipe:
    """Log the recipe to the run that is open, and give it back. ``used``: the published parameters that the training took."""
    import mlflow

    assert pipeline.spec.features is not None
    assert pipeline.spec.label is not None
    made = Recipe(
        format=1,
        run_id=run_id,
        pipeline=text_of(pipeline),
        declared_features=pipeline.spec.features,
        declared_label=pipeline.spec.label,
        as_of=dataset.as_of,
        features=dataset.features,
        label=LABEL,
        split=split,
        classes=classes,
        learner=learner.name,
        settings=dict(settings),
        rounds=rounds,
        calibration=calibration,
        workers=workers,
        tolerance=tolerance,
        snapshot=snapshot_of(spark, pipeline, run_id=run_id, content=content),
        tables=sources_of(pipeline, dataset.versions),
        parameters={one.name: UsedParameters(version=one.version, sha256=one.sha256) for one in used},
        environment=environment(learner),
        booster_sha256=booster_sha256,
    )  # fmt: skip
    mlflow.log_dict(made.model_dump(mode="json"), FILE)
    return made


def recipe_of(run_id: str) -> Recipe:
    """The recipe of a run. The tracking store must be open.

    Raises NotReproducible where the run recorded none, ModelError where it can't be fetched or read.
    """
    there = recorded(run_id)
    if GROWN in there:
        raise NotReproducible(
            f"run {run_id} is a candidate of continuous training: its trees grew step by step, so no training makes it again; "
            f"its {GROWN} names the step, whose row in the table of steps has the same SHA-256, rows and settings"
        )
    if FILE not in there:
        raise NotReproducible(
            f"run {run_id} recorded no {FILE}, so what its model was made from is not known: it was made by an older "
            "Headrace, or it did not finish; train anew"
        )
    return parsed(fetched(run_id, FILE), run_id=run_id)


def parsed(text: str, *, run_id: str) -> Recipe:
    """A recipe from its text. Raises ModelError where it is damaged, or another run's."""
    return read(Recipe, text, name=FILE, run_id=run_id)
