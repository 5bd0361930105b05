"""A stop that can't wait for a long batch: what Spark runs is cancelled, and the batch is read again at the next start."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

GRACE_SECONDS = 8.0
"""How long a batch may go on after a stop was asked for; the rest of the promised 20 s is for closing."""
_POLL_SECONDS = 0.2


@contextmanager
def abandoning(
    spark: SparkSession, *, once: threading.Event, grace: float = GRACE_SECONDS, group: str | None = None
) -> Generator[threading.Event]:
    """Run the block; if it still runs ``grace`` seconds after ``once`` was set, cancel every Spark job until it ends; with
    ``group`` (a name that no other block has) only those that this thread runs inside.

    The event that it gives is set when that happened: what the block then raises is the cancelling.
    """
    abandoned, ended, context = threading.Event(), threading.Event(), spark.sparkContext

    def watch() -> None:
        while not once.wait(_POLL_SECONDS):
            if ended.is_set():
                return
        if ended.wait(grace):
            return
        abandoned.set()
        while not ended.is_set():
            context.cancelJobGroup(group) if group else context.cancelAllJobs()
            ended.wait(_POLL_SECONDS)

    watcher = threading.Thread(target=watch, name="abandoning", daemon=True)
    if group:
        context.setJobGroup(group, group)
    watcher.start()
    try:
        yield abandoned
    finally:
        ended.set()
        watcher.join()
        if group:
            for name in ("spark.jobGroup.id", "spark.job.description"):
                context.setLocalProperty(name, None)  # pyright: ignore[reportArgumentType]
