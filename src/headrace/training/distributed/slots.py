"""How many of Spark's workers can train at the same time: all of them, or none begins."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from headrace.errors import TrainingError
from headrace.spec.model import Model

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def workers_wanted(
    spark: SparkSession, model: Model, *, rows: int, notify: Callable[[str], None] = lambda line: None
) -> int | None:
    """How many workers train so many rows, or None where the driver does.

    As many as are declared, or as have a slot where those are fewer: more would wait for ever. Raises TrainingError where there is
    no slot, or Spark moves its executors about.
    """
    if model.distributed is None or rows <= model.distributed.above_rows:
        return None
    return as_many_as_fit(model.distributed.workers, slots=require_slots(spark), notify=notify)


def as_many_as_fit(declared: int | None, *, slots: int, notify: Callable[[str], None] = lambda line: None) -> int:
    """The declared number of workers, or one for each slot where those are fewer or no number is declared."""
    if declared is not None and declared > slots:
        notify(f"{declared} workers are declared, and this Spark has slots for {slots}: so many train")
    return min(slots, declared or slots)


def require_slots(spark: SparkSession) -> int:
    """How many tasks run at the same time here, at least 1. Raises TrainingError."""
    java: Any = spark.sparkContext._jsc  # pyright: ignore[reportPrivateUsage]
    context = java.sc()
    slots = int(context.maxNumConcurrentTasks(context.resourceProfileManager().resourceProfileFromId(0)))
    dynamic = spark.sparkContext.getConf().get("spark.dynamicAllocation.enabled", "false")
    require_together(slots, dynamic=str(dynamic).lower() == "true")
    return slots


def require_together(slots: int, *, dynamic: bool) -> None:
    """Raise TrainingError where workers can't be sure to run at the same time."""
    if dynamic:
        raise TrainingError(
            "Spark's workers train together or not at all, which dynamic allocation does not allow; start the job with "
            "--conf spark.dynamicAllocation.enabled=false, or remove model.distributed"
        )
    if slots < 1:
        raise TrainingError(
            "this Spark has no executor with a free slot; start the job with executors (--num-executors), or remove "
            "model.distributed"
        )


def threads_of(spark: SparkSession) -> int:
    """Threads of one worker: the cores of a task."""
    return int(spark.sparkContext.getConf().get("spark.task.cpus", "1") or 1)
