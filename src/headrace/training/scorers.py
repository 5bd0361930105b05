"""Metrics of drawn rows: per draw, each row has a weight (how often it was drawn), and a metric is a few weighted sums."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from headrace.spec.gate import Metric

Drawn = dict[Metric, np.ndarray]
"""Metric to its value for each draw."""


class Ranked:
    """Predictions of a condition in their order."""

    def __init__(self, label: np.ndarray, probability: np.ndarray) -> None:
        if len(probability) != len(label) or not np.isfinite(probability).all():
            raise ValueError("a probability is not a number")
        probability = probability.astype(np.float64)
        self._order = np.argsort(probability, kind="stable")
        ranked = probability[self._order]
        self._ties = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
        self._tied = len(self._ties) < len(ranked)
        self._positive = label[self._order].astype(np.float32)
        self._square = ((probability - label) ** 2).astype(np.float32)
        clipped = np.clip(probability, 1e-7, 1 - 1e-7)
        self._loss = -np.log(np.where(label == 1, clipped, 1 - clipped)).astype(np.float32)

    def metrics(self, counts: np.ndarray, wanted: Iterable[Metric]) -> Drawn:
        """Metric to its value for each row of ``counts``."""
        found: Drawn = {}
        groups: tuple[np.ndarray, np.ndarray] | None = None
        for metric in wanted:
            if metric == "brier":
                found[metric] = counts @ self._square / counts.sum(axis=1)
            elif metric == "log_loss":
                found[metric] = counts @ self._loss / counts.sum(axis=1)
            else:
                groups = groups or self._groups(counts)
                found[metric] = (_auc if metric == "auc" else _average_precision)(*groups)
        return found

    def _groups(self, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positives and negatives in each draw by distinct prediction, the lowest first."""
        ranked = counts[:, self._order]
        positive = ranked * self._positive
        negative = ranked - positive
        if not self._tied:
            return positive, negative
        return np.add.reduceat(positive, self._ties, axis=1), np.add.reduceat(negative, self._ties, axis=1)


class Errors:
    """Predictions of a number."""

    def __init__(self, label: np.ndarray, prediction: np.ndarray) -> None:
        if len(prediction) != len(label) or not np.isfinite(prediction).all():
            raise ValueError("a prediction is not a number")
        self._error = prediction.astype(np.float64) - label
        self._centred = label - label.mean()

    def metrics(self, counts: np.ndarray, wanted: Iterable[Metric]) -> Drawn:
        """Metric to its value for each row of ``counts``."""
        weight = counts.astype(np.float64)
        total, squares = weight.sum(axis=1), weight @ self._error**2
        found: Drawn = {}
        for metric in wanted:
            if metric == "rmse":
                found[metric] = np.sqrt(squares / total)
            elif metric == "mae":
                found[metric] = weight @ np.abs(self._error) / total
            else:
                spread = weight @ self._centred**2 - (weight @ self._centred) ** 2 / total
                found[metric] = 1 - _share(squares, spread)
        return found


class Classes:
    """Probabilities of classes, a column for each; ``label`` is the column that came true."""

    def __init__(self, label: np.ndarray, probabilities: np.ndarray) -> None:
        if len(probabilities) != len(label) or not np.isfinite(probabilities).all():
            raise ValueError("a probability is not a number")
        self._hit = probabilities.argmax(axis=1) == label
        self._loss = -np.log(np.clip(probabilities[np.arange(len(label)), label].astype(np.float64), 1e-7, 1))
        self._each = [Ranked(label == k, probabilities[:, k]) for k in range(probabilities.shape[1])]

    def metrics(self, counts: np.ndarray, wanted: Iterable[Metric]) -> Drawn:
        """Metric to its value for each row of ``counts``."""
        found: Drawn = {}
        for metric in wanted:
            if metric == "macro_auc":
                aucs: list[np.ndarray] = [one.metrics(counts, ["auc"])["auc"] for one in self._each]
                found[metric] = np.mean(aucs, axis=0)
            else:
                found[metric] = counts @ (self._hit if metric == "accuracy" else self._loss) / counts.sum(axis=1)
        return found


class Mean:
    """A figure of each group; the metric is its mean."""

    def __init__(self, label: np.ndarray, values: np.ndarray) -> None:
        if len(values) != len(label) or not np.isfinite(values).all():
            raise ValueError("a figure of a group is not a number")
        self._values = values

    def metrics(self, counts: np.ndarray, wanted: Iterable[Metric]) -> Drawn:
        """Metric to its value for each row of ``counts``."""
        return {metric: counts @ self._values / counts.sum(axis=1) for metric in wanted}


def _auc(positive: np.ndarray, negative: np.ndarray) -> np.ndarray:
    """The share of pairs that are in order, ties by half: Mann and Whitney's U by ranks (Hanley and McNeil 1982)."""
    below = np.cumsum(negative, axis=1) - negative / 2
    pairs = positive.sum(axis=1, dtype=np.float64) * negative.sum(axis=1, dtype=np.float64)
    return _share((positive * below).sum(axis=1, dtype=np.float64), pairs)


def _average_precision(positive: np.ndarray, negative: np.ndarray) -> np.ndarray:
    """Precision at each threshold, weighted by the recall that it adds, as scikit-learn has it."""
    hits = np.cumsum(positive[:, ::-1], axis=1)
    taken = hits + np.cumsum(negative[:, ::-1], axis=1)
    precision = np.divide(hits, taken, out=np.zeros_like(hits), where=taken > 0)
    found = (positive[:, ::-1] * precision).sum(axis=1, dtype=np.float64)
    return _share(found, positive.sum(axis=1, dtype=np.float64))


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """NaN where there is nothing to take a share of."""
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)
