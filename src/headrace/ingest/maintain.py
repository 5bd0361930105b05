"""maintain: what keeps the tables of a pipeline small and quick, beside whatever runs.

Rows beyond their retention go, small files of closed days are put together, then the files and commits that no version within
``lake.keep_versions`` needs are removed. What changes an events table is an errand for the ingest that owns it, which carries it
out beside its batches; VACUUM and the cleaning of a log commit nothing that another writer could trip over.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from headrace.ingest.asking import Asking, State
from headrace.ingest.clerk import Handler
from headrace.ingest.position import last_fixing
from headrace.lake import delta
from headrace.lake.errands import Errand, Errands, new_errand
from headrace.lake.layout import EVENTS, Layout
from headrace.lake.lease import Lease, leased
from headrace.lake.ledger import first_unrecorded
from headrace.lake.maintain import (
    Limit,
    clean_log,
    compact,
    expired_rows,
    removable_commits,
    removable_files,
    remove_expired,
    small_files,
    vacuum,
)
from headrace.lake.tables import ACCEPTED, DUPLICATE, QUARANTINED
from headrace.spec.pipeline import Pipeline
from headrace.spec.section import seconds
from headrace.spec.stream import Stream

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

MAINTAIN = "maintain"


@dataclass
class Maintained:
    """What was done to one table, or would be."""

    table: str
    expired: dict[str, int] = field(default_factory=dict)
    """Verdict to rows beyond their retention."""
    compacted: int = 0
    """Small files of closed days that were put together."""
    files: int = 0
    """Data files that no kept version refers to."""
    commits: int = 0
    """Commits at the beginning of the log."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def limits(stream: Stream, *, today: date) -> list[Limit]:
    """The days before which rows of a stream are beyond their retention."""
    kept = {(ACCEPTED, DUPLICATE): stream.retention.accepted, (QUARANTINED,): stream.retention.quarantined}
    return [
        Limit(verdicts, today - timedelta(seconds=seconds(days))) for verdicts, days in kept.items() if days is not None
    ]


def maintain(
    spark: SparkSession,
    pipeline: Pipeline,
    *,
    stop: threading.Event,
    dry_run: bool = False,
    on_table: Callable[[str], None] = lambda table: None,
    tell: Callable[[State], None] = lambda state: None,
) -> list[Maintained]:
    """Go through every table that is there; with ``dry_run``, say only what there is to do.

    ``on_table`` hears each table's name as it comes up, ``tell`` how an errand for a running ingest stands. Safe to interrupt
    and to repeat. Raises KeyboardInterrupt where ``stop`` is set, StorageError as ingest does.
    """
    done = list[Maintained]()
    keep = pipeline.spec.lake.versions_kept
    for table in _tables(pipeline):
        if not delta.exists(spark, table.path):
            continue
        if stop.is_set():
            raise KeyboardInterrupt
        on_table(table.name)
        found = Maintained(table.name)
        if table.stream is not None:
            told = _planned(spark, table) if dry_run else _changed(spark, pipeline, table, stop=stop, tell=tell)
            found.expired, found.compacted = dict(told["expired"]), int(told["compacted"])
        found.files = (removable_files if dry_run else vacuum)(spark, table.path, keep=keep)
        if table.owned:
            ledger = Layout(pipeline.spec.lake.root).ledger(table.name.removeprefix(EVENTS))
            needed = first_needed(spark, table.path, ledger=ledger)
            removable = removable_commits(spark, table.path, keep=keep, needed=needed)
            found.commits = len(removable) if dry_run else clean_log(spark, table.path, keep=keep, needed=needed)
        done.append(found)
    return done


def maintain_handler(spark: SparkSession, pipeline: Pipeline) -> Handler:
    """Carries out the part that commits: retention, by the pipeline file as the command read it, then the compaction of closed
    days.
    """  # fmt: skip
    layout = Layout(pipeline.spec.lake.root)

    def carry_out(errand: Errand, lease: Lease) -> Mapping[str, Any]:
        chosen = [Limit(tuple(one["verdicts"]), date.fromisoformat(one["day"])) for one in errand.arguments["limits"]]
        name = errand.table.removeprefix(EVENTS)
        told = {"stream": name, "spec": errand.arguments["spec"]}
        return _carried_out(spark, layout.events(name), chosen, told=told, lease=lease)

    return carry_out


def first_needed(spark: SparkSession, path: str, *, ledger: str) -> int:
    """What a start must find: the commit that tells up to where the table holds its topic (or the newest one), and all that the
    stream's ledger does not have yet, as that of a table which an older Headrace filled.
    """  # fmt: skip
    entry = last_fixing(spark, path)
    position = entry.version if entry else delta.version(spark, path)
    return min(position, first_unrecorded(spark, folder=ledger, table=path))


def _planned(spark: SparkSession, table: _Kept) -> Mapping[str, Any]:
    assert table.stream is not None
    small = small_files(spark, table.path, before=_today())
    return {
        "expired": expired_rows(spark, table.path, limits(table.stream, today=_today())),
        "compacted": small.files,
    }


def _changed(
    spark: SparkSession, pipeline: Pipeline, table: _Kept, *, stop: threading.Event, tell: Callable[[State], None]
) -> Mapping[str, Any]:
    assert table.stream is not None
    chosen, layout = limits(table.stream, today=_today()), Layout(pipeline.spec.lake.root)
    if not table.owned:
        told = {"stream": table.name, "spec": pipeline.version}
        return _carried_out(spark, table.path, chosen, told=told, lease=None)
    said = [{"verdicts": limit.verdicts, "day": limit.day.isoformat()} for limit in chosen]
    errand = new_errand(table=table.name, verb=MAINTAIN, arguments={"limits": said, "spec": pipeline.version})
    return Asking(
        spark=spark,
        errands=Errands(spark, layout.errands),
        errand=errand,
        lease=lambda: leased(spark, table.path, what=table.name),
        handler=maintain_handler(spark, pipeline),
        stop=stop,
        tell=tell,
    ).have_done()


def _carried_out(
    spark: SparkSession, path: str, chosen: list[Limit], *, told: Mapping[str, Any], lease: Lease | None
) -> Mapping[str, Any]:
    expired = remove_expired(spark, path, chosen, told=told, lease=lease)
    small = small_files(spark, path, before=_today())
    for day in small.days:
        if lease is not None:
            lease.require()
        compact(spark, path, day)
    return {"expired": expired, "compacted": small.files}


@dataclass(frozen=True)
class _Kept:
    name: str
    path: str
    stream: Stream | None = None
    """Of a table with partitions by day and verdict."""
    owned: bool = False
    """Whether an ingest may own it, which then changes it and shortens its log; a scoring job keeps its own logs."""


def _tables(pipeline: Pipeline) -> Iterator[_Kept]:
    layout, spec = Layout(pipeline.spec.lake.root), pipeline.spec
    for name, stream in spec.streams.items():
        yield _Kept(f"{EVENTS}{name}", layout.events(name), stream, owned=True)
        yield _Kept(f"drift/{name}", layout.drift(name))
    if spec.model is not None and spec.features is not None:
        model = spec.model.name
        yield _Kept(f"serving/{model}/requests", layout.requests(model), spec.streams[spec.features.requests])
        yield _Kept(f"serving/{model}/predictions", layout.predictions(model))
        yield _Kept(f"decisions/{model}", layout.decisions(model))
    yield _Kept("parameters", layout.parameters)
    yield _Kept("access/openings", layout.openings)


def _today() -> date:
    return datetime.now(UTC).date()
