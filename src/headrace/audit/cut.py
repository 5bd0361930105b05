"""One consistent view of a stream: the table at one version, and the ledger's entries up to that version."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import unquote

from headrace.audit.findings import Finding, batches_in_words
from headrace.audit.window import Window
from headrace.lake import outside
from headrace.lake.ledger.blocks import Contents, read_contents
from headrace.lake.ledger.record import BATCH, RESTORE, UNKNOWN, Record, record_of
from headrace.lake.log import LogEntry, commit_file, parse_entry

if TYPE_CHECKING:
    from deltalake import DeltaTable

WAIT_S, LOOK_AGAIN_S = 10.0, 0.5
"""How long a running ingest may take to write the ledger's entry of a batch that it has committed."""


@dataclass(frozen=True)
class Cut:
    """What is looked at; nothing in it changes while an ingest runs."""

    table: DeltaTable
    version: int
    live: list[Record]
    """Entries whose rows and offsets count, by version: without those that a RESTORE took back."""
    undone: list[Record]
    """Those that it took back."""
    losses: list[Record]
    """All acceptances of a loss, for ever."""
    findings: list[Finding] = field(default_factory=list)

    @property
    def batches(self) -> list[Record]:
        """The micro-batches that count."""
        return [record for record in self.live if record.kind == BATCH]


def take_cut(*, table: str, ledger: str, window: Window) -> Cut | None:
    """The stream's cut as of now, or None where it has no table yet. ``ledger``: the stream's ``Layout.ledger``.

    Raises DamagedLog where the table can't be opened.
    """
    opened = outside.open_table(table)
    if opened is None:
        return None
    version, folder = opened.version(), f"{ledger}/{opened.metadata().id}"
    contents = _caught_up(table, folder, version)
    records = {number: record for number, record in contents.records.items() if number <= version}
    missing = Contents(records).missing(version)
    lost = {number: record for number in missing if (record := _from_log(table, number)) is not None}
    every = [record for _, record in sorted({**lost, **records}.items())]
    live = effective(every)
    kept = {record.version for record in live}
    undone = [record for record in every if record.version not in kept]
    nowhere = [number for number in missing if number not in lost]
    crashed = bool(lost) and min(lost) > max(records, default=-1)
    findings = [*map(_damaged, contents.damaged), *_lost(lost.values(), window, crashed=crashed), *_nowhere(nowhere)]
    findings += [finding for record in every if window.takes(record) for finding in _unprovable(record)]
    return Cut(opened, version, live, undone, [record for record in every if record.kind == "loss"], findings)


def effective(records: Sequence[Record]) -> list[Record]:
    """The entries that made the table what it is after all of ``records`` (by version)."""
    live: list[Record] = []
    for number, record in enumerate(records):
        if record.kind == RESTORE:
            to = _restored_to(record, records[:number])
            live = effective([before for before in records[:number] if before.version <= to])
        live.append(record)
    return live


def _restored_to(record: Record, before: Sequence[Record]) -> int:
    version, stamp = record.told.get("version"), record.told.get("timestamp")
    if version not in (None, "null", ""):
        return int(str(version))
    try:
        then = datetime.fromisoformat(str(stamp).replace(" ", "T"))
    except ValueError:
        return record.version - 1
    then = then if then.tzinfo else then.replace(tzinfo=UTC)
    return max((other.version for other in before if other.at <= then), default=record.version - 1)


def _caught_up(table: str, folder: str, version: int) -> Contents:
    """The ledger. Where only the newest batches lack their entries, a running ingest is about to write them: it is waited for."""
    end = time.monotonic() + WAIT_S
    while True:
        contents = _read(folder)
        missing = Contents(contents.records).missing(version)
        trailing = bool(missing) and missing[0] > max(contents.records, default=-1)
        waiting = trailing and any(_is_batch(_commit(table, number)) for number in missing)
        if not waiting or time.monotonic() > end or not contents.records:
            return contents
        time.sleep(LOOK_AGAIN_S)


def _read(folder: str) -> Contents:
    return read_contents(lambda: outside.names(folder), lambda name: outside.read_bytes(f"{folder}/{name}"))


def _from_log(table: str, version: int) -> Record | None:
    """What the table's log says of a version that the ledger does not have. For a batch, no one has counted what was read."""
    entry = _commit(table, version)
    return None if entry is None else record_of(entry, rows_of=lambda path: _rows_of(table, path))


def _lost(records: Iterable[Record], window: Window, *, crashed: bool) -> Iterator[Finding]:
    batches = tuple(record.batch for record in records if record.kind == BATCH and window.takes(record))
    if batches:
        why = "ingest ended before it wrote it" if crashed else "it was lost or damaged"
        remedy = "headrace ingest counts them again when it starts"
        yield Finding("ledger", f"{batches_in_words(batches)}: no entry in the ledger ({why}); {remedy}", batches)


def _nowhere(versions: Sequence[int]) -> Iterator[Finding]:
    if versions:
        text = (
            f"versions {versions[0]} to {versions[-1]} of the table: {len(versions)} of their entries in the ledger are lost, and "
            "the table's log no longer has them; headrace ingest keeps them as unknown when it starts"
        )
        yield Finding("ledger", text)


def _unprovable(record: Record) -> Iterator[Finding]:
    if record.kind == UNKNOWN:
        text = (
            f"versions {record.versions.start} to {record.version} of the table: neither ledger nor log knows them any more, so "
            f"what was read then can't be proven; --from {record.at:%Y-%m-%dT%H:%M:%SZ} looks at what came after"
        )
        yield Finding("unprovable", text)
    elif record.uncounted:
        text = (
            f"version {record.version} ({record.kind}) took files of {', '.join(record.uncounted)} away, and nobody knows any more "
            "how many rows they had"
        )
        yield Finding("unprovable", text)


def _damaged(name: str) -> Finding:
    what = "the next start of headrace ingest mends it"
    if name.endswith(".gz"):
        what = "delete it: the next start of headrace ingest rebuilds what table's log and Kafka still tell"
    return Finding("ledger", f"file {name} of the ledger is damaged; {what}")


def _commit(table: str, version: int) -> LogEntry | None:
    data = outside.read_bytes(f"{table}/{commit_file(version)}")
    try:
        return None if data is None else parse_entry(version, data.decode())
    except ValueError:
        return None


def _is_batch(entry: LogEntry | None) -> bool:
    return entry is not None and entry.is_batch


def _rows_of(table: str, path: str) -> int | None:
    try:
        return outside.footer_rows(f"{table}/{unquote(path)}")
    except OSError:
        return None
