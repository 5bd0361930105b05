"""The learner is one that there is, it learns this kind, and nothing is asked of it that only boosting can do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from headrace.located import Document, Problem
from headrace.spec.kinds import objective_of
from headrace.spec.learners import BOOSTING, BUILT_IN, LINEAR, installed, offered, package_of
from headrace.spec.model import Model
from headrace.spec.pipeline import Pipeline

_OF_BOOSTING = {
    "rounds": "is the number of trees",
    "early_stopping": "finds the number of trees",
    "search": "tries parameters of boosting",
    "continuous": "adds trees",
    "calibration": "is kept in a Booster's file",
    "calibration_share": "tells the calibration of boosting",
    "distributed": "has Spark's workers grow trees",
    "device": "grows trees",
}
"""Keys of ``model``, and why no other learner has them."""
_PUBLISHED = {
    "class_weights": "weigh the rows of boosting",
    "monotonic": "binds trees",
    "hyperparameters": "are parameters of boosting",
}
"""Keys of ``parameters``."""


def check_learners(pipeline: Pipeline, document: Document) -> Iterable[Problem]:
    """All problems of ``model.learner``."""
    model = pipeline.spec.model
    if model is None or model.learner == BOOSTING:
        return
    if model.learner not in BUILT_IN:
        yield from _check_installed(model, document)
    if model.learner == LINEAR and model.kind == "ranking":
        yield document.problem(
            f"learner linear can't learn {objective_of(model.parameters)}; write learner: boosting, or learn a number",
            "model", "learner",
        )  # fmt: skip
    if "seed" in model.parameters:
        yield document.problem("a learner is given model.seed; remove seed from its parameters", "model", "parameters")
    declared = pipeline.spec.parameters
    asked = {("model", key): why for key, why in _OF_BOOSTING.items() if _asks(model, key)}
    asked |= {("parameters", key): why for key, why in _PUBLISHED.items() if getattr(declared, key)}
    for key, why in asked.items():
        yield document.problem(
            f"{key[-1]} {why}, and the learner is {model.learner}; leave it out, or write learner: boosting", *key
        )


def _asks(model: Model, key: str) -> bool:
    return key in model.model_fields_set and getattr(model, key) is not None


def _check_installed(model: Model, document: Document) -> Iterator[Problem]:
    found = installed(model.learner)
    if not found:
        yield document.problem(
            f"no learner {model.learner!r} is installed; expected one of {offered()}", "model", "learner"
        )
    if len(found) > 1:
        packages = " and ".join(sorted(package_of(one) for one in found))
        yield document.problem(
            f"learner {model.learner!r} is offered by {packages}; uninstall all but one", "model", "learner"
        )
