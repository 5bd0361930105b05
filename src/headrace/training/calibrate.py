"""Learning a calibration: on rows that are newer than all that the model which answers was trained on."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headrace.errors import TrainingError
from headrace.spec.boosting import Method
from headrace.training.calibration import Calibration, Isotonic, Sigmoid
from headrace.training.fit import boosted, newest_model, rounds_for, settings
from headrace.training.folds import Fold, newest_share

if TYPE_CHECKING:
    import pyarrow as pa
    import xgboost as xgb

    from headrace.spec.model import Model

_DIGITS = 6
"""Of slope and intercept: what lies beyond could depend on how a processor adds."""


@dataclass(frozen=True)
class Told:
    """What a model of the older training rows told on the newest ones, for the model that trains on all."""

    rounds: int
    calibration: Calibration | None = None


def told_by_newest(
    rows: pa.Table, *, features: Sequence[str], label: str, model: Model, parameters: Mapping[str, Any], rounds: int
) -> Told:  # fmt: skip
    """How many rounds to train (``rounds``, or at most so many with ``early_stopping``), and the calibration that is declared.

    One model of the older rows tells both. Raises TrainingError where there are too few rows for it.
    """
    if model.calibration is None:
        return Told(rounds_for(
            rows, features=features, label=label, model=model, parameters=parameters, rounds=rounds
        ))  # fmt: skip
    if model.early_stopping is None:
        given = settings(parameters, seed=model.seed)
        found = calibrated(
            rows, features=features, label=label, settings=given, rounds=rounds, method=model.calibration,
            share=model.newest_share,
        )  # fmt: skip
        return Told(rounds, found)
    older, fold = newest_model(
        rows, features=features, label=label, parameters=parameters, most=rounds, seed=model.seed,
        patience=model.early_stopping.patience, share=model.early_stopping.share, metric=model.gate.metric,
    )  # fmt: skip
    rounds = older.best_iteration + 1
    return Told(
        rounds, _learned(older, rows, fold, features=features, label=label, rounds=rounds, method=model.calibration)
    )


def calibrated(
    rows: pa.Table, *, features: Sequence[str], label: str, settings: Mapping[str, Any], rounds: int, method: Method, share: float
) -> Calibration:  # fmt: skip
    """The calibration that a model of the older rows, ``rounds`` long, gives on the newest ``share`` of them.

    The same rows, settings and rounds give the same map.
    """
    fold = newest_share(rows, share=share)
    older = boosted(rows.take(fold.train), features=features, label=label, settings=settings, rounds=rounds)
    return _learned(older, rows, fold, features=features, label=label, rounds=rounds, method=method)


def learned(margins: np.ndarray, happened: np.ndarray, *, method: Method) -> Calibration:
    """The map from margins to the outcomes (0 or 1) that followed. Raises TrainingError where a sigmoid can't keep the order."""
    margins = margins.astype(np.float64)
    return _sigmoid(margins, happened) if method == "sigmoid" else _isotonic(margins, happened)


def _learned(
    older: xgb.Booster, rows: pa.Table, fold: Fold, *, features: Sequence[str], label: str, rounds: int, method: Method
) -> Calibration:  # fmt: skip
    import xgboost as xgb

    newest = rows.take(fold.validation)
    margins = older.predict(
        xgb.DMatrix(newest.select(list(features))), output_margin=True, iteration_range=(0, rounds)
    )  # fmt: skip
    return learned(margins, newest.column(label).to_numpy(), method=method)


def _sigmoid(margins: np.ndarray, happened: np.ndarray) -> Sigmoid:
    """Logistic regression on the margin, to Platt's smoothed outcomes: a margin that tells all still gives no probability of 1."""
    from sklearn.linear_model import LogisticRegression

    positive = int((happened == 1).sum())
    negative = len(happened) - positive
    told = np.where(happened == 1, (positive + 1) / (positive + 2), 1 / (negative + 2))
    regression: Any = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-10, max_iter=1000)
    outcomes = np.repeat([1, 0], len(margins))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what does not converge is seen by its slope
        regression.fit(np.tile(margins, 2)[:, None], outcomes, sample_weight=np.r_[told, 1 - told])
    slope, intercept = (
        float(f"{float(one):.{_DIGITS}g}") for one in (regression.coef_[0, 0], regression.intercept_[0])
    )
    if not (np.isfinite([slope, intercept]).all() and slope > 0):
        raise TrainingError(
            f"on the newest {len(margins):,} training rows a higher score does not mean a more probable outcome, so no sigmoid "
            "calibrates it; remove model.calibration, or find out what changed in the newest rows"
        )
    return Sigmoid(slope, intercept)


def _isotonic(margins: np.ndarray, happened: np.ndarray) -> Isotonic:
    """Isotonic regression. No probability is 0 or 1: so many rows can't show that (Laplace's rule gives the bounds)."""
    from sklearn.isotonic import IsotonicRegression

    least = 1 / (len(margins) + 2)
    regression: Any = IsotonicRegression(y_min=least, y_max=1 - least, out_of_bounds="clip")
    regression.fit(margins, happened.astype(np.float64))
    return Isotonic(
        tuple(float(one) for one in regression.X_thresholds_), tuple(float(one) for one in regression.y_thresholds_)
    )
