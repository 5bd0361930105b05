"""The declared search for hyperparameters: how many trials, over which splits in time, in which space."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import Field, field_validator

from headrace.spec.connections import EMBEDDED
from headrace.spec.section import Section

WHOLE = frozenset(["max_bin", "max_cat_threshold", "max_cat_to_onehot", "max_depth", "max_leaves", "num_parallel_tree"])
"""Parameters that take whole numbers only."""
NOT_SEARCHED = frozenset(["base_score", "booster", "eval_metric", "objective", "verbosity"])
"""They say what is learned or measured: trials that differ in them can't be compared."""
SAME = {"learning_rate": "eta", "reg_lambda": "lambda", "reg_alpha": "alpha", "min_split_loss": "gamma"}
"""XGBoost's second names for some parameters."""
_DATABASE = r"(sqlite|postgresql|mysql)(\+[a-z0-9]+)?://[^?#\s]*"
_SHAPES = "expected [LOW, HIGH], {log: [LOW, HIGH]} or {choice: [...]}"

Number = int | float
Between = tuple[Number, Number]
"""Lowest and highest value, both included; whole numbers where both are written so."""


class Log(Section):
    """Between two numbers, evenly on a logarithmic scale."""

    log: Between


class Choice(Section):
    """One of these values."""

    choice: tuple[int | float | str | bool, ...] = Field(min_length=1, max_length=100)


Space = dict[str, Between | Log | Choice]

USUAL: Space = {
    "max_depth": (3, 8),
    "eta": Log(log=(0.02, 0.3)),
    "min_child_weight": Log(log=(1.0, 100.0)),
    "subsample": (0.5, 1.0),
    "colsample_bytree": (0.3, 1.0),
    "lambda": Log(log=(0.1, 30.0)),
}
"""The space where none is declared."""


class Search(Section):
    """What ``headrace search`` tries."""

    trials: Annotated[int, Field(ge=1, le=10_000)] = Field(default=30, description="pruned ones count")
    folds: Annotated[int, Field(ge=2, le=20)] = Field(
        default=3, description="validation parts; each is judged by a model of what lies before it"
    )
    most_rounds: Annotated[int, Field(ge=10, le=5000)] = Field(default=1000, description="of boosting in a fold")
    patience: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=30, description="a fold stops after so many rounds without gain on its validation part"
    )
    storage: str = Field(
        default=EMBEDDED,
        description="embedded (a SQLite file in the home folder), or a database's URI without parameters",
    )
    space: Space = Field(
        default={}, description="parameter: [low, high], {log: [low, high]} or {choice: [...]}; a usual space if empty"
    )

    @field_validator("storage")
    @classmethod
    def _a_database(cls, uri: str) -> str:
        if uri != EMBEDDED and not re.fullmatch(_DATABASE, uri):
            raise ValueError("expected 'embedded', or a URI of sqlite, postgresql or mysql without parameters (?...)")
        return uri

    @field_validator("space", mode="before")
    @classmethod
    def _well_formed(cls, space: Any) -> Any:
        """One sentence for a dimension that is wrong, where a union would give one for each of its members."""
        if isinstance(space, dict):
            for name, dimension in space.items():
                problem = _problem(str(name), dimension)
                if problem:
                    raise ValueError(f"{name}: {problem}")
        return space


def _problem(name: str, dimension: Any) -> str | None:
    if isinstance(dimension, Choice) or (isinstance(dimension, dict) and set(dimension) == {"choice"}):
        values = dimension.choice if isinstance(dimension, Choice) else dimension["choice"]
        plain = isinstance(values, list | tuple) and all(isinstance(one, int | float | str) for one in values)
        return None if plain and values else _SHAPES
    log = isinstance(dimension, Log) or (isinstance(dimension, dict) and set(dimension) == {"log"})
    bounds: Any = (dimension.log if isinstance(dimension, Log) else dimension["log"]) if log else dimension
    if not isinstance(bounds, list | tuple) or len(bounds) != 2 or not all(_number(one) for one in bounds):
        return _SHAPES
    low, high = bounds
    if not low < high:
        return f"{low} is not below {high}; write the lower bound first"
    if log and low <= 0:
        return f"a logarithmic range begins above 0, not at {low}"
    if name in WHOLE and not (isinstance(low, int) and isinstance(high, int)):
        return "takes whole numbers only; write them without a decimal point"
    return None


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12
