"""The ingest job: every declared stream of a pipeline in one Spark application."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from types import MappingProxyType
from typing import TYPE_CHECKING

from headrace.connections import Broker
from headrace.ingest.abandon import abandoning
from headrace.ingest.clerk import Clerk, Handler
from headrace.ingest.drift import DriftLog
from headrace.ingest.erase import erase_handler
from headrace.ingest.first_look import FirstLook
from headrace.ingest.maintain import MAINTAIN, maintain_handler
from headrace.ingest.replay import REPLAY
from headrace.ingest.replay_errand import replay_handler
from headrace.ingest.silence import telling_silence
from headrace.ingest.source import stream_ends
from headrace.ingest.stream import Running, start_stream
from headrace.ingest.writer import BatchReport
from headrace.lake.drift import Alert
from headrace.lake.erase import ERASE
from headrace.lake.errands import Errands
from headrace.lake.layout import Layout
from headrace.privacy.keys import KeyRing, ensure_keys, needed_keys, open_ring
from headrace.quality import CompiledSuite
from headrace.spec.pipeline import Pipeline
from headrace.stages.stages import prepare

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Notify = Callable[[str], None]
POLL_SECONDS = 0.2


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
    layout, keep = Layout(pipeline.spec.lake.root), pipeline.spec.lake.versions_kept
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
    known = {
        REPLAY: replay_handler(spark, pipeline), MAINTAIN: maintain_handler(spark, pipeline), ERASE: erase_handler(spark, layout),
        **handlers,
    }  # fmt: skip
    job.employ(
        Clerk(spark, Errands(spark, layout.errands), writers=writers, handlers=known, beside={MAINTAIN}, notify=notify)
    )
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
