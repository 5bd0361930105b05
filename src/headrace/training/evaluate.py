"""How good a model is on labelled rows, in figures and pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from headrace.spec.gate import Metric

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BINS = 10


def metrics(label: np.ndarray, probability: np.ndarray) -> dict[str, float]:
    """``auc`` (ROC), ``average_precision``, ``brier`` and ``log_loss``; NaN where only one class is present."""
    from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

    if len(np.unique(label)) < 2 or not np.isfinite(probability).all():
        return dict.fromkeys(("auc", "average_precision", "brier", "log_loss"), float("nan"))
    return {
        "auc": float(roc_auc_score(label, probability)),
        "average_precision": float(average_precision_score(label, probability)),
        "brier": float(brier_score_loss(label, probability)),
        "log_loss": float(log_loss(label, np.clip(probability, 1e-7, 1 - 1e-7))),
    }


def regression_metrics(label: np.ndarray, prediction: np.ndarray) -> dict[Metric, float]:
    """``rmse`` and ``mae`` in the label's unit, and ``r2``; that is NaN where all labels are the same."""
    error, spread = prediction.astype(np.float64) - label, float(((label - label.mean()) ** 2).sum())
    return {
        "rmse": float(np.sqrt((error**2).mean())),
        "mae": float(np.abs(error).mean()),
        "r2": 1 - float((error**2).sum()) / spread if spread else float("nan"),
    }


def class_metrics(label: np.ndarray, probabilities: np.ndarray) -> dict[Metric, float]:
    """``macro_auc`` (the mean of each class's AUC against all others; NaN where one is absent), ``accuracy``, ``log_loss``."""
    from sklearn.metrics import roc_auc_score

    classes = range(probabilities.shape[1])
    whole = len(np.unique(label)) == len(classes) > 1
    said = np.clip(probabilities[np.arange(len(label)), label].astype(np.float64), 1e-7, 1)
    return {
        "macro_auc": float(np.mean([roc_auc_score(label == k, probabilities[:, k]) for k in classes]))
        if whole
        else float("nan"),
        "accuracy": float((probabilities.argmax(axis=1) == label).mean()),
        "log_loss": float(-np.log(said).mean()),
    }


def ndcg(relevance: np.ndarray, score: np.ndarray, *, best: int) -> float:
    """The discounted gain of the ``best`` first places of one group, as a share of the best order's (Jarvelin and Kekalainen 2002).

    The gain of a relevance r is 2^r - 1, as XGBoost has it. Rows with one score share their places' gain. NaN where nothing is
    relevant.
    """
    gain = np.exp2(relevance.astype(np.float64)) - 1
    discount = 1 / np.log2(np.arange(len(gain)) + 2)
    discount[best:] = 0
    ideal = float(np.sort(gain)[::-1] @ discount)
    _, place, rows = np.unique(-score, return_inverse=True, return_counts=True)
    shared = np.bincount(place, weights=gain) / rows
    return float(np.repeat(shared, rows) @ discount) / ideal if ideal else float("nan")


def calibration(label: np.ndarray, probability: np.ndarray) -> list[tuple[float, float, int]]:
    """Per tenth of the predictions by rank: (mean prediction, share of positives, rows)."""
    order = np.argsort(probability, kind="stable")
    parts = [part for part in np.array_split(order, BINS) if len(part)]
    return [(float(probability[part].mean()), float(label[part].mean()), len(part)) for part in parts]


def calibration_error(label: np.ndarray, probability: np.ndarray) -> float:
    """Mean distance of predicted probability and observed share over the tenths of :func:`calibration`, weighted by rows.

    The expected calibration error (Naeini et al. 2015, AAAI) with bins of equal size (Nguyen and O'Connor 2015, EMNLP).
    NaN where there are no rows or a probability is not a number.
    """
    if not len(label) or not np.isfinite(probability).all():
        return float("nan")
    parts = calibration(label, probability)
    return sum(abs(predicted - observed) * rows for predicted, observed, rows in parts) / len(label)


def calibration_plot(label: np.ndarray, probability: np.ndarray, *, before: np.ndarray | None = None) -> Figure:
    """Predicted against observed share, per tenth of the predictions; ``before``: what was predicted without the calibration."""
    from matplotlib.figure import Figure

    points = calibration(label, probability)
    others = [] if before is None else calibration(label, before)
    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.subplots()
    top = min(1.0, 1.1 * max(max(x, y) for x, y, _ in points + others) + 0.02)
    axes.plot([0, top], [0, top], color="0.7", linestyle="--", label="perfect")
    if others:
        axes.plot(
            [x for x, _, _ in others], [y for _, y, _ in others], marker=".", color="#c8553d", label="uncalibrated"
        )
    axes.plot([x for x, _, _ in points], [y for _, y, _ in points], marker="o", color="#1f6f8b", label="model")
    axes.set(xlabel="predicted probability", ylabel="observed share", title="Calibration", xlim=(0, top), ylim=(0, top))
    axes.legend()
    return figure


def importance_plot(importance: dict[str, float], *, most: int = 20, of: str = "gain") -> Figure:
    """The features with the largest share of the total gain, or of what else a learner weighs them by."""
    from matplotlib.figure import Figure

    top = list(importance.items())[:most][::-1]
    figure = Figure(figsize=(7, 0.32 * len(top) + 1.2), layout="constrained")
    axes = figure.subplots()
    axes.barh([name for name, _ in top], [share for _, share in top], color="#1f6f8b")
    axes.set(xlabel=f"share of total {of}", title="Feature importance")
    return figure
