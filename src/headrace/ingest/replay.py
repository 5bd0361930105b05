"""replay: quarantined rows go the same way again, by the pipeline file as it is now; those that pass are released.

They change their verdict in one MERGE commit, under the lease of the table's one writer. The commit carries the request's id as
Delta's transaction, so a request that is carried out twice releases once.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from headrace.ingest.evolve import with_added
from headrace.ingest.findings import Findings, findings
from headrace.ingest.released_copies import with_copies
from headrace.ingest.selection import Selection
from headrace.lake import delta
from headrace.lake.columns import add_columns
from headrace.lake.layout import Layout
from headrace.lake.lease import Lease
from headrace.lake.log import newest_first
from headrace.lake.release import RELEASED, release_once
from headrace.lake.tables import ACCEPTED, DUPLICATE, QUARANTINED, read_accepted, read_quarantine
from headrace.privacy.keys import open_ring
from headrace.spec.pipeline import Pipeline
from headrace.stages.reopen import DAY, INGESTED, PROBLEM, WAS, judged_again
from headrace.stages.stages import prepare

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

REPLAY = "replay"
STEPS = ("judged", "committed")
"""What a replay reaches, in this order; ``committed`` only where something was released."""
_TICK = timedelta(microseconds=1)


def rehearse(spark: SparkSession, pipeline: Pipeline, *, stream: str, selection: Selection) -> Findings:
    """What a replay of these rows would do. Writes nothing, and needs no lease.

    Raises KeyRingError where the key ring is absent or does not open them, SpecError as ingest does.
    """
    session = spark.newSession()
    with _judged(session, pipeline, stream=stream, selection=selection) as rows:
        return findings(rows)


def release(
    spark: SparkSession,
    pipeline: Pipeline,
    *,
    stream: str,
    selection: Selection,
    request: str,
    lease: Lease,
    on_step: Callable[[str], None] = lambda step: None,
) -> dict[str, Any]:
    """Release the chosen rows that pass, under the table's lease. What was done, as JSON can hold it:

    ``request``, ``stream``, ``spec``, ``released``, ``duplicates`` (rows that would pass but are copies: they get that verdict),
    ``by_rule`` (rule that was failed: rows released), ``days`` (``ingest_date``: rows released), ``version`` (of the table; null
    where nothing was committed), and ``repeated`` (the request had been carried out before); unless repeated, also ``chosen`` and
    ``still_failing`` (rule of now: rows).

    Raises KeyRingError where the key ring is absent or does not open a row, SpecError as ingest does, StorageError where the
    table can't be written. Nothing is changed then.
    """  # fmt: skip
    session = spark.newSession()
    table = Layout(pipeline.spec.lake.root).events(stream)
    app_id = f"headrace-replay/{request}"
    if delta.transaction(session, table, app_id) is not None:
        return {**_committed(session, table, request), "repeated": True}
    with _judged(session, pipeline, stream=stream, selection=selection) as rows:
        found = findings(rows)
        on_step("judged")
        now = datetime.now(UTC)
        known_from = _known_from(session, pipeline, now=now)
        told: dict[str, Any] = {
            "headrace": REPLAY, "stream": stream, "spec": pipeline.version, "request": request, "released": found.passing,
            "duplicates": found.copies,
            "by_rule": found.by_rule_in_log, "days": dict(found.days),
            "known_from": known_from.isoformat() if known_from else None,
        }  # fmt: skip
        judgement = {"chosen": found.chosen, "still_failing": dict(found.still_failing), "repeated": False}
        if not found.changed_days:
            return {**told, "version": None, **judgement}
        changed = rows.where(F.col("verdict") != QUARANTINED).drop(WAS, DAY, INGESTED, PROBLEM)
        add_columns(session, table, schema=StructType([*changed.schema, *RELEASED]))
        stamp = _stamp(pipeline, now=now, known_from=known_from)
        release_once(
            session, table, changed, stamp=stamp, days=found.changed_days, app_id=app_id, metadata=told, lease=lease
        )
    on_step("committed")
    return {**_committed(session, table, request), **judgement}


@contextmanager
def _judged(
    session: SparkSession, pipeline: Pipeline, *, stream: str, selection: Selection
) -> Generator[DataFrame]:  # fmt: skip
    """The chosen rows as the way of now gives them, judged once: a rule is not asked anew by each look at them. Copies among
    them are marked.
    """  # fmt: skip
    ring = open_ring(pipeline.spec.keys.ring)  # as it is: a key that is made now opens nothing
    table = Layout(pipeline.spec.lake.root).events(stream)
    way, _ = with_added(session, prepare(session, pipeline, stream, ring=ring), table)
    chosen = selection.of(read_quarantine(session, table))
    rows = judged_again(chosen, way).persist()
    try:
        yield with_copies(session, rows, table=table, stream=way.stream)
    finally:
        rows.unpersist()


def _stamp(pipeline: Pipeline, *, now: datetime, known_from: datetime | None) -> dict[str, Column]:
    late = F.lit(None).cast("timestamp")
    if known_from is not None:
        is_late = (F.col("new.verdict") == ACCEPTED) & (F.col("new.known_at") < F.lit(known_from))
        late = F.when(is_late, F.lit(known_from))
    return {
        "payload": F.lit(None).cast("binary"),
        "released_at": F.lit(now),
        "released_by": F.lit(pipeline.version),
        "released_known_at": late,
    }


def _known_from(session: SparkSession, pipeline: Pipeline, *, now: datetime) -> datetime | None:
    """From when on requests see what is released now: just after the newest that was asked, by which answers are fixed.

    None where nothing was asked: the rows are seen from their ``known_at`` on, as if they had never been put aside.
    """
    asked = newest_request(session, pipeline)
    return None if asked is None else min(asked, now) + _TICK  # a request that claims a far future holds up nothing


def newest_request(spark: SparkSession, pipeline: Pipeline) -> datetime | None:
    """The newest T for which a prediction was asked so far (UTC), or None where none was in this lake."""
    model = pipeline.spec.model
    path = Layout(pipeline.spec.lake.root).requests(model.name) if model is not None else None
    if path is None or not delta.exists(spark, path):
        return None
    row = read_accepted(spark, path).agg(F.max("known_at")).first()
    return None if row is None or row[0] is None else row[0].astimezone(UTC)


def _committed(spark: SparkSession, table: str, request: str) -> dict[str, Any]:
    """What the commit of a request says, and its version; the count of rows is read back from its files."""
    for entry in newest_first(spark, table):
        if entry.metadata.get("request") == request:
            rows = {"released": entry.rows(ACCEPTED), "duplicates": entry.rows(DUPLICATE)}
            return {**entry.metadata, **rows, "version": entry.version}
    return {
        "headrace": REPLAY,
        "request": request,
        "released": None,
        "duplicates": None,
        "version": None,
    }  # the log has forgotten it
