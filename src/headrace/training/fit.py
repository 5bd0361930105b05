"""Gradient boosting on the driver, from Arrow."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from headrace.errors import ModelError
from headrace.spec.kinds import objective_of
from headrace.training.calibration import answers, carried
from headrace.training.dataset import GROUP
from headrace.training.folds import Fold, newest_share
from headrace.training.task import by_group, group_numbers

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    import xgboost as xgb

    from headrace.spec.model import Model

DEFAULTS: dict[str, Any] = {"objective": "binary:logistic", "tree_method": "hist", "max_depth": 6, "eta": 0.1}
_STOPS_BY = {
    "auc": "auc", "average_precision": "aucpr", "brier": "logloss", "log_loss": "logloss", "rmse": "rmse", "mae": "mae",
    "r2": "rmse", "accuracy": "merror", "macro_auc": "auc", "ndcg_10": "ndcg@10",
}  # fmt: skip
"""Metric of the gate to the one that XGBoost watches while it boosts."""
MAX_BIN = 256
"""XGBoost's own default."""


def fit(
    rows: pa.Table, *, features: Sequence[str], label: str, parameters: Mapping[str, Any], rounds: int, seed: int
) -> xgb.Booster:  # fmt: skip
    """A booster trained on the rows in their order. The same rows, parameters and seed give the same bytes."""
    return boosted(rows, features=features, label=label, settings=settings(parameters, seed=seed), rounds=rounds)


def settings(parameters: Mapping[str, Any], *, seed: int, threads: int | None = None) -> dict[str, Any]:
    """What XGBoost is given: ``parameters`` over the defaults, the seed, and the threads (None: one for each core)."""
    return {**DEFAULTS, **parameters, "seed": seed, "nthread": threads or _cores()}


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def boosted(
    rows: pa.Table, *, features: Sequence[str], label: str, settings: Mapping[str, Any], rounds: int
) -> xgb.Booster:  # fmt: skip
    """As :func:`fit`, with the settings as XGBoost is given them."""
    import xgboost as xgb

    threads = int(settings["nthread"])
    data = matrix(rows, features=features, label=label, max_bin=max_bin(settings), threads=threads)
    return xgb.train(dict(settings), data, num_boost_round=rounds)


def stops_by(metric: str, parameters: Mapping[str, Any]) -> str:
    """The metric that XGBoost watches while it boosts, for one of the gate's."""
    several = objective_of(parameters) == "multi:softprob" and metric == "log_loss"
    return "mlogloss" if several else _STOPS_BY[metric]


def rounds_for(
    rows: pa.Table, *, features: Sequence[str], label: str, model: Model, parameters: Mapping[str, Any], rounds: int
) -> int:
    """How many rounds to train: ``rounds``, or with ``early_stopping`` those that gain, and ``rounds`` at most.

    A model of the older rows tells it on the newest ones; the model itself then is trained on all of them.
    """
    if model.early_stopping is None:
        return rounds
    return rounds_that_gain(
        rows, features=features, label=label, parameters=parameters, most=rounds, seed=model.seed,
        patience=model.early_stopping.patience, share=model.early_stopping.share, metric=model.gate.metric,
    )  # fmt: skip


def rounds_that_gain(
    rows: pa.Table, *, features: Sequence[str], label: str, parameters: Mapping[str, Any], most: int, seed: int, patience: int,
    share: float, metric: str,
) -> int:  # fmt: skip
    """After how many rounds (1 to ``most``) the metric on the newest ``share`` of the rows no longer gets better."""
    booster, _ = newest_model(
        rows, features=features, label=label, parameters=parameters, most=most, seed=seed, patience=patience, share=share,
        metric=metric,
    )  # fmt: skip
    return booster.best_iteration + 1


def newest_model(
    rows: pa.Table, *, features: Sequence[str], label: str, parameters: Mapping[str, Any], most: int, seed: int, patience: int,
    share: float, metric: str,
) -> tuple[xgb.Booster, Fold]:  # fmt: skip
    """A model of the older rows that stopped where it gained no more on the newest ``share``, and which rows were which."""
    import xgboost as xgb

    fold, bins = newest_share(rows, share=share), max_bin(parameters)
    train = matrix(rows.take(fold.train), features=features, label=label, max_bin=bins)
    newest = matrix(rows.take(fold.validation), features=features, label=label, max_bin=bins, like=train)
    watched = {**settings(parameters, seed=seed), "eval_metric": stops_by(metric, parameters)}
    booster = xgb.train(
        watched, train, num_boost_round=most, evals=[(newest, "newest")], early_stopping_rounds=patience, verbose_eval=False
    )  # fmt: skip
    return booster, fold


def matrix(
    rows: pa.Table,
    *,
    features: Sequence[str],
    label: str,
    max_bin: int,
    like: xgb.QuantileDMatrix | None = None,
    threads: int | None = None,
) -> xgb.QuantileDMatrix:
    """The rows as XGBoost holds them, group after group where there are groups; ``like``: with the bins of what is trained on."""
    import xgboost as xgb

    rows = by_group(rows)
    groups = group_numbers(rows) if GROUP in rows.column_names else None
    return xgb.QuantileDMatrix(
        rows.select(list(features)), label=rows.column(label).to_numpy(), max_bin=max_bin, ref=like, nthread=threads, qid=groups
    )  # fmt: skip


def max_bin(parameters: Mapping[str, Any]) -> int:
    """Into how many bins a feature's values go; matrix and parameters must agree."""
    return int(parameters.get("max_bin", MAX_BIN))


def predict(booster: xgb.Booster, rows: pa.Table, *, features: Sequence[str]) -> np.ndarray:
    """One ``float32`` per row, the probability of a positive outcome (calibrated, if the Booster is) or a number.

    Of several classes a column for each.
    """
    import xgboost as xgb

    return answers(booster, xgb.DMatrix(rows.select(list(features))))


def loaded(content: bytes) -> xgb.Booster:
    """A Booster from its UBJSON or JSON. Raises ModelError where it is none, by which XGBoost would end the whole process."""
    import xgboost as xgb

    if not content.startswith(b"{"):
        raise ModelError("a Booster's file is empty or no UBJSON; find out who changed it, and train anew")
    booster = xgb.Booster()
    booster.load_model(bytearray(content))
    return booster


def uncalibrated(booster: xgb.Booster, rows: pa.Table, *, features: Sequence[str]) -> np.ndarray | None:
    """What a Booster that carries a calibration predicts without it; None of one that carries none."""
    import xgboost as xgb

    return None if carried(booster) is None else booster.predict(xgb.DMatrix(rows.select(list(features))))


def importance(booster: xgb.Booster) -> dict[str, float]:
    """Share of the total gain by feature, largest first (sums to 1; unused features are absent)."""
    gain = {name: float(value) for name, value in booster.get_score(importance_type="total_gain").items()}  # pyright: ignore
    total = sum(gain.values()) or 1.0
    return dict(sorted(((name, value / total) for name, value in gain.items()), key=lambda item: -item[1]))
