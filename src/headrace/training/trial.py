"""One trial: how good parameters are on each validation part, and after how many rounds."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headrace.training.dataset import LABEL
from headrace.training.fit import matrix, max_bin, settings, stops_by
from headrace.training.folds import Fold
from headrace.training.task import BINARY, Task
from headrace.training.truth import truth_of

if TYPE_CHECKING:
    import pyarrow as pa
    import xgboost as xgb
    from xgboost.callback import TrainingCallback

    from headrace.spec.model import Model


@dataclass(frozen=True)
class FoldScore:
    """What a fold's model reached on its validation part."""

    value: float
    rounds: int
    """After how many the metric was best."""


class Judge:
    """Trains and judges on folds. The folds' rows are binned once for each ``max_bin``, and used by all trials."""

    def __init__(
        self, rows: pa.Table, folds: Sequence[Fold], *, features: Sequence[str], model: Model, task: Task = BINARY
    ) -> None:
        """``rows``: group after group where there are groups (headrace.training.task.by_group)."""
        self.folds, self._features, self._model, self._task = tuple(folds), tuple(features), model, task
        self._binned: dict[tuple[int, int], tuple[xgb.QuantileDMatrix, xgb.QuantileDMatrix]] = {}
        self._rows, self._truth = task.numbered(rows), truth_of(rows, task)

    def judge(self, index: int, parameters: Mapping[str, Any], *, stop: threading.Event) -> FoldScore | None:
        """Train before fold ``index``'s validation part and judge on it; early stopping gives the rounds. None if stopped."""
        import xgboost as xgb

        fold, model = self.folds[index], self._model
        train, validation = self._matrices(index, max_bin(parameters))
        chosen = (
            settings(parameters, seed=model.seed)
            | self._task.settings
            | {"eval_metric": stops_by(model.gate.metric, parameters)}
        )
        booster = xgb.train(
            chosen, train, num_boost_round=model.search.most_rounds, evals=[(validation, "validation")],
            early_stopping_rounds=model.search.patience, verbose_eval=False, callbacks=[_stops_with(stop)],
        )  # fmt: skip
        if stop.is_set():
            return None
        rounds = booster.best_iteration + 1
        answers = booster.predict(validation, iteration_range=(0, rounds))
        measured = self._truth.where(fold.validation).metrics(answers)
        return FoldScore(measured[model.gate.metric], rounds)

    def _matrices(self, index: int, bins: int) -> tuple[xgb.QuantileDMatrix, xgb.QuantileDMatrix]:
        if (index, bins) not in self._binned:
            fold = self.folds[index]
            train = matrix(self._rows.take(fold.train), features=self._features, label=LABEL, max_bin=bins)
            validation = matrix(
                self._rows.take(fold.validation), features=self._features, label=LABEL, max_bin=bins, like=train
            )
            self._binned[index, bins] = train, validation
        return self._binned[index, bins]


def _stops_with(stop: threading.Event) -> TrainingCallback:
    from xgboost.callback import TrainingCallback

    class Stops(TrainingCallback):
        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            return stop.is_set()

    return Stops()
