"""One streaming query of a job: checked, started, and started again where Spark needs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from headrace.connections import Broker
from headrace.errors import HeadraceError
from headrace.ingest.accounts import open_accounts
from headrace.ingest.drift import DriftLog
from headrace.ingest.evolve import with_added
from headrace.ingest.failure import query_failure
from headrace.ingest.first_look import FirstLook
from headrace.ingest.guard import check_start, in_words, lost_ranges, records_lost
from headrace.ingest.pace import Pace, set_limit
from headrace.ingest.position import Position
from headrace.ingest.resume import resume_after
from headrace.ingest.source import Topic, read_topic
from headrace.ingest.watches import watches
from headrace.ingest.writer import BatchReport, BatchWriter, Draining
from headrace.lake import delta
from headrace.lake.columns import add_columns
from headrace.lake.lease import leased
from headrace.lake.tables import EVENT_PARTITIONS, create_table
from headrace.stages.stages import Way, table_schema, without_statistics

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from pyspark.sql.streaming import StreamingQuery

_SPARK_55271 = 'the return value of "scala.Option.get()" is null'


@dataclass
class Running:
    """A started query and the function that writes its batches."""

    writer: BatchWriter
    start: Callable[[], StreamingQuery]
    query: StreamingQuery

    @property
    def active(self) -> bool:
        """Whether the query runs. Raises the error that ended it, if one has."""
        self.raise_error()
        return self.query.isActive

    def raise_error(self) -> None:
        """Raise the error that ended the query, if one has.

        Spark 4.1.1 fails after the first batch of a query that repeats one (SPARK-55271: it reports the source's metrics
        before it has asked for offsets). That batch is committed and logged by then, so the query is started again.
        """
        error = self.writer.error
        if isinstance(error, Draining):
            return
        if isinstance(error, HeadraceError):
            raise error
        if error is not None:
            raise query_failure(str(error), stream=self.query.name or "", writer=self.writer) from error
        failure = self.query.exception()
        if failure is not None and _SPARK_55271 in str(failure):
            self.query = self.start()
        elif failure is not None:
            raise query_failure(str(failure), stream=self.query.name or "", writer=self.writer) from None


def start_stream(
    spark: SparkSession,
    way: Way,
    *,
    release: ExitStack,
    what: str,
    name: str,
    table: str,
    checkpoint: str,
    broker: Broker,
    until_caught_up: bool,
    trigger_seconds: float,
    on_batch: Callable[[BatchReport], None],
    keep: timedelta,
    needed: Callable[[], int | None] = lambda: None,
    annotate: Callable[[], Mapping[str, Any]] = dict,
    keep_payload: bool = True,
    starting_at: datetime | None = None,
    on_step: Callable[[str], None] = lambda step: None,
    accept_loss: bool = False,
    ledger: str | None = None,
    notify: Callable[[str], None] = lambda line: None,
    first_look: FirstLook | None = None,
    drift: DriftLog | None = None,
) -> Running:
    """Check, create the table if it is absent, take its lease, and start the query that fills it.

    ``release``: what ends the lease. ``what`` names the table in messages.
    ``annotate``: called in each batch, once its end offsets are fixed; what it gives is committed with the batch.
    ``keep`` and ``needed``: how much of the table's log stays (:class:`headrace.ingest.log_keeper.LogKeeper`).
    ``drift`` hears how the records change; nobody looks for it without.
    ``starting_at``: a new query begins with the records sent at or after this instant, instead of the earliest ones.
    ``ledger``: folder of the stream's ledger, or None where it keeps none.
    """
    stream = way.stream
    topic = Topic(stream.topic, broker=broker)
    schema = table_schema(spark, way, keep_payload=keep_payload)
    protected = {*without_statistics(way), *EVENT_PARTITIONS, "failed_rules", "payload", "kafka_topic", "spec_version"}
    protected |= {"released_at", "released_by"}
    statistics = [field.name for field in schema if field.name not in protected]

    def check() -> Position | None:
        return check_start(spark, checkpoint=checkpoint, table=table, topic=stream.topic, topic_id=topic.id())

    if not delta.exists(spark, table):
        check()  # before a new table makes a lost one look empty
        create_table(spark, table, schema=schema, partitions=EVENT_PARTITIONS, statistics=statistics)
    lease = release.enter_context(leased(spark, table, what=what, notify=notify))
    position = check()
    add_columns(spark, table, schema=schema)
    way, added = with_added(spark, way, table)
    lost = lost_ranges(position.until, topic.earliest()) if position else {}
    if position and lost:
        if not accept_loss:
            raise records_lost(stream.topic, lost)
        position = resume_after(spark, position, stream=way.name, table=table, checkpoint=checkpoint, lost=lost)
        notify(f"warning: stream {way.name!r} goes on without records that Kafka deleted: {in_words(lost)}")
    pace = Pace(most=stream.max_offsets_per_trigger, seconds=stream.batch_seconds)
    accounts = None
    if ledger is not None:
        accounts = open_accounts(
            spark, name=way.name, topic=stream.topic, folder=ledger, table=table, broker=broker, notify=notify
        )
    records = read_topic(
        spark, stream.topic, bootstrap=broker.bootstrap, options=broker.options, max_offsets=pace.limit, starting_at=starting_at
    )  # fmt: skip

    def reported(report: BatchReport) -> None:
        if not report.repeated and pace.learn(offsets=report.offsets, seconds=report.seconds):
            set_limit(spark, name, pace.limit)
        on_batch(report)

    writer = BatchWriter(
        spark, way, table=table, checkpoint=checkpoint, on_batch=reported, until=position.until if position else {},
        annotate=annotate, keep_payload=keep_payload, on_step=on_step, lease=lease, topic=topic, accounts=accounts,
        watches=watches(spark, way, table=table, added=added, log=drift, keep=keep, needed=needed, notify=notify),
    )  # fmt: skip
    query = (
        records.writeStream.queryName(name)
        .option("checkpointLocation", checkpoint)
        .foreachBatch(first_look.before(writer) if first_look else writer)
    )
    if until_caught_up:
        query = query.trigger(availableNow=True)
    else:
        query = query.trigger(processingTime=f"{int(trigger_seconds * 1000)} milliseconds")
    return Running(writer, query.start, query.start())
