"""From rows to a fitted model, by whichever learner: once in a training, and again where it is reproduced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headrace.errors import LearnerError
from headrace.spec.kinds import objective_of
from headrace.spec.learners import BOOSTING
from headrace.spec.model import Model
from headrace.training.apart import Apart
from headrace.training.calibrate import calibrated
from headrace.training.calibration import carry
from headrace.training.device import device_settings
from headrace.training.grow import grow
from headrace.training.learners.boosting import ROUNDS, Boosted
from headrace.training.learners.checked import fitted_by
from headrace.training.learners.found import Found, find
from headrace.training.learners.protocol import Fitted
from headrace.training.recipe import Recipe
from headrace.training.task import Task

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class Learned:
    """What a training made, and all that its learner was given."""

    fitted: Fitted
    settings: Mapping[str, Any]
    rounds: int
    """Number of trees; 0 where the learner has none."""
    parameters: Mapping[str, Any]
    """What the run shows in MLflow."""
    workers: int | None = None
    """Of Spark, that trained; None: the driver did."""

    @property
    def figures(self) -> dict[str, int]:
        """For MLflow."""
        return {"rounds_trained": self.rounds} if self.rounds else {}


def learner_of(model: Model) -> Found:
    """The learner that a pipeline file names. Raises LearnerError where it is not there, or can't learn what is declared."""
    found = find(model.learner)
    if model.kind not in found.learner.kinds:
        raise LearnerError(
            f"{found.of} can't learn a {model.kind} model, only {', '.join(sorted(found.learner.kinds))}; correct "
            "model.parameters.objective, or name another learner"
        )
    return found


def learn(
    rows: pa.Table | Apart, *, found: Found, model: Model, features: tuple[str, ...], task: Task, parameters: Mapping[str, Any],
    rounds: int, spark: SparkSession,
) -> Learned:  # fmt: skip
    """Fit the declared model. ``parameters``, ``rounds``: the declared ones, or what was published over them."""
    if found.name == BOOSTING:
        given = {**parameters, **task.settings, **device_settings(model.device)}
        grown = grow(rows, features=features, task=task, model=model, parameters=given, rounds=rounds)
        shown = {f"xgb.{name}": value for name, value in given.items()}
        shown |= {"calibration": model.calibration} if model.calibration is not None else {}
        shown |= {"learner": found.name, "rounds": grown.rounds, "seed": model.seed}
        return Learned(Boosted(grown.booster), grown.settings, grown.rounds, shown, grown.workers)
    assert not isinstance(rows, Apart), "headrace check refuses distributed of other learners"
    defaults: Mapping[str, Any] = getattr(found.learner, "defaults", {})
    given = {**defaults, **parameters, "objective": objective_of(model.parameters), "seed": model.seed}
    fitted = fitted_by(
        found, task.numbered(rows), features=features, task=task, parameters=_own(given), seed=model.seed, spark=spark
    )  # fmt: skip
    shown = {f"{found.name}.{name}": value for name, value in _own(given).items()}
    return Learned(fitted, given, 0, {"learner": found.name, "seed": model.seed, **shown})


def learn_again(
    rows: pa.Table, recipe: Recipe, *, found: Found, settings: Mapping[str, Any], spark: SparkSession
) -> Fitted:
    """Fit on the driver, with what a training recorded that its learner was given."""
    numbered, seed = recipe.task.numbered(rows), int(settings["seed"])
    given = {**settings, ROUNDS: recipe.rounds} if found.name == BOOSTING else _own(settings)
    fitted = fitted_by(
        found, numbered, features=recipe.features, task=recipe.task, parameters=given, seed=seed, spark=spark
    )  # fmt: skip
    if recipe.calibration is not None and isinstance(fitted, Boosted):
        told = calibrated(
            numbered, features=recipe.features, label=recipe.label, settings=settings, rounds=recipe.rounds,
            method=recipe.calibration.method, share=recipe.calibration.share,
        )  # fmt: skip
        carry(fitted.booster, told)
    return fitted


def _own(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a learner that is given the seed apart."""
    return {name: value for name, value in settings.items() if name != "seed"}
