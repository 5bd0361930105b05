"""Gradient boosting on the driver, from Arrow."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    import xgboost as xgb

DEFAULTS: dict[str, Any] = {"objective": "binary:logistic", "tree_method": "hist", "max_depth": 6, "eta": 0.1}


def fit(
    rows: pa.Table, *, features: Sequence[str], label: str, parameters: Mapping[str, Any], rounds: int, seed: int
) -> xgb.Booster:  # fmt: skip
    """A booster trained on the rows in their order. The same rows, parameters and seed give the same bytes."""
    return boosted(rows, features=features, label=label, settings=settings(parameters, seed=seed), rounds=rounds)


def settings(parameters: Mapping[str, Any], *, seed: int, threads: int | None = None) -> dict[str, Any]:
    """What XGBoost is given: ``parameters`` over the defaults, the seed, and the threads (None: one for each core)."""
    return {**DEFAULTS, **parameters, "seed": seed, "nthread": threads or len(os.sched_getaffinity(0))}


def boosted(
    rows: pa.Table, *, features: Sequence[str], label: str, settings: Mapping[str, Any], rounds: int
) -> xgb.Booster:  # fmt: skip
    """As :func:`fit`, with the settings as XGBoost is given them."""
    import xgboost as xgb

    data = xgb.QuantileDMatrix(
        rows.select(list(features)), label=rows.column(label).to_numpy(), nthread=settings["nthread"]
    )
    return xgb.train(dict(settings), data, num_boost_round=rounds)


def predict(booster: xgb.Booster, rows: pa.Table, *, features: Sequence[str]) -> np.ndarray:
    """The probability of a positive outcome, one ``float32`` per row."""
    import xgboost as xgb

    return booster.predict(xgb.DMatrix(rows.select(list(features))))


def importance(booster: xgb.Booster) -> dict[str, float]:
    """Share of the total gain by feature, largest first (sums to 1; unused features are absent)."""
    gain = {name: float(value) for name, value in booster.get_score(importance_type="total_gain").items()}  # pyright: ignore
    total = sum(gain.values()) or 1.0
    return dict(sorted(((name, value / total) for name, value in gain.items()), key=lambda item: -item[1]))
