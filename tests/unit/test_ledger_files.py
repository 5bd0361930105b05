"""The ledger's lines and files: what is written is read again, and what was damaged is noticed."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from headrace.audit.cut import effective
from headrace.lake.ledger.blocks import Contents, blocks_of, merge, parse, read_contents
from headrace.lake.ledger.record import Record, from_line, record_of, to_line
from headrace.lake.log import AddedFile, LogEntry, RemovedFile

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
BATCH = Record(
    7, NOON, "batch", {"2026-01-01": {"accepted": 9, "quarantined": 1}}, read=10, counted="as read",
    told={"query": "q", "batch": 3, "from": {"0": 5}, "until": {"0": 16, "1": 2}, "spec": 'a "sum":"of" things'},
)  # fmt: skip


def test_a_record_is_read_as_it_was_written() -> None:
    assert from_line(to_line(BATCH)) == BATCH
    assert json.loads(to_line(BATCH))["read"] == 10
    assert BATCH.spans == {0: (5, 16), 1: (0, 2)}
    assert (BATCH.total, BATCH.verdict("accepted")) == (10, 9)


@pytest.mark.parametrize("place", range(0, len(to_line(BATCH)), 3))
def test_a_line_that_was_changed_or_cut_anywhere_is_refused(place: int) -> None:
    line = to_line(BATCH)
    changed = line[:place] + ("x" if line[place] != "x" else "y") + line[place + 1 :]
    for damaged in (changed, line[:place]):
        with pytest.raises(ValueError, match="sum does not match"):
            from_line(damaged)


def test_rows_of_a_commit_are_those_it_added_less_those_it_took() -> None:
    where = {"ingest_date": "2026-01-01", "verdict": "accepted"}
    entry = LogEntry(
        4, NOON, "DELETE", {"headrace": "erase", "who": 1}, (AddedFile(where, 44, {}, {}),),
        (RemovedFile("known", where, 40), RemovedFile("from-its-footer", where, None)),
    )  # fmt: skip
    record = record_of(entry, rows_of={"from-its-footer": 5}.get)
    assert (record.kind, record.rows, record.uncounted) == ("erase", {"2026-01-01": {"accepted": -1}}, ())
    assert record.told == {"who": 1}
    assert record_of(entry, rows_of=lambda path: None).uncounted == ("2026-01-01",)
    same = replace(entry, operation="OPTIMIZE", metadata={}, removed=(RemovedFile("known", where, 44),))
    assert record_of(same, rows_of=lambda path: None) == Record(4, NOON, "OPTIMIZE")


def test_blocks_hold_a_hundred_versions_and_a_merged_file_reads_the_same() -> None:
    records = [replace(BATCH, version=version) for version in range(250)]
    texts = blocks_of(records)
    assert [text.count("\n") for text in texts.values()] == [100, 100, 50]
    files = {name: text.encode() for name, text in texts.items()}
    assert parse(files).records == {record.version: record for record in records}
    merged = {"00000000000000000000.jsonl.gz": merge(files.values())}
    assert parse(merged) == parse(files)
    assert parse({**files, **merged}) == parse(files)  # a crash between the merge and the deletion


def test_damage_costs_no_more_than_the_lines_it_hit() -> None:
    files = {name: text.encode() for name, text in blocks_of([replace(BATCH, version=v) for v in range(120)]).items()}
    first, second = files
    cut = parse({first: files[first][:-30], second: files[second]})
    assert (cut.damaged, cut.missing(119)) == ((first,), [99])
    name = "00000000000000000000.jsonl.gz"
    assert parse({name: merge([files[first]])[:-20]}).damaged == (name,)
    assert parse({name: gzip.compress(b"nonsense\n")}).damaged == (name,)


def test_a_block_that_is_merged_while_the_folder_is_read_is_found_in_its_new_place() -> None:
    (name, text), *_ = blocks_of([replace(BATCH, version=version) for version in range(100)]).items()
    listings = iter([[name], ["00000000000000000000.jsonl.gz", "notes.txt"]])
    there = {"00000000000000000000.jsonl.gz": merge([text.encode()])}
    assert len(read_contents(lambda: next(listings), there.get).records) == 100


def test_versions_that_nobody_knows_any_more_are_not_missing() -> None:
    unknown = Record(5, NOON, "unknown", told={"first": 2})
    assert Contents({0: replace(BATCH, version=0), 5: unknown}).missing(7) == [1, 6, 7]


def test_a_restore_takes_back_what_came_after_and_can_be_taken_back_itself() -> None:
    def batch(version: int) -> Record:
        return replace(BATCH, version=version, at=NOON.replace(minute=version))

    def restore(number: int, **to: object) -> Record:
        return Record(number, NOON.replace(minute=number), "RESTORE", told={"version": None, "timestamp": None, **to})

    def left(*records: Record) -> list[int]:
        return [record.version for record in effective(records) if record.kind == "batch"]

    history = (batch(1), batch(2), batch(3), restore(4, version=1), batch(5))
    assert left(*history) == [1, 5]
    assert left(*history, restore(6, version=3)) == [1, 2, 3]
    assert left(batch(1), batch(2), restore(3, timestamp="2026-01-01 12:01:30.0")) == [1]
