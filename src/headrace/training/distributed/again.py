"""A training by Spark's workers, again: by as many of them, from the recorded settings and number of rounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from headrace.errors import NotReproducible
from headrace.training.apart import Apart
from headrace.training.distributed.boost import Job, boosted_by_workers
from headrace.training.distributed.rows import split_apart_at
from headrace.training.distributed.slots import require_slots
from headrace.training.recipe import Recipe

if TYPE_CHECKING:
    import pyarrow as pa
    import xgboost as xgb
    from pyspark.sql import DataFrame, SparkSession


def again_by_workers(
    spark: SparkSession, rows: DataFrame, recipe: Recipe, *, settings: Mapping[str, Any], limit: int
) -> tuple[xgb.Booster, Apart, pa.Table]:
    """The Booster, the rows that it trained on, and the test rows.

    Raises NotReproducible where Spark has fewer slots than workers trained, TrainingError where ``limit`` bytes can't hold the test
    rows.
    """
    workers, there = recipe.workers or 1, require_slots(spark)
    if there < workers:
        raise NotReproducible(
            f"{workers} workers of Spark trained this model, and here {there} can work at a time, which would give another one; "
            "rebuild it with as many (--master, --num-executors)"
        )
    split = split_apart_at(
        rows, recipe.split.cut, features=recipe.features, kind=recipe.task.kind, limit=limit, workers=workers
    )  # fmt: skip
    assert isinstance(split.train, Apart)
    job = Job(recipe.features, recipe.label, recipe.task, settings, recipe.rounds)
    booster, _ = boosted_by_workers(split.train.rows, job, workers=workers)
    return booster, split.train, split.test
