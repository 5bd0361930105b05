"""A calibration: a map from a Booster's margin to a probability, kept inside the Booster's own file, so under the same SHA-256."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from headrace.errors import ModelError

if TYPE_CHECKING:
    import xgboost as xgb

ATTRIBUTE = "headrace.calibration"
"""Of a Booster: the map as JSON."""
MOST_STEPS = 20_000
_MOST_CHARACTERS = 60 * MOST_STEPS


@dataclass(frozen=True)
class Sigmoid:
    """Platt's map (1999): ``1 / (1 + exp(-(slope * margin + intercept)))``. It keeps the order."""

    slope: float
    """Above 0."""
    intercept: float

    def probabilities(self, margins: np.ndarray) -> np.ndarray:
        """One ``float64`` per margin."""
        asked = self.slope * margins.astype(np.float64) + self.intercept
        return np.exp(-np.logaddexp(0, -asked))

    def as_json(self) -> dict[str, Any]:
        return {"method": "sigmoid", "slope": self.slope, "intercept": self.intercept}


@dataclass(frozen=True)
class Isotonic:
    """A line through points that never falls (Zadrozny and Elkan 2002), level before the first and after the last."""

    margins: tuple[float, ...]
    """Each above the one before it."""
    shares: tuple[float, ...]
    """The probability at each margin, none below the one before it."""

    def probabilities(self, margins: np.ndarray) -> np.ndarray:
        """One ``float64`` per margin."""
        return np.interp(margins.astype(np.float64), self.margins, self.shares)

    def as_json(self) -> dict[str, Any]:
        return {"method": "isotonic", "margins": self.margins, "shares": self.shares}


Calibration = Sigmoid | Isotonic


def carry(booster: xgb.Booster, calibration: Calibration | None) -> None:
    """Put a map into a Booster; without one, take away what it has."""
    text = None if calibration is None else json.dumps(calibration.as_json(), sort_keys=True)
    booster.set_attr(**{ATTRIBUTE: text})


def carried(booster: xgb.Booster) -> Calibration | None:
    """The map inside a Booster, or None. Raises ModelError where it is none that a training wrote."""
    text = booster.attr(ATTRIBUTE)
    return None if text is None else parsed(text)


def parsed(text: str) -> Calibration:
    """A map from its JSON. Raises ModelError where it is none that a training wrote."""
    try:
        if len(text) <= _MOST_CHARACTERS:
            found = _of(json.loads(text))
            if found is not None:
                return found
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        pass
    raise ModelError(
        f"the Booster's attribute {ATTRIBUTE} is no calibration that a training wrote; find out who changed the model's file, and "
        "train anew"
    )


def answers(booster: xgb.Booster, data: xgb.DMatrix) -> np.ndarray:
    """What a Booster predicts, as ``float32``: through its calibration where it carries one. Everything that predicts asks here."""
    calibration = carried(booster)
    if calibration is None:
        return booster.predict(data)
    return calibration.probabilities(booster.predict(data, output_margin=True)).astype(np.float32)


def _of(told: Any) -> Calibration | None:
    if set(told) == {"method", "slope", "intercept"} and told["method"] == "sigmoid":
        slope, intercept = _numbers([told["slope"], told["intercept"]])
        return Sigmoid(slope, intercept) if slope > 0 else None
    if set(told) == {"method", "margins", "shares"} and told["method"] == "isotonic":
        margins, shares = _numbers(told["margins"]), _numbers(told["shares"])
        rising = all(one < other for one, other in pairwise(margins))
        level = all(one <= other for one, other in pairwise(shares))
        bounded = bool(shares) and shares[0] >= 0 and shares[-1] <= 1
        if rising and level and bounded and len(margins) == len(shares) <= MOST_STEPS:
            return Isotonic(margins, shares)
    return None


def _numbers(values: Sequence[Any]) -> tuple[float, ...]:
    """Finite numbers, and nothing that only passes for one. Raises ValueError."""
    if not isinstance(values, list) or any(type(one) not in (int, float) or not math.isfinite(one) for one in values):
        raise ValueError("no list of numbers")
    return tuple(float(one) for one in values)
