"""Objective, label and gate speak of the same kind of model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from headrace.located import Document, Problem
from headrace.spec.features import Label
from headrace.spec.kinds import AUC_OF, KINDS, METRICS_OF, objective_of
from headrace.spec.model import Model
from headrace.spec.pipeline import Pipeline


def check_kinds(pipeline: Pipeline, document: Document) -> Iterable[Problem]:
    """All contradictions of ``label`` and ``model`` about what is learned."""
    label, model = pipeline.spec.label, pipeline.spec.model
    if label is not None:
        yield from _check_label(label, model, document)
    if model is not None:
        yield from _check_gate(model, document)
        if model.kind != "binary":
            yield from _check_weights(pipeline, model, document)


def _check_label(label: Label, model: Model | None, document: Document) -> Iterator[Problem]:
    if label.positive is not None and label.value is not None:
        yield document.problem("positive and value are two labels; leave one out", "label", "value")
        return
    if label.positive is None and label.value is None:
        yield document.problem(
            "a label needs positive (an SQL condition), or value (an SQL expression: a number or a class)", "label"
        )
        return
    if model is None:
        return
    objective = objective_of(model.parameters)
    if model.kind == "binary" and label.value is not None:
        others = ", ".join(name for name, kind in KINDS.items() if kind != "binary")
        yield document.problem(
            f"{objective} learns a condition; write positive, or set model.parameters.objective to one of {others}",
            "label", "value",
        )  # fmt: skip
    if model.kind != "binary" and label.positive is not None:
        yield document.problem(
            f"{objective} learns a value, not a condition; write value in place of positive", "label", "positive"
        )
    if model.kind == "ranking" and label.group is None:
        yield document.problem(f"{objective} ranks within groups; write group: the column that names a row's", "label")
    if model.kind != "ranking" and label.group is not None:
        yield document.problem(
            f"{objective} knows no groups; leave group out, or set model.parameters.objective to rank:ndcg", "label", "group"
        )  # fmt: skip


def _check_gate(model: Model, document: Document) -> Iterator[Problem]:
    gate, known, objective = model.gate, METRICS_OF[model.kind], objective_of(model.parameters)
    for metric, key in [(gate.metric, ("metric",)), *((name, ("floors", name)) for name in gate.floors)]:
        if metric not in known:
            yield document.problem(
                f"{metric} is no metric of a {model.kind} model ({objective}); expected one of {', '.join(known)}",
                "model", "gate", *key,
            )  # fmt: skip
    if model.kind not in AUC_OF:
        for name in ("leakage_ceiling", "single_feature_ceiling", "calibration_ceiling"):
            if name in gate.model_fields_set and getattr(gate, name) is not None:
                yield document.problem(
                    f"{name} needs probabilities, which a {model.kind} model ({objective}) does not give; leave it out",
                    "model", "gate", name,
                )  # fmt: skip
    if model.kind == "ranking" and gate.slices:
        yield document.problem(
            "slices are of rows, and a ranking is judged by whole groups; leave them out", "model", "gate", "slices"
        )


def _check_weights(pipeline: Pipeline, model: Model, document: Document) -> Iterator[Problem]:
    where = {
        ("parameters", "class_weights"): pipeline.spec.parameters.class_weights,
        ("model", "parameters", "scale_pos_weight"): "scale_pos_weight" in model.parameters,
    }
    for key, declared in where.items():
        if declared:
            yield document.problem(
                f"{key[-1]} weighs positive rows, and a {model.kind} model has none; leave it out", *key
            )  # fmt: skip
