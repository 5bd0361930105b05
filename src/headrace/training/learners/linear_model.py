"""A linear model: a small JSON file that a person can read, and its answers by NumPy."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from headrace.errors import ModelError
from headrace.spec.kinds import Kind
from headrace.training.task import Task

if TYPE_CHECKING:
    import pyarrow as pa


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Column(_Part):
    """A feature in the training rows."""

    name: str
    mean: float
    """Of the values that are known."""
    scale: Annotated[float, Field(gt=0)]
    """Their standard deviation; 1 where all are the same."""
    missing: Annotated[float, Field(ge=0, le=1)]
    """Share of the rows without it."""

    def standardized(self, values: np.ndarray) -> np.ndarray:
        """With mean 0 and standard deviation 1; 0 where a value is missing or infinite."""
        return np.where(np.isfinite(values), (values - self.mean) / self.scale, 0.0)


class Output(_Part):
    """What is added up for one answer."""

    intercept: float
    weights: tuple[float, ...]
    """Of each standardized feature."""
    when_missing: tuple[float, ...]
    """What is added where a feature is missing."""


class LinearModel(_Part):
    """A fitted model."""

    format: Literal[1]
    kind: Kind
    columns: tuple[Column, ...]
    outputs: Annotated[tuple[Output, ...], Field(min_length=1)]
    """One; of several classes one for each."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        width = len(self.columns)
        if any(len(part) != width for one in self.outputs for part in (one.weights, one.when_missing)):
            raise ValueError("expected a weight of each feature")
        if self.kind == "ranking":
            raise ValueError("expected a condition, a number or classes")
        if (self.kind == "multiclass") != (len(self.outputs) > 1):
            raise ValueError("expected one output, and more only of several classes")
        return self

    @classmethod
    def read(cls, content: bytes) -> LinearModel:
        """From its file. Raises ModelError where that is none."""
        try:
            return cls.model_validate_json(content)
        except ValidationError:
            raise ModelError("the file of a linear model is not what a training wrote; train anew") from None

    def require(self, task: Task) -> None:
        """Raise ModelError where its version says that it learned something else."""
        if self.kind != task.kind or len(self.outputs) != max(1, len(task.classes)):
            raise ModelError(
                f"the file of a linear model is a {self.kind} model, and its version says {task.kind}; find out who changed a tag"
            )

    def to_bytes(self) -> bytes:
        """JSON: numbers as Python writes them, so that they are read as they were."""
        return (json.dumps(self.model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n").encode()

    def predict(self, rows: pa.Table, *, features: Sequence[str]) -> np.ndarray:
        """A ``float64`` per row, the probability or the number; of several classes a column for each. An infinite value counts as a
        missing one. A row's answer does not depend on the rows beside it: features are added up one by one.
        """  # fmt: skip
        from headrace.training.quality import column

        known = {one.name: one for one in self.columns}
        if tuple(features) != tuple(known):
            raise ModelError("a linear model was asked with other features than it was trained on; train anew")
        told = np.tile([[one.intercept] for one in self.outputs], (1, rows.num_rows))
        for number, one in enumerate(self.columns):
            values = column(rows, one.name)
            plain, absent = one.standardized(values), ~np.isfinite(values)
            for place, output in enumerate(self.outputs):
                told[place] += output.weights[number] * plain + output.when_missing[number] * absent
        if self.kind == "regression":
            return told[0]
        if self.kind == "binary":
            return 1 / (1 + np.exp(-np.clip(told[0], -700, 700)))
        raised = np.exp(told - told.max(axis=0))
        return (raised / raised.sum(axis=0)).T

    def importance(self) -> dict[str, float]:
        """Each feature's share of all weights without their signs, for standardized features, largest first. What a missing value
        adds counts, too.
        """  # fmt: skip
        total: dict[str, float] = {}
        for number, one in enumerate(self.columns):
            spread = float(np.sqrt(one.missing * (1 - one.missing)))
            total[one.name] = sum(
                abs(output.weights[number]) + spread * abs(output.when_missing[number]) for output in self.outputs
            )
        whole = sum(total.values()) or 1.0
        return dict(sorted(((name, value / whole) for name, value in total.items() if value), key=lambda one: -one[1]))
