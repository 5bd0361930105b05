"""What boosting is asked for besides trees fits the kind of model, and what else is declared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from headrace.located import Document, Problem
from headrace.spec.kinds import objective_of
from headrace.spec.model import Model
from headrace.spec.pipeline import Pipeline


def check_boosting(pipeline: Pipeline, document: Document) -> Iterable[Problem]:
    """All problems of ``model.calibration`` and its like."""
    model = pipeline.spec.model
    if model is not None:
        yield from _check_calibration(model, document)


def _check_calibration(model: Model, document: Document) -> Iterator[Problem]:
    here = ("model", "calibration")
    if model.calibration is not None and model.kind != "binary":
        yield document.problem(
            f"calibration is for the probability of a condition, and {objective_of(model.parameters)} learns none; leave it out",
            *here,
        )  # fmt: skip
    if model.calibration is not None and model.continuous is not None:
        yield document.problem(
            "trees that a continuous training adds make a calibration wrong; remove calibration, or the section continuous",
            *here,
        )  # fmt: skip
    if "calibration_share" in model.model_fields_set:
        key = ("model", "calibration_share")
        if model.calibration is None:
            yield document.problem("no calibration is declared that a share could tell; leave it out", *key)
        elif model.early_stopping is not None:
            yield document.problem("early_stopping.share tells the calibration, too; leave calibration_share out", *key)
