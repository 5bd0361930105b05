"""What a challenger must show before the alias moves to it."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from headrace.spec.section import Duration, Name, Section

Metric = Literal[
    "auc", "average_precision", "brier", "log_loss", "rmse", "mae", "r2", "accuracy", "macro_auc", "ndcg_10"
]  # fmt: skip
Ratio = Annotated[float, Field(ge=0, le=1)]
Ceiling = Annotated[float, Field(gt=0.5, le=1)]
"""Of an AUC: 0.5 is chance."""


class Slice(Section):
    """Segments of the test rows by one feature. Rows in which it is missing are a segment of their own."""

    feature: str
    bands: tuple[float, ...] = Field(default=(), description="edges: below the first, then from each one to the next")
    values: tuple[float, ...] = Field(default=(), description="a segment for each value, and one for all others")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.bands) == bool(self.values):
            raise ValueError("a slice takes bands or values, one of them: {feature: amount, bands: [10, 100]}")
        if list(self.bands) != sorted(set(self.bands)):
            raise ValueError(f"bands must rise, got {list(self.bands)}")
        if len(set(self.values)) < len(self.values):
            raise ValueError(f"a value is there twice in {list(self.values)}")
        return self


class Gate(Section):
    """What a challenger must show before the alias moves to it. A metric that is missing or not a number fails."""

    metric: Metric = Field(
        default="auc", description="challenger against champion, on the same rows; by default the first of its kind"
    )
    tolerance: Annotated[float, Field(ge=0)] = Field(
        default=0.01, description="how much worse than the champion, in the metric's unit, still passes"
    )
    confidence: Annotated[float, Field(ge=0.5, lt=1)] = Field(
        default=0.95, description="of the intervals; the champion is matched where the whole interval says so"
    )
    resamples: Annotated[int, Field(ge=100, le=10_000)] = Field(
        default=500, description="how often the test rows are drawn anew (paired bootstrap)"
    )
    draw_by: Duration | None = Field(
        default=None, description="rows of one such stretch of time hang together and are drawn together: 1d"
    )
    floors: dict[Metric, float] = Field(
        default={}, description="at least (brier, log_loss, rmse and mae: at most) this value"
    )
    leakage_ceiling: Ceiling | None = Field(
        default=None, description="an AUC above this means that a feature knows the outcome"
    )
    single_feature_ceiling: Ceiling = Field(
        default=0.98, description="an AUC of one feature alone above this means that it knows the outcome"
    )
    calibration_ceiling: Ratio | None = Field(
        default=None, description="at most this mean distance of predicted probability and observed share"
    )
    latency_ms: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="at most so many milliseconds per 1,000 rows, on the machine that trains"
    )
    slices: dict[Name, Slice] = Field(default={}, description="segments that must not get worse")
    minimum_support: Annotated[int, Field(ge=1)] = Field(
        default=200, description="a segment with fewer test rows is shown, not judged"
    )
    slice_tolerance: Annotated[float, Field(ge=0)] | None = Field(
        default=None, description="how much worse a segment may get, in the metric's unit (default: tolerance)"
    )
    minimum_rows: Annotated[int, Field(ge=1)] = 1000
    minimum_outcomes: Annotated[int, Field(ge=1)] = Field(
        default=10, description="fewer test rows of either outcome fail"
    )
    most_missing: Ratio | None = Field(
        default=None, description="a feature that is missing in a larger share of the rows fails"
    )
    most_missing_of: dict[str, Ratio] = Field(default={}, description="feature: the same, for this one alone")
    may_be_constant: tuple[str, ...] = Field(
        default=(), description="features that may be empty, or the same in all training rows"
    )
