"""How sure a figure is: intervals from test rows that are drawn anew, the same ones for every model (a paired bootstrap)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from headrace.spec.gate import Metric
from headrace.spec.kinds import AUC_OF, METRICS_OF, Kind
from headrace.training.scorers import Classes, Errors, Mean, Ranked

METRICS = METRICS_OF["binary"]
LOWER_IS_BETTER = frozenset({"brier", "log_loss", "rmse", "mae"})
_SCORERS = {"binary": Ranked, "regression": Errors, "multiclass": Classes, "ranking": Mean}
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
    kind: Kind = "binary",
) -> dict[str, dict[Metric, np.ndarray]]:
    """Model to metric to its values on ``resamples`` draws of the rows, the same draws for all models.

    ``kind``: of the models. Of a ranking ``probabilities`` are figures of groups, and groups are drawn, whatever ``label`` says.
    Positives and negatives (or several classes) are drawn apart, each as often as they are there, so that no draw lacks an
    outcome (Carpenter and Bithell 2000, Statistics in Medicine 19, section 3; pROC's default). With ``blocks``, a number for each
    row, whole blocks are drawn instead, because their rows hang together (Davison and Hinkley 1997, Bootstrap Methods, section
    8.2.3); a draw that then lacks an outcome has no AUC (NaN). The same arguments give the same values.
    Raises ValueError where one class is absent or a probability is not a number.
    """
    if kind == "binary" and len(np.unique(label)) < 2:
        raise ValueError("the rows have one outcome only")
    wanted = tuple(metrics)
    ranked = {name: _SCORERS[kind](label, probability) for name, probability in probabilities.items()}
    found: dict[str, dict[Metric, list[np.ndarray]]] = {name: {metric: [] for metric in wanted} for name in ranked}
    for counts in _draws(
        label if kind in AUC_OF else np.zeros(len(label)), resamples=resamples, seed=seed, blocks=blocks
    ):  # fmt: skip
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
    classes = [np.flatnonzero(label == outcome) for outcome in np.unique(label)]
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
