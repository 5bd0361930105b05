"""How sure a figure is: intervals from test rows that are drawn anew, the same ones for every model (a paired bootstrap)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from headrace.spec.gate import Metric

METRICS: tuple[Metric, ...] = ("auc", "average_precision", "brier", "log_loss")
LOWER_IS_BETTER = frozenset({"brier", "log_loss"})
_VALUES_AT_ONCE = 100_000
"""Of a block of draws: what is made of it stays in a processor's cache."""


@dataclass(frozen=True)
class Interval:
    """A figure, and the ends of its interval."""

    value: float
    low: float
    high: float

    @property
    def known(self) -> bool:
        """Whether all three are numbers."""
        return all(math.isfinite(one) for one in (self.value, self.low, self.high))


UNKNOWN = Interval(math.nan, math.nan, math.nan)


def replicates(
    label: np.ndarray,
    probabilities: Mapping[str, np.ndarray],
    *,
    resamples: int,
    seed: int,
    metrics: Iterable[Metric] = METRICS,
    blocks: np.ndarray | None = None,
) -> dict[str, dict[Metric, np.ndarray]]:
    """Model to metric to its values on ``resamples`` draws of the rows, the same draws for all models.

    Positives and negatives are drawn apart, each as often as they are there, so that no draw lacks an outcome (Carpenter and
    Bithell 2000, Statistics in Medicine 19, section 3; pROC's default). With ``blocks``, a number for each row, whole blocks are
    drawn instead, because their rows hang together (Davison and Hinkley 1997, Bootstrap Methods, section 8.2.3); a draw that
    then lacks an outcome has no AUC (NaN). The same arguments give the same values.
    Raises ValueError where one class is absent or a probability is not a number.
    """
    wanted = tuple(metrics)
    ranked = {name: _Ranked(label, probability) for name, probability in probabilities.items()}
    found: dict[str, dict[Metric, list[np.ndarray]]] = {name: {metric: [] for metric in wanted} for name in ranked}
    for counts in _draws(label, resamples=resamples, seed=seed, blocks=blocks):
        for name, one in ranked.items():
            for metric, values in one.metrics(counts, wanted).items():
                found[name][metric].append(values)
    return {
        name: {metric: np.concatenate(parts) for metric, parts in by_metric.items()}
        for name, by_metric in found.items()
    }


def interval(value: float, drawn: np.ndarray, *, confidence: float) -> Interval:
    """The percentile interval (Efron and Tibshirani 1993, An Introduction to the Bootstrap, section 13.3).

    Its ends are unknown where one of the draws has no number.
    """
    if not math.isfinite(value):
        return UNKNOWN
    if not np.isfinite(drawn).all():
        return Interval(value, math.nan, math.nan)
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(value, float(low), float(high))


def gain(metric: Metric, challenger: np.ndarray | float, champion: np.ndarray | float) -> np.ndarray | float:
    """By how much the challenger is better, in the metric's unit; negative where it is worse."""
    return champion - challenger if metric in LOWER_IS_BETTER else challenger - champion


def _draws(
    label: np.ndarray, *, resamples: int, seed: int, blocks: np.ndarray | None = None
) -> Iterator[np.ndarray]:  # fmt: skip
    """Blocks of draws: per draw (row) how often each test row (column) is in it.

    In ``float32``, which counts up to 8 million test rows without an error, in half the memory.
    """
    rng = np.random.default_rng(seed)
    classes = [np.flatnonzero(label == outcome) for outcome in (0, 1)]
    if not all(len(rows) for rows in classes):
        raise ValueError("the rows have one outcome only")
    at_once = max(1, _VALUES_AT_ONCE // len(label))
    members = None if blocks is None else np.unique(blocks, return_inverse=True)[1]
    for begin in range(0, resamples, at_once):
        size = min(at_once, resamples - begin)
        counts = np.empty((size, len(label)), dtype=np.float32)
        for draw in range(size):
            if members is not None:
                counts[draw] = _drawn(rng, members.max() + 1)[members]
                continue
            for rows in classes:
                counts[draw, rows] = _drawn(rng, len(rows))
        yield counts


def _drawn(rng: np.random.Generator, n: int) -> np.ndarray:
    """How often each of ``n`` things comes in as many draws with replacement."""
    return np.bincount(rng.integers(0, n, n), minlength=n)


class _Ranked:
    """A model's predictions in their order, so that a metric of weighted rows takes a few sums."""

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

    def metrics(self, counts: np.ndarray, wanted: Iterable[Metric]) -> dict[Metric, np.ndarray]:
        """Metric to its value for each row of ``counts``."""
        found: dict[Metric, np.ndarray] = {}
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
