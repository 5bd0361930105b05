"""What happened in rows of any kind of label, and how good predictions of it are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from headrace.spec.gate import Metric
from headrace.spec.kinds import METRICS_OF, Kind
from headrace.training import evaluate
from headrace.training.dataset import LABEL
from headrace.training.resample import replicates
from headrace.training.task import Task, class_numbers, group_numbers

if TYPE_CHECKING:
    import pyarrow as pa

BEST = 10
"""How many places of a group count."""


@dataclass(frozen=True)
class Truth:
    """The labels of some rows."""

    kind: Kind
    label: np.ndarray
    """Of classes: the place in ``classes``."""
    classes: tuple[str, ...] = ()
    """Those that the model was trained on and those that the rows have, sorted."""
    group: np.ndarray | None = None
    """Of a ranking: the number of each row's group."""

    @property
    def metric_names(self) -> tuple[Metric, ...]:
        return METRICS_OF[self.kind]

    @property
    def counts(self) -> dict[str, int]:
        """Rows by outcome; of a ranking how many groups can tell a good order from a bad one; nothing of numbers."""
        if self.kind == "binary":
            positives = int(self.label.sum())
            return {"negative": len(self.label) - positives, "positive": positives}
        if self.kind == "multiclass":
            return {name: int((self.label == number).sum()) for number, name in enumerate(self.classes)}
        return {"groups": len(self._telling()[0])} if self.kind == "ranking" else {}

    @property
    def outcomes(self) -> list[np.ndarray]:
        """Of the one condition, or of each class, whether it is a row's; nothing of numbers."""
        if self.kind == "binary":
            return [self.label]
        return [self.label == number for number in range(len(self.classes))]

    def where(self, mask: np.ndarray) -> Truth:
        """Of some of the rows: a mask, or their positions."""
        return replace(self, label=self.label[mask], group=None if self.group is None else self.group[mask])

    def whole(self, mask: np.ndarray) -> np.ndarray:
        """The mask, without the groups of which it has some rows only."""
        if self.group is None:
            return mask
        return mask & ~np.isin(self.group, np.unique(self.group[~mask]))

    def aligned(self, answers: np.ndarray, classes: Sequence[str]) -> np.ndarray:
        """A model's answers with a column for each of ``self.classes``: a class that the model does not know has probability 0."""
        if self.kind != "multiclass":
            return answers
        found = np.zeros((len(answers), len(self.classes)), dtype=answers.dtype)
        for number, name in enumerate(classes):
            if name in self.classes:
                found[:, self.classes.index(name)] = answers[:, number]
        return found

    def metrics(self, answers: np.ndarray) -> dict[Metric, float]:
        """The metrics of this kind; NaN for what these rows can't tell."""
        if not len(self.label) or not np.isfinite(answers).all():
            return dict.fromkeys(self.metric_names, math.nan)
        if self.kind == "binary":
            found = evaluate.metrics(self.label, answers)
            return {name: found[name] for name in self.metric_names}
        if self.kind == "regression":
            return evaluate.regression_metrics(self.label, answers)
        if self.kind == "multiclass":
            return evaluate.class_metrics(self.label, answers)
        values = self._figures(answers)
        return {"ndcg_10": float(values.mean()) if len(values) else math.nan}

    def replicates(
        self, answers: Mapping[str, np.ndarray], *, resamples: int, seed: int, metrics: Sequence[Metric], blocks: np.ndarray | None
    ) -> dict[str, dict[Metric, np.ndarray]]:  # fmt: skip
        """As :func:`headrace.training.resample.replicates`; of a ranking, groups are drawn."""
        label = self.label
        if self.kind == "ranking":
            first, _ = self._telling()
            answers = {name: self._figures(one) for name, one in answers.items()}
            label, blocks = np.zeros(len(first)), None if blocks is None else blocks[first]
        return replicates(
            label, answers, resamples=resamples, seed=seed, metrics=metrics, blocks=blocks, kind=self.kind
        )  # fmt: skip

    def calibration(self, answers: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Whether what was said came true, and how probable it was said to be: of classes, the most probable one (Guo et al. 2017,
        ICML). None where answers are no probabilities.
        """  # fmt: skip
        if self.kind == "binary":
            return self.label, answers
        if self.kind == "multiclass":
            return (answers.argmax(axis=1) == self.label).astype(int), answers.max(axis=1)
        return None

    def _telling(self) -> tuple[np.ndarray, list[np.ndarray]]:
        """The first row of each group in which not all rows are equally relevant, and the rows of each of these groups."""
        assert self.group is not None
        order = np.argsort(self.group, kind="stable")
        parts = np.split(order, np.flatnonzero(np.diff(self.group[order])) + 1) if len(order) else []
        found = [part for part in parts if np.ptp(self.label[part]) > 0]
        return np.array([part[0] for part in found], dtype=int), found

    def _figures(self, answers: np.ndarray) -> np.ndarray:
        return np.array([evaluate.ndcg(self.label[part], answers[part], best=BEST) for part in self._telling()[1]])


def truth_of(rows: pa.Table, task: Task) -> Truth:
    """The labels of rows that a model of this task is held against."""
    if task.kind == "multiclass":
        classes = tuple(sorted({*task.classes, *rows.column(LABEL).to_pylist()}))
        return Truth(task.kind, class_numbers(rows, classes), classes)
    label = rows.column(LABEL).to_numpy()
    return Truth(task.kind, label, group=group_numbers(rows) if task.kind == "ranking" else None)
