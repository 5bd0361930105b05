"""Parameters beside a running ingest: made anew as accepted rows arrive, published where something changed that matters.

The change data feeds of the events tables are the clock: a micro-batch of theirs says that rows came, were released or erased.
What is made is made of the tables themselves, at one version each. So it does not matter which changes a batch held, nor whether
one comes twice: a restart makes the same again, and publishes nothing new.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import TYPE_CHECKING

from pyspark.errors import StreamingQueryException
from pyspark.sql import functions as F

from headrace.connections import Broker
from headrace.errors import HeadraceError, SpecError, StorageError, TrainingError, first_line
from headrace.ingest.abandon import abandoning
from headrace.lake import delta
from headrace.lake.layout import Layout
from headrace.lake.tables import read_accepted
from headrace.parameters.topic import ensure_topic
from headrace.spec.pipeline import Pipeline
from headrace.spec.section import seconds
from headrace.training.making import Made, declared, make, sources

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming import StreamingQuery

_LOOK_SECONDS = 0.5


class Following:
    """A running job. Use :func:`follow`, then ``run``."""

    def __init__(
        self,
        spark: SparkSession,
        pipeline: Pipeline,
        *,
        broker: Broker,
        on_made: Callable[[list[Made]], None],
        notify: Callable[[str], None],
    ) -> None:
        self._spark, self._pipeline, self._broker = spark, pipeline, broker
        self._on_made, self._notify = on_made, notify
        self._stop, self._turn = threading.Event(), threading.Lock()
        self._error: BaseException | None = None

    def run(self, *, until_caught_up: bool, stop: threading.Event | None = None) -> None:
        """Follow until ``stop`` is set, or until everything that is in the tables now was looked at."""
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
                    raise self._error or _failure(error) from None
            finally:
                self._stop.set()
                with self._turn:  # the batch that runs ends
                    pass
                query.stop()
        if self._error is not None and not abandoned.is_set():
            raise self._error

    def _start(self, *, until_caught_up: bool) -> StreamingQuery:
        layout = Layout(self._pipeline.spec.lake.root)
        changes = reduce(
            lambda one, other: one.union(other),
            [_changes(self._spark, layout.events(name)) for name in sources(self._pipeline)],
        )
        writer = (
            changes.writeStream.queryName("parameters")
            .option("checkpointLocation", layout.checkpoint("parameters"))
            .foreachBatch(self._batch)
        )
        if until_caught_up:
            return writer.trigger(availableNow=True).start()
        return writer.trigger(processingTime=f"{seconds(self._pipeline.spec.parameters.every)} seconds").start()

    def _batch(self, batch: DataFrame, _number: int) -> None:
        with self._turn:
            if self._stop.is_set():
                raise _Stopping
            try:
                as_of = known_until(self._spark, self._pipeline)
                if as_of is not None:
                    done = make(
                        self._spark, self._pipeline, broker=self._broker, as_of=as_of, only_material=True, notify=self._notify
                    )  # fmt: skip
                    self._on_made(done)
            except TrainingError as error:  # too little came so far: the next batch may bring it
                self._notify(str(error))
            except BaseException as error:
                self._error = error
                raise


class _Stopping(Exception):
    """A batch that begins while the job ends: it is begun again at the next start."""


def follow(
    spark: SparkSession,
    pipeline: Pipeline,
    *,
    broker: Broker,
    on_made: Callable[[list[Made]], None] = lambda made: None,
    notify: Callable[[str], None] = lambda line: None,
) -> Following:
    """Prepare to follow the accepted rows; ``run`` does it. ``on_made`` hears of each round.

    Raises SpecError where nothing is declared that rows could change, TrainingError where a table is absent, BrokerError.
    """
    if not declared(pipeline) or not sources(pipeline):
        raise SpecError(f"{pipeline.file} declares no parameters that are made of rows; docs/parameters.md shows some")
    for name in sources(pipeline):
        if not delta.exists(spark, Layout(pipeline.spec.lake.root).events(name)):
            raise TrainingError(f"stream {name!r} has no table yet; start headrace ingest first")
    ensure_topic(pipeline, broker=broker)
    return Following(spark, pipeline, broker=broker, on_made=on_made, notify=notify)


def known_until(spark: SparkSession, pipeline: Pipeline) -> datetime | None:
    """Up to when everything that is known has arrived (UTC): the earliest of the newest ``known_at`` of the streams, that row
    included, and never later than now. None where a stream has no row yet.
    """  # fmt: skip
    layout = Layout(pipeline.spec.lake.root)
    newest: list[datetime] = []
    for name in sources(pipeline):
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


def _failure(error: StreamingQueryException) -> HeadraceError:
    return StorageError(
        f"the changes of the events tables can't be followed ({first_line(error)}); start again, as after a table got a new "
        "column. If a table was made anew, remove the checkpoint parameters in the lake before"
    )
