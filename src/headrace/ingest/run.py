"""The ingest job: every declared stream of a pipeline in one Spark application."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from headrace.connections import Broker
from headrace.errors import HeadraceError
from headrace.ingest.abandon import abandoning
from headrace.ingest.accounts import open_accounts
from headrace.ingest.clerk import Clerk, Handler
from headrace.ingest.drift import DriftLog
from headrace.ingest.evolve import with_added
from headrace.ingest.failure import query_failure
from headrace.ingest.first_look import FirstLook
from headrace.ingest.guard import check_start, in_words, lost_ranges, records_lost
from headrace.ingest.maintain import MAINTAIN, maintain_handler
from headrace.ingest.pace import Pace, set_limit
from headrace.ingest.position import Position
from headrace.ingest.replay import REPLAY
from headrace.ingest.replay_errand import replay_handler
from headrace.ingest.resume import resume_after
from headrace.ingest.silence import telling_silence
from headrace.ingest.source import Topic, read_topic, stream_ends
from headrace.ingest.watches import watches
from headrace.ingest.writer import BatchReport, BatchWriter, Draining
from headrace.lake import delta
from headrace.lake.columns import add_columns
from headrace.lake.drift import Alert
from headrace.lake.errands import Errands
from headrace.lake.layout import Layout
from headrace.lake.lease import leased
from headrace.lake.tables import EVENT_PARTITIONS, create_table
from headrace.privacy.keys import KeyRing, ensure_keys, needed_keys, open_ring
from headrace.quality import CompiledSuite
from headrace.spec.pipeline import Pipeline
from headrace.spec.section import seconds
from headrace.stages.stages import Way, prepare, table_schema, without_statistics

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from pyspark.sql.streaming import StreamingQuery

Notify = Callable[[str], None]
POLL_SECONDS = 0.2
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


class Ingest:
    """The running queries of a pipeline. Use :func:`start_ingest`."""

    def __init__(
        self,
        spark: SparkSession,
        running: Mapping[str, Running],
        release: ExitStack,
        suites: Mapping[str, CompiledSuite],
        on_close: Callable[[Mapping[str, CompiledSuite]], object],
    ) -> None:
        self._spark, self._by_name, self._running = spark, running, list(running.values())
        self._release, self._on_close = release, on_close
        self._closed = False
        self._clerk: Clerk | None = None
        self.suites = suites
        """The compiled suite of each stream that has one."""

    def wait(self, *, stop: threading.Event | None = None) -> None:
        """Return when every query has ended (all caught up), or when ``stop`` is set and each batch that ran is finished (or
        abandoned, after ``GRACE_SECONDS``).

        Raises the error that ended a query.
        """
        try:
            never = threading.Event()
            while sum(item.active for item in self._running) and not (stop or never).is_set():
                (stop or never).wait(POLL_SECONDS)
        finally:
            self.close()
        self.raise_error()

    def employ(self, clerk: Clerk) -> None:
        """Let a clerk carry out what commands ask, until the ingest is closed."""
        self._clerk = clerk
        clerk.start()

    def reached(self, stream: str, offsets: Mapping[int, int]) -> bool:
        """Whether a stream's table holds all records before these offsets."""
        return self._by_name[stream].writer.reached(offsets)

    def raise_error(self) -> None:
        """Raise the error that ended a query, if one has."""
        for item in self._running:
            item.raise_error()

    def close(self) -> None:
        """Stop between two batches: one that runs is finished first, or abandoned when it takes too long; an errand is broken
        off. Idempotent.
        """  # fmt: skip
        now = threading.Event()
        now.set()
        with abandoning(self._spark, once=now) as abandoned:
            if self._clerk is not None:
                self._clerk.stop()
            for item in self._running:
                item.writer.drain()
            if self._clerk is not None:
                self._clerk.join()
        for item in self._running:
            if abandoned.is_set():
                item.writer.forget_abandoned()
        for item in self._running:
            if item.query.isActive:
                item.query.stop()
        self._release.close()
        if not self._closed:
            self._closed = True
            self._on_close(self.suites)


def start_ingest(
    spark: SparkSession,
    pipeline: Pipeline,
    *,
    broker: Broker,
    until_caught_up: bool,
    trigger_seconds: float = 1.0,
    streams: Iterable[str] | None = None,
    on_batch: Callable[[BatchReport], None] = lambda report: None,
    on_close: Callable[[Mapping[str, CompiledSuite]], object] = lambda suites: None,
    on_step: Callable[[str], None] = lambda step: None,
    on_alert: Callable[[Alert], None] = lambda alert: None,
    notify: Notify = lambda line: None,
    accept_loss: bool = False,
    handlers: Mapping[str, Handler] = MappingProxyType({}),
) -> Ingest:
    """Check, create what is absent, and start one query per stream.

    ``until_caught_up``: read up to the offsets that the topics end at now, then end. Raises BrokerError, CheckpointError,
    KeyRingError or StorageError where the job must not start. ``on_step`` hears each step of each micro-batch
    (``headrace.ingest.writer.STEPS``), ``on_alert`` each change of a stream's records, once. RecordsLost is raised where Kafka
    deleted records that were not read, unless ``accept_loss``: then the query goes on behind them, and the table's log keeps
    the ranges. ``handlers``: verb to what carries out errands of it, beside ``replay``.
    """
    names = list(streams or pipeline.spec.streams)
    layout, keep = Layout(pipeline.spec.lake.root), timedelta(seconds=seconds(pipeline.spec.lake.keep_versions))
    stream_ends(pipeline, names, broker=broker)
    ring = pipeline_ring(pipeline, notify=notify)
    release = ExitStack()
    running: dict[str, Running] = {}
    suites: dict[str, CompiledSuite] = {}
    release.enter_context(telling_silence(broker, notify=notify))
    try:
        for name in names:
            way = prepare(spark, pipeline, name, ring=ring)
            if way.suite is not None:
                suites[name] = way.suite
            running[name] = start_stream(
                spark,
                way,
                release=release,
                what=f"events/{name}",
                table=layout.events(name),
                checkpoint=layout.checkpoint(f"ingest/{name}"),
                broker=broker,
                name=name,
                until_caught_up=until_caught_up,
                trigger_seconds=trigger_seconds,
                on_batch=on_batch,
                on_step=on_step,
                accept_loss=accept_loss,
                ledger=layout.ledger(name),
                notify=notify,
                first_look=FirstLook(way, notify),
                keep=keep,
                drift=DriftLog(
                    spark, stream=name, path=layout.drift(name), spec_version=pipeline.version, on_alert=on_alert
                ),
            )
    except BaseException:
        Ingest(spark, running, release, suites, on_close).close()
        raise
    job = Ingest(spark, running, release, suites, on_close)
    writers = {f"events/{name}": running[name].writer for name in names}
    known = {REPLAY: replay_handler(spark, pipeline), MAINTAIN: maintain_handler(spark, pipeline), **handlers}
    job.employ(Clerk(spark, Errands(spark, layout.errands), writers=writers, handlers=known, notify=notify))
    return job


def pipeline_ring(pipeline: Pipeline, *, notify: Notify = lambda line: None) -> KeyRing:
    """The pipeline's key ring; a key that it lacks is generated, with a warning. Raises KeyRingError."""
    ring = pipeline.spec.keys.ring
    made = ensure_keys(ring, needed_keys(pipeline))
    if made:
        notify(
            f"warning: made development keys ({', '.join(made)}) in {ring}; keep that file: without it pseudonyms change "
            "and quarantined records can't be opened"
        )
    return open_ring(ring)


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
    notify: Notify = lambda line: None,
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
