"""Which watches a stream's declarations ask for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from headrace.ingest.drift import DriftLog, DriftWatch
from headrace.ingest.duplicates import DuplicateWatch
from headrace.ingest.evolve import EvolveWatch
from headrace.ingest.log_keeper import LogKeeper
from headrace.ingest.watch import Watch
from headrace.stages.evolved import Fields
from headrace.stages.stages import Way

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def watches(
    spark: SparkSession,
    way: Way,
    *,
    table: str,
    added: Fields,
    log: DriftLog | None,
    keep: timedelta,
    needed: Callable[[], int | None],
    notify: Callable[[str], None],
) -> list[Watch]:
    """The watches of a stream, in the order in which they see each of its batches.

    ``added``: fields of the way's schema that ingest has added to the table. ``log``: who hears of drift; nobody looks for it
    without. ``keep`` and ``needed``: how much of the table's log stays (:class:`LogKeeper`).
    """
    found: list[Watch] = []
    stream = way.stream
    if stream.unknown_fields == "evolve":
        found.append(EvolveWatch(spark, way, table=table, added=added, log=log))
    if stream.duplicates is not None:
        found.append(
            DuplicateWatch(
                spark, name=way.name, table=table, topic=stream.topic, duplicates=stream.duplicates, notify=notify
            )
        )
    if log is not None:
        found.append(DriftWatch(spark, table=table, log=log))
    found.append(LogKeeper(spark, table=table, keep=keep, needed=needed))
    return found
