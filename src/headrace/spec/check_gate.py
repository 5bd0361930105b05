"""The gate: every feature that it names exists."""

from __future__ import annotations

from collections.abc import Iterable

from headrace.located import Document, Key, Problem
from headrace.spec.pipeline import Pipeline


def check_gate(pipeline: Pipeline, document: Document) -> Iterable[Problem]:
    """All problems of ``model.gate``."""
    spec = pipeline.spec
    if spec.model is None or spec.features is None:
        return
    gate, known, here = spec.model.gate, spec.features.names, ("model", "gate")
    named: list[tuple[str, Key]] = [
        *((one.feature, (*here, "slices", name, "feature")) for name, one in gate.slices.items()),
        *((name, (*here, "most_missing_of", name)) for name in gate.most_missing_of),
        *((name, (*here, "may_be_constant")) for name in gate.may_be_constant),
    ]
    for feature, key in named:
        if feature not in known:
            yield document.problem(f"no feature {feature!r}; expected one of {', '.join(known)}", *key)
