"""Batches and the data files that hold their rows, in the smallest groups that no file reaches across.

A file says which batches its rows are from (``batch_id``, minimum and maximum) and how many rows it has, so the table is held
against the ledger without reading a row. Before a compaction a group is one batch; after it, a few, or a day.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from headrace.audit.findings import Finding, batches_in_words, in_words, joined
from headrace.audit.window import Window
from headrace.lake.ledger.record import BATCH, RESTORE, UNKNOWN, Record, Rows, add_rows, changed
from headrace.lake.outside import DataFile
from headrace.lake.tables import ACCEPTED, DUPLICATE, QUARANTINED

REPLAY, ERASE, RETENTION = "replay", "erase", "retention"
MOVING = (REPLAY, ERASE, RETENTION, UNKNOWN)
"""Kinds of commits that may move rows or take them away."""
RELEASED, DELETED = "released", "rows"
"""Where the metadata of a replay, and of the others, says how many rows it means to release, or to delete by verdict."""
VERDICTS = (ACCEPTED, QUARANTINED, DUPLICATE)


@dataclass(frozen=True)
class Group:
    """Some batches of a day, all files with rows of theirs, and the day's commits that moved rows (then it is the whole day)."""

    day: str
    batches: tuple[Record, ...]
    files: tuple[DataFile, ...]
    moves: tuple[Record, ...]

    def expected(self) -> dict[str, int]:
        """Verdict to the rows that there should be."""
        rows: Rows = {}
        for record in (*self.batches, *self.moves):
            add_rows(rows, {self.day: record.rows.get(self.day, {})})
        return changed(rows).get(self.day, {})

    def found(self) -> dict[str, int]:
        """Verdict to the rows that the files hold."""
        rows: Rows = {}
        for file in self.files:
            add_rows(rows, {self.day: {file.verdict: file.rows}})
        return changed(rows).get(self.day, {})

    def moved(self, kind: str, *verdicts: str) -> int:
        """Rows of some verdicts (all, if none is named) that commits of a kind added on this day; negative where they took some."""
        return sum(
            count
            for record in self.moves
            if record.kind == kind
            for verdict, count in record.rows.get(self.day, {}).items()
            if not verdicts or verdict in verdicts
        )


def grouped(records: Iterable[Record], files: Iterable[DataFile]) -> list[Group]:
    """All groups, by day and batch. A batch without rows is a group without files, on the day of its commit."""
    batches: dict[str, list[Record]] = {}
    moves: dict[str, list[Record]] = {}
    by_day: dict[str, list[DataFile]] = {}
    for record in records:
        if record.kind == BATCH:
            for day in record.rows or (f"{record.at:%Y-%m-%d}",):
                batches.setdefault(day, []).append(record)
        elif record.kind in MOVING:
            for day in record.rows:
                moves.setdefault(day, []).append(record)
    for file in files:
        by_day.setdefault(file.day, []).append(file)
    found: list[Group] = []
    for day in sorted({*batches, *moves, *by_day}):
        found += _of_day(day, batches.get(day, []), by_day.get(day, []), tuple(moves.get(day, ())))
    return found


def chosen(groups: Iterable[Group], window: Window) -> list[Group]:
    """The groups that have a batch in the window; all of them where it is open."""
    return [group for group in groups if window.is_open or any(window.takes(batch) for batch in group.batches)]


def check(groups: Iterable[Group]) -> Iterator[Finding]:
    """What of the groups does not add up: a batch in itself, or the files with what was committed."""
    for group in groups:
        for batch in group.batches:
            yield from _check_batch(batch)
        expected, found = group.expected(), group.found()
        if expected != found:
            yield _difference(group, expected, found)


def check_commits(records: Iterable[Record]) -> Iterator[Finding]:
    """Commits that changed rows and are no verb of ours, and those that did something else than their verb does."""
    for record in records:
        if record.kind in (BATCH, UNKNOWN, RESTORE):
            continue
        rows = _by_verdict(record.rows)
        change = ", ".join(f"{count:+d} {verdict}" for verdict, count in rows.items())
        name = f"version {record.version} ({record.kind}, {record.at:%Y-%m-%d %H:%M:%S} UTC)"
        if record.kind not in MOVING:
            if rows:
                text = f"{name} changed rows ({change}) and is no verb of Headrace; find out who wrote it"
                yield Finding("commit", text)
            continue
        said = record.told.get(RELEASED if record.kind == REPLAY else DELETED)
        did = _released(rows) if record.kind == REPLAY else _deleted(rows)
        if did is None:
            yield Finding("commit", f"{name} changed rows as no {record.kind} does: {change}")
        elif said not in (None, did) and not record.uncounted:
            yield Finding("commit", f"{name} says that it {_in_words(said)}; its files say {_in_words(did)}")


def _of_day(
    day: str, batches: list[Record], files: list[DataFile], moves: tuple[Record, ...]
) -> Iterator[Group]:  # fmt: skip
    if moves or any(file.batches is None for file in files):
        yield Group(day, tuple(batches), tuple(files), moves)
        return
    spans = [(batch.batch, batch.batch, batch) for batch in batches]
    spans += [(*file.batches, file) for file in files if file.batches is not None]
    here: list[Record | DataFile] = []
    reach = -1
    for first, last, one in sorted(spans, key=lambda span: span[:2]):
        if here and first > reach:
            yield _group(day, here)
            here = []
        here.append(one)
        reach = max(reach, last) if len(here) > 1 else last
    if here:
        yield _group(day, here)


def _group(day: str, members: list[Record | DataFile]) -> Group:
    batches = tuple(one for one in members if isinstance(one, Record))
    return Group(day, batches, tuple(one for one in members if isinstance(one, DataFile)), ())


def _check_batch(batch: Record) -> Iterator[Finding]:
    room = sum(max(0, end - first) for first, end in batch.spans.values())
    known = batch.read is not None or not batch.counted  # an entry that is missing is another finding
    if known and batch.read in (None, batch.total) and batch.total <= room:
        return
    offsets = {partition: [span] for partition, span in batch.spans.items()}
    name = f"batch {batch.batch} ({in_words(offsets)})"
    if not known:
        text = (
            f"{name}: its entry in the ledger was lost, and Kafka no longer held all of its records when it was written again, so "
            "what was read can't be proven"
        )
        yield Finding("unprovable", text, (batch.batch,))
    elif batch.read not in (None, batch.total):
        text = f"{name}: {batch.read} records were read and {batch.total} rows committed"
        yield Finding("batch", text, (batch.batch,), offsets)
    else:
        yield Finding("batch", f"{name}: {batch.total} rows of {room} offsets", (batch.batch,), offsets)


def _difference(group: Group, expected: Mapping[str, int], found: Mapping[str, int]) -> Finding:
    numbers = tuple(sorted({batch.batch for batch in group.batches}))
    offsets: dict[int, list[tuple[int, int]]] = {}
    for batch in group.batches:
        for partition, span in batch.spans.items():
            offsets[partition] = joined([*offsets.get(partition, []), span])
    verdicts = [verdict for verdict in {**expected, **found} if expected.get(verdict, 0) != found.get(verdict, 0)]
    amounts = ", ".join(
        f"{found.get(verdict, 0)} {verdict} instead of {expected.get(verdict, 0)}" for verdict in verdicts
    )
    who = batches_in_words(numbers) if numbers else "no batch"
    text = f"{who} of {group.day} ({in_words(offsets) or 'no offsets'}): the table's files hold {amounts}; --deep names the records"
    return Finding("table", text, numbers, offsets)


def _released(rows: Mapping[str, int]) -> int | None:
    """Rows that became accepted, while others may have become duplicates; None where there were other changes than these."""
    count, copies = rows.get(ACCEPTED, 0), rows.get(DUPLICATE, 0)
    moved = {ACCEPTED: count, DUPLICATE: copies, QUARANTINED: -count - copies}
    return count if min(count, copies) >= 0 and rows == {v: n for v, n in moved.items() if n} else None


def _deleted(rows: Mapping[str, int]) -> dict[str, int] | None:
    """Verdict to rows that were taken away; None where others came."""
    return {verdict: -count for verdict, count in rows.items()} if all(count < 0 for count in rows.values()) else None


def _in_words(number: int | Mapping[str, int]) -> str:
    """Such as ``released 3 rows`` or ``deleted 2 accepted, 1 quarantined``."""
    if isinstance(number, int):
        return f"released {number} rows"
    return f"deleted {', '.join(f'{count} {verdict}' for verdict, count in sorted(number.items())) or 'nothing'}"


def _by_verdict(rows: Rows) -> dict[str, int]:
    found: dict[str, int] = {}
    for verdicts in rows.values():
        for verdict, count in verdicts.items():
            found[verdict] = found.get(verdict, 0) + count
    return {verdict: count for verdict, count in found.items() if count}
