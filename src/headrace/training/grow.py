"""From the rows of a snapshot to a Booster: by the driver, or, above the declared number of rows, by Spark's workers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headrace.spec.model import Model
from headrace.training.apart import Apart
from headrace.training.calibrate import told_by_newest
from headrace.training.calibration import carry
from headrace.training.dataset import LABEL
from headrace.training.distributed.rows import split_apart
from headrace.training.distributed.slots import workers_wanted
from headrace.training.distributed.train import train_apart
from headrace.training.fit import boosted, settings
from headrace.training.memory import require_room
from headrace.training.snapshot import to_arrow
from headrace.training.split import Split, split_in_time
from headrace.training.task import Task

if TYPE_CHECKING:
    import pyarrow as pa
    import xgboost as xgb
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True)
class Grown:
    """A Booster, and what made it."""

    booster: xgb.Booster
    rounds: int
    settings: Mapping[str, Any]
    """As XGBoost was given them."""
    workers: int | None = None
    """Of Spark; None: the driver."""


def split_rows(
    spark: SparkSession,
    rows: DataFrame,
    *,
    model: Model,
    features: Sequence[str],
    total: int,
    notify: Callable[[str], None] = lambda line: None,
) -> Split:
    """The ``total`` rows of a snapshot, split in time. Where workers train them, only the test rows come to the driver.

    Raises TrainingError where there are too few rows, or more on the driver than it is allowed.
    """
    limit, gate_rows = model.memory_bytes, model.gate.minimum_rows
    workers = workers_wanted(spark, model, rows=total, notify=notify)
    if workers is None:
        require_room(total, features=len(features), limit=limit)
        return split_in_time(to_arrow(rows), share=model.test_share, gate_rows=gate_rows)
    return split_apart(
        rows, features=features, kind=model.kind, share=model.test_share, gate_rows=gate_rows, total=total, limit=limit,
        workers=workers,
    )  # fmt: skip


def grow(
    rows: pa.Table | Apart, *, features: Sequence[str], task: Task, model: Model, parameters: Mapping[str, Any], rounds: int
) -> Grown:  # fmt: skip
    """A Booster of the training rows: with ``rounds``, or those that early stopping tells, and with the declared calibration.

    Raises TrainingError where so many rows and classes are likely to need more memory than the driver is allowed.
    """
    if isinstance(rows, Apart):
        given = settings(parameters, seed=model.seed, threads=rows.threads)
        booster, rounds = train_apart(rows, features=features, task=task, model=model, settings=given, rounds=rounds)
        return Grown(booster, rounds, given, rows.workers)
    require_room(rows.num_rows, features=len(features), classes=len(task.classes), limit=model.memory_bytes)
    numbered, given = task.numbered(rows), settings(parameters, seed=model.seed)
    told = told_by_newest(
        numbered, features=features, label=LABEL, model=model, parameters=parameters, rounds=rounds
    )  # fmt: skip
    booster = boosted(numbered, features=features, label=LABEL, settings=given, rounds=told.rounds)
    carry(booster, told.calibration)
    return Grown(booster, told.rounds, given)
