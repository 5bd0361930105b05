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
        yield from _check_distributed(model, document)
        yield from _check_device(model, document)


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


def _check_distributed(model: Model, document: Document) -> Iterator[Problem]:
    if model.distributed is None:
        return
    here = ("model", "distributed")
    if model.calibration is not None:
        yield document.problem(
            "a calibration is learned on the driver, without the rows that workers hold; remove calibration, or distributed",
            *here,
        )  # fmt: skip
    if model.continuous is not None:
        yield document.problem(
            "a continuous training adds trees on the driver; remove distributed, or the section continuous", *here
        )  # fmt: skip
    for name, alone in {"tree_method": ("exact",), "booster": ("gblinear", "dart")}.items():
        if (value := model.parameters.get(name)) in alone:
            yield document.problem(
                f"Spark's workers can't train with {name}: {value}; remove it, or distributed", "model", "parameters", name
            )  # fmt: skip


def _check_device(model: Model, document: Document) -> Iterator[Problem]:
    if model.device == "cpu":
        return
    for section, declared in (("distributed", model.distributed), ("continuous", model.continuous)):
        if declared is not None:
            yield document.problem(
                f"a graphics card grows the trees of a plain training only; remove device, or the section {section}",
                "model", "device",
            )  # fmt: skip
    if (value := model.parameters.get("tree_method")) in ("exact",):
        yield document.problem(
            f"a graphics card can't train with tree_method: {value}; remove it, or device", "model", "parameters", "tree_method"
        )  # fmt: skip
