"""A streaming job whose clock is the change data feeds of events tables: a micro-batch of theirs says that rows came.

What the job does is done from the tables themselves, not from the rows of the micro-batch. So it does not matter which changes a
batch held, nor whether one comes twice after a restart.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import TYPE_CHECKING

from pyspark.errors import StreamingQueryException
from pyspark.sql import functions as F

from headrace.errors import HeadraceError, StorageError, TrainingError, first_line
from headrace.ingest.abandon import abandoning
from headrace.lake.layout import Layout
from headrace.lake.tables import read_accepted
from headrace.spec.pipeline import Pipeline

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming import StreamingQuery

_LOOK_SECONDS = 0.5


class Changes:
    """A job that works each time rows came. ``run`` does it."""

    def __init__(
        self,
        spark: SparkSession,
        pipeline: Pipeline,
        *,
        streams: Iterable[str],
        query: str,
        trigger_seconds: float,
        work: Callable[[], None],
        notify: Callable[[str], None],
    ) -> None:
        """``query`` names the job's checkpoint. A TrainingError of ``work`` (too little came so far) is told to ``notify``, and
        the job goes on; any other error ends it.
        """  # fmt: skip
        self._spark, self._streams, self._query, self._seconds = spark, sorted(streams), query, trigger_seconds
        self._layout, self._work, self._notify = Layout(pipeline.spec.lake.root), work, notify
        self._stop, self._turn = threading.Event(), threading.Lock()
        self._error: BaseException | None = None

    def run(self, *, until_caught_up: bool, stop: threading.Event | None = None) -> None:
        """Go on until ``stop`` is set, or until everything that is in the tables now was looked at."""
        stop = stop or threading.Event()
        with abandoning(self._spark, once=stop) as abandoned:
            query = self._start(until_caught_up=until_caught_up)
            try:
                while query.isActive and not stop.wait(_LOOK_SECONDS):
                    pass
                if not query.isActive:
                    query.awaitTermination()
            except StreamingQueryException as error:
                if not abandoned.is_set():
                    raise self._error or self._failure(error) from None
            finally:
                self._stop.set()
                with self._turn:  # the batch that runs ends
                    pass
                query.stop()
        if self._error is not None and not abandoned.is_set():
            raise self._error

    def _start(self, *, until_caught_up: bool) -> StreamingQuery:
        changes = reduce(
            lambda one, other: one.union(other),
            [_changes(self._spark, self._layout.events(name)) for name in self._streams],
        )
        writer = (
            changes.writeStream.queryName(self._query)
            .option("checkpointLocation", self._layout.checkpoint(self._query))
            .foreachBatch(self._batch)
        )
        if until_caught_up:
            return writer.trigger(availableNow=True).start()
        return writer.trigger(processingTime=f"{round(1000 * self._seconds)} milliseconds").start()

    def _batch(self, batch: DataFrame, _number: int) -> None:
        with self._turn:
            if self._stop.is_set():
                raise _Stopping
            try:
                self._work()
            except TrainingError as error:  # too little came so far: the next batch may bring it
                self._notify(str(error))
            except BaseException as error:
                self._error = error
                raise

    def _failure(self, error: StreamingQueryException) -> HeadraceError:
        return StorageError(
            f"the changes of the events tables can't be followed ({first_line(error)}); start again, as after a table got a new "
            f"column. If a table was made anew, remove the checkpoint {self._query} in the lake before"
        )


class _Stopping(Exception):
    """A batch that begins while the job ends: it is begun again at the next start."""


def known_until(spark: SparkSession, pipeline: Pipeline, streams: Iterable[str]) -> datetime | None:
    """Up to when everything that is known has arrived (UTC): the earliest of the newest ``known_at`` of the streams, that row
    included, and never later than now. None where a stream has no row yet.
    """  # fmt: skip
    layout = Layout(pipeline.spec.lake.root)
    newest: list[datetime] = []
    for name in streams:
        row = read_accepted(spark, layout.events(name)).agg(F.max("known_at")).first()
        if row is None or row[0] is None:
            return None
        newest.append(row[0].astimezone(UTC))
    return min(*newest, datetime.now(UTC)) + timedelta(microseconds=1)


def _changes(spark: SparkSession, path: str) -> DataFrame:
    """At the very first start the rows that are there, then what changes. A change whose commit is gone is not missed: the table
    has it.
    """  # fmt: skip
    feed = (
        spark.readStream.format("delta").option("readChangeFeed", "true").option("failOnDataLoss", "false").load(path)
    )
    return feed.select("known_at")
