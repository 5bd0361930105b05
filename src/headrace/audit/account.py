"""A stream's account: what Kafka had, what was read, what the table holds, and whether it adds up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from headrace.audit.coverage import Coverage, check_offsets, check_topic, cover
from headrace.audit.cut import Cut, take_cut
from headrace.audit.deep import Compared, Spans, compare, spans_of
from headrace.audit.findings import Finding, Ranges, joined
from headrace.audit.groups import (
    ERASE,
    REPLAY,
    RETENTION,
    VERDICTS,
    Group,
    check,
    check_commits,
    chosen,
    grouped,
)
from headrace.audit.window import Window
from headrace.connections import Broker
from headrace.lake.layout import Layout
from headrace.lake.ledger.record import BATCH, Record
from headrace.lake.outside import DamagedLog, UnreadableFiles, data_files
from headrace.lake.tables import ACCEPTED
from headrace.privacy.keys import KeyRing
from headrace.spec.pipeline import Pipeline

Notify = Callable[[str], None]


@dataclass(frozen=True)
class Account:
    """One stream, of the batches in a range of time (all of them by default)."""

    stream: str
    topic: str
    version: int | None = None
    """Of the table that was looked at; None where there is no table."""
    batches: tuple[Record, ...] = field(default=(), repr=False)
    """Entries of the ledger that were looked at, in order."""
    read: int = 0
    """Records, as counted in Kafka when they were read."""
    committed: dict[str, int] = field(default_factory=dict)
    """Verdict to the rows that the batches committed."""
    released: int = 0
    """Rows that replay moved to accepted."""
    erased: int = 0
    retired: int = 0
    """Rows that retention removed."""
    rows: dict[str, int] = field(default_factory=dict)
    """Verdict to the rows that the table's files hold now."""
    lost: Ranges = field(default_factory=dict)
    """Offsets lost by acceptance, for ever."""
    undone: int = 0
    """Batches that a RESTORE of the table took back."""
    waiting: int = 0
    """Records in Kafka behind the table's end: not read yet, and no fault."""
    waiting_exact: bool = True
    """False where ``waiting`` are offsets: there may be fewer records."""
    compared: Compared | None = None
    """With ``deep``: record by record."""
    findings: tuple[Finding, ...] = ()

    @property
    def adds_up(self) -> bool:
        return not self.findings

    def as_json(self) -> dict[str, Any]:
        """For a program."""
        deep = self.compared
        return {
            "stream": self.stream, "topic": self.topic, "adds_up": self.adds_up, "table_version": self.version,
            "batches": len(self.batches), "read": self.read,
            **{name: self.committed.get(name, 0) for name in VERDICTS},
            "released_by_replay": self.released, "erased": self.erased, "removed_by_retention": self.retired,
            "lost_by_acceptance": {str(p): [list(span) for span in spans] for p, spans in self.lost.items()},
            "undone_by_restore": self.undone, "waiting": self.waiting, "waiting_exact": self.waiting_exact,
            "rows_now": {name: self.rows.get(name, 0) for name in VERDICTS},
            "deep": None if deep is None else {
                "in_kafka": deep.in_kafka, "found_once": deep.once, "taken_out": deep.taken_out,
                "gone_from_kafka": deep.gone, "sealed_compared": deep.sealed,
            },
            "findings": [finding.as_json() for finding in self.findings],
        }  # fmt: skip


@dataclass(frozen=True)
class Deeply:
    """What a comparison record by record needs."""

    ring: KeyRing | None = None
    """Opens the sealed originals of quarantined rows; None compares all but them."""
    on_progress: Callable[[int, int], None] = lambda done, total: None
    """Hears how many rows and records were looked at, and about how many there are."""


def audit_stream(
    pipeline: Pipeline, stream: str, *, broker: Broker, window: Window | None = None, deeply: Deeply | None = None
) -> Account:
    """A stream's account. Uses neither Spark nor a counter of ours: delta-rs reads the table's log, confluent-kafka the topic.

    ``window``: only batches that were committed then, with those that share a file (or a day that was changed) with them.
    ``deeply``: each record of Kafka is held against the table's rows too. Raises BrokerError, StorageError, and AccountingError
    where Kafka stops answering midway; what does not add up is among the findings.
    """
    layout, topic, window = Layout(pipeline.spec.lake.root), pipeline.spec.streams[stream].topic, window or Window()
    try:
        cut = take_cut(table=layout.events(stream), ledger=layout.ledger(stream), window=window)
    except DamagedLog as damage:
        text = f"the table's log can't be read: a commit is missing or cut ({damage}); restore it from a copy"
        return Account(stream, topic, findings=(Finding("log", text),))
    if cut is None:
        waiting = cover(broker, topic, live=(), losses=())
        return Account(stream, topic, waiting=waiting.waiting, waiting_exact=waiting.waiting_exact)
    coverage = cover(broker, topic, live=cut.live, losses=cut.losses)
    groups = chosen(grouped(cut.live, data_files(cut.table)), window)
    findings = [*cut.findings, *check(groups), *check_commits(record for record in cut.live if window.takes(record))]
    findings += check_topic(broker, topic, cut.live, coverage)
    findings += check_offsets(broker, topic, cut.live, coverage, takes=window.takes)
    compared = None
    try:
        if deeply is not None:
            compared = _deep(cut, coverage, groups, window, broker=broker, topic=topic, deeply=deeply)
            findings += compared.findings
    except UnreadableFiles as unreadable:
        why = "so its rows can't be compared with the topic; restore it from a copy"
        findings += (Finding("file", f"{file}: gone or damaged, {why}") for file in unreadable.found)
    return _account(stream, topic, cut, coverage, groups, compared, tuple(findings))


def _deep(
    cut: Cut, coverage: Coverage, groups: Sequence[Group], window: Window, *, broker: Broker, topic: str, deeply: Deeply
) -> Compared:
    spans = spans_of(cut.live, held=coverage.held, until=coverage.until) if window.is_open else _spans(groups)
    total = sum(file.rows for group in groups for file in group.files)
    total += sum(
        max(0, end - max(first, coverage.held.get(p, (0, 0))[0])) for p, some in spans.items() for first, end in some
    )
    looked = 0

    def done(more: int) -> None:
        nonlocal looked
        looked += more
        deeply.on_progress(looked, total)

    days = None if window.is_open else sorted({group.day for group in groups})
    return compare(
        cut.table, broker=broker, topic=topic, spans=spans, held=coverage.held, groups=groups, days=days, ring=deeply.ring,
        done=done,
    )  # fmt: skip


def _spans(groups: Sequence[Group]) -> Spans:
    found: Spans = {}
    for group in groups:
        for batch in group.batches:
            for partition, (first, end) in batch.spans.items():
                if first < end:
                    found.setdefault(partition, []).append((first, end))
    return {partition: joined(spans) for partition, spans in found.items()}


def _account(
    stream: str,
    topic: str,
    cut: Cut,
    coverage: Coverage,
    groups: Sequence[Group],
    compared: Compared | None,
    findings: tuple[Finding, ...],
) -> Account:
    batches = {batch.version: batch for group in groups for batch in group.batches}
    found = [group.found() for group in groups]
    return Account(
        stream=stream,
        topic=topic,
        version=cut.version,
        batches=tuple(batches[version] for version in sorted(batches)),
        read=sum(batch.read or 0 for batch in batches.values()),
        committed={name: sum(batch.verdict(name) for batch in batches.values()) for name in VERDICTS},
        released=sum(group.moved(REPLAY, ACCEPTED) for group in groups),
        erased=-sum(group.moved(ERASE) for group in groups),
        retired=-sum(group.moved(RETENTION) for group in groups),
        rows={name: sum(rows.get(name, 0) for rows in found) for name in VERDICTS},
        lost=coverage.lost,
        undone=sum(record.kind == BATCH for record in cut.undone),
        waiting=coverage.waiting,
        waiting_exact=coverage.waiting_exact,
        compared=compared,
        findings=findings,
    )
