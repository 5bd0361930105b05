"""One micro-batch: through the stages and into the table, in one pass and one commit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pyspark.sql import Observation
from pyspark.sql import functions as F

from headrace.errors import DataStopped, HeadraceError
from headrace.ingest.accounts import Accounts
from headrace.ingest.batch_failed import BatchFailed
from headrace.ingest.checkpoint import Checkpoint
from headrace.ingest.driver_read import has_far_timestamp, read_records
from headrace.ingest.guard import remade
from headrace.ingest.source import Topic
from headrace.ingest.watch import Batch, Watch
from headrace.lake import delta, follow
from headrace.lake.commit import append_once
from headrace.lake.lease import Lease
from headrace.lake.log import offsets, reached, read_log, read_next
from headrace.lake.tables import ACCEPTED, DUPLICATE, QUARANTINED
from headrace.quality import count_aggregates
from headrace.stages.stages import Way, finished, labelled

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True)
class BatchReport:
    """What one micro-batch did; every count is read back from the commit."""

    stream: str
    batch_id: int
    accepted: int
    quarantined: int
    duplicate: int
    seconds: float
    repeated: bool
    """Whether the table held it already: the job had died between the table's commit and the checkpoint's."""
    offsets: int
    """Length of the ranges of offsets that it read; more than its rows where a topic has gaps."""
    until: dict[int, int]
    """Partition to end offset."""
    checks: dict[str, int] = field(repr=False)
    """Counts for the GX result, by the name of their aggregate; empty where the batch had been committed before."""

    @property
    def rows(self) -> int:
        return self.accepted + self.quarantined + self.duplicate


STEPS = ("begun", "planned", "committed", "skipped", "accounted", "reported")
"""What a micro-batch reaches, in this order: ``skipped`` stands in for ``committed`` where the table holds the batch already.
``accounted``: its ledger is written (of a stream that has one)."""


class Draining(Exception):
    """Raised into a batch that begins after a stop was asked for; it has written nothing and is read again later."""


class BatchWriter:
    """The ``foreachBatch`` function of one stream."""

    def __init__(
        self,
        spark: SparkSession,
        way: Way,
        *,
        table: str,
        checkpoint: str,
        on_batch: Callable[[BatchReport], None],
        until: Mapping[int, int],
        annotate: Callable[[], Mapping[str, Any]],
        keep_payload: bool,
        on_step: Callable[[str], None],
        lease: Lease,
        topic: Topic,
        watches: Sequence[Watch],
        accounts: Accounts | None,
    ) -> None:
        """``until``: partition to the offset up to which the table holds every record when the query starts.

        ``on_step`` hears each of ``STEPS`` as it is reached; ``watches`` see each batch in turn. ``accounts``: the stream's,
        where it keeps a ledger.
        """
        self._watches, self._accounts = tuple(watches), accounts
        self._annotate, self._keep_payload, self._on_step = annotate, keep_payload, on_step
        self._spark, self._way, self._table = spark, way, table
        self._checkpoint = Checkpoint(spark, checkpoint)
        self._on_batch = on_batch
        self._draining = threading.Event()
        self._turn = threading.RLock()
        self._done: int | None = None
        self.error: BaseException | None = None
        self.lease, self.topic, self._topic_id = lease, topic, topic.id()
        self.until = dict(until)
        """Partition to the offset up to which the table holds every record."""

    def reached(self, end: Mapping[int, int]) -> bool:
        """Whether the table holds all records before these offsets."""
        return reached(self.until, end)

    def drain(self) -> None:
        """Let the batch that runs finish, let no other begin, and wait."""
        self._draining.set()
        with self._turn:
            pass

    def forget_abandoned(self) -> None:
        """A batch that was cancelled in order to stop is no error: it is read again at the next start."""
        if self.error is not None and not isinstance(self.error, HeadraceError):
            self.error = Draining()

    @contextmanager
    def between_batches(self) -> Generator[None]:
        """The table for oneself: the batch that runs is finished first, and none begins meanwhile."""
        with self._turn:
            yield

    def __call__(self, batch: DataFrame, batch_id: int) -> None:
        with self._turn:
            try:
                if self._draining.is_set():
                    raise Draining
                report = self._write(batch, batch_id)
                self.until |= report.until
                self._on_batch(report)
                self._on_step("reported")
            except BaseException as error:
                self.error = error
                raise (BatchFailed() if isinstance(error, Exception) else error) from None

    def _write(self, batch: DataFrame, batch_id: int) -> BatchReport:
        begun = time.monotonic()
        self._on_step("begun")
        spark, topic = self._spark, self.topic.name
        self.check_topic()
        query = self._checkpoint.query_id()
        app_id = f"{query}/{self._way.name}"
        if self._done is None:  # asking the table costs a job; later batches can't have been written before
            found = delta.transaction(spark, self._table, app_id)
            self._done = -1 if found is None else found
        repeated = self._done >= batch_id
        checks: dict[str, int] = {}
        begin = self._checkpoint.start(batch_id).get(topic, {})
        until = (self._checkpoint.until(batch_id) or {}).get(topic, {})
        before = follow.version(spark, self._table)
        if not repeated:
            metadata = {
                "headrace": "batch",
                "stream": self._way.name,
                "query": query,
                "batch": batch_id,
                "topic": topic,
                "topic_id": self._topic_id,
                "from": begin,
                "until": until,
                "spec": self._way.spec_version,
                **self._annotate(),
            }
            self._on_step("planned")
            planned = Batch(batch, self._way, before, datetime.now(UTC), metadata)
            checks = self._append_all(planned, batch_id, app_id)
        self._on_step("skipped" if repeated else "committed")
        if self._accounts is not None:
            self._accounts.write(batch_id)
            self._on_step("accounted")
        report = self._report(batch_id, checks, before, begin, until, repeated, time.monotonic() - begun)
        self._stop_above(report)
        return report

    def _append_all(self, batch: Batch, batch_id: int, app_id: str) -> dict[str, int]:
        try:
            return self._append(batch, batch_id, app_id)
        except Exception as error:
            if not has_far_timestamp(error):
                raise
        start, until = offsets(batch.metadata["from"]), offsets(batch.metadata["until"])
        records = read_records(self._spark, self.topic.name, start=start, until=until, broker=self.topic.broker)
        return self._append(replace(batch, records=records), batch_id, app_id)

    def _append(self, batch: Batch, batch_id: int, app_id: str) -> dict[str, int]:
        for watch in self._watches:
            batch = watch.ahead(batch)
        way, now = batch.way.with_current_keys(), batch.begun
        records = batch.records if self._accounts is None else self._accounts.counted(batch.records, batch_id)
        rows = labelled(batch.marked(records), way)
        counts = count_aggregates(way.suite, decoded=way.decoded) if way.suite is not None else {}
        aggregates = {
            name: column for watch in self._watches for name, column in watch.observed(batch).items()
        } | counts
        observation = Observation() if aggregates else None
        if observation is not None:
            rows = rows.observe(observation, *(column.alias(name) for name, column in aggregates.items()))
        rows = finished(rows, way, keep_payload=self._keep_payload).withColumns(
            {
                "batch_id": F.lit(batch_id).cast("long"),
                "ingested_at": F.lit(now),
                "ingest_date": F.lit(now.date()),
            }
        )
        self.lease.require()
        append_once(rows, self._table, app_id=app_id, version=batch_id, metadata=batch.metadata, what=self.lease.what)
        observed = observation.get if observation is not None else {}
        for watch in self._watches:
            watch.committed(batch, observed)
        return {name: int(observed[name] or 0) for name in counts}

    def check_topic(self) -> None:
        """Raise CheckpointError where the topic is not the one that the query began to read."""
        if self.topic.id(unless=self._draining.is_set) != self._topic_id:
            raise remade(self.topic.name, self._table)

    def _report(
        self,
        batch_id: int,
        checks: dict[str, int],
        before: int,
        begin: dict[int, int],
        until: dict[int, int],
        repeated: bool,
        seconds: float,
    ) -> BatchReport:
        rows = dict.fromkeys((ACCEPTED, QUARANTINED, DUPLICATE), 0)
        log = read_log(self._spark, self._table) if repeated else read_next(self._spark, self._table, after=before)
        for entry in log:
            if entry.batch == batch_id:
                rows = {verdict: count + entry.rows(verdict) for verdict, count in rows.items()}
        return BatchReport(
            stream=self._way.name, batch_id=batch_id, accepted=rows[ACCEPTED], quarantined=rows[QUARANTINED],
            duplicate=rows[DUPLICATE], seconds=seconds, repeated=repeated, checks=checks,
            offsets=sum(end - begin.get(partition, 0) for partition, end in until.items()), until=until,
        )  # fmt: skip

    def _stop_above(self, report: BatchReport) -> None:
        limit = self._way.stream.stop_above
        if limit is not None and report.rows and 100 * report.quarantined / report.rows > limit:
            raise DataStopped(
                f"stream {self._way.name!r}: {report.quarantined} of {report.rows} rows of batch {report.batch_id} were "
                f"quarantined, above stop_above: {limit} %; rules() of headrace.open shows why; mend producer or rules"
            )
