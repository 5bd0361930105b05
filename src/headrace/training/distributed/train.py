"""A training by Spark's workers: how many rounds, then all training rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from headrace.spec.model import Model
from headrace.training.apart import Apart
from headrace.training.dataset import LABEL
from headrace.training.distributed.boost import Job, boosted_by_workers
from headrace.training.distributed.rows import with_newest
from headrace.training.fit import stops_by
from headrace.training.task import Task

if TYPE_CHECKING:
    import xgboost as xgb

DISTRIBUTED = "headrace.distributed"
"""Tag of a run: by how many workers it was trained."""


def train_apart(
    rows: Apart, *, features: Sequence[str], task: Task, model: Model, settings: Mapping[str, Any], rounds: int
) -> tuple[xgb.Booster, int]:  # fmt: skip
    """A Booster of these rows, and its number of rounds: with ``early_stopping`` those that gain, ``rounds`` at most."""
    job = Job(tuple(features), LABEL, task, settings, rounds)
    if model.early_stopping is not None:
        watched = {**settings, "eval_metric": stops_by(model.gate.metric, settings)}
        marked = with_newest(rows.rows, share=model.early_stopping.share)
        _, rounds = boosted_by_workers(
            marked, replace(job, settings=watched, patience=model.early_stopping.patience), workers=rows.workers
        )
    return boosted_by_workers(rows.rows, replace(job, rounds=rounds), workers=rows.workers)
