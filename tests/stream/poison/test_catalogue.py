"""Every record of the poison catalogue, through Kafka and the ingest: its verdict, its reasons, its values, its privacy.

The expected values are written by hand in ``catalogue/``; the tables are read by delta-rs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from catalogue import KINDS
from catalogue.poison import CANARY
from comparing import alike, as_protected
from ingested import COLUMNS, SCHEMAS, places_of, rows_by_offset, send, write_pipeline

from headrace.connections import Broker
from headrace.ingest.run import start_ingest
from headrace.ingest.writer import BatchReport
from headrace.privacy.keys import KeyRing, open_ring
from headrace.privacy.original import Original
from headrace.privacy.seal import open_sealed

ALL = [(kind, record) for kind, records in KINDS.items() for record in records]
RECORDS = [pytest.param(number, id=f"{kind}-{record}") for number, (kind, record) in enumerate(ALL)]
BEYOND_OUR_LIMITS = (b"9" * 1001, b"1" * 1001, b"k" * 50_001)
"""What Python's own reader takes and we don't: numbers of more than 1,000 digits, names of more than 50,000 characters."""


@dataclass(frozen=True)
class Poisoned:
    """The catalogue after its ingest."""

    folder: Path
    offsets: Mapping[int, int]
    """Number of a record in the catalogue to its offset."""
    rows: Mapping[str, Mapping[int, list[dict[str, Any]]]]
    """Stream to offset to rows."""
    reports: list[BatchReport]
    ring: KeyRing

    def row(self, number: int) -> dict[str, Any]:
        (row,) = self.rows[ALL[number][1].stream][self.offsets[number]]
        return row


@pytest.fixture(scope="module")
def poisoned(spark, bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Poisoned:
    folder = tmp_path_factory.mktemp("poison")
    pipeline = write_pipeline(folder, bootstrap=bootstrap)
    offsets: dict[int, int] = {}
    for stream in SCHEMAS:
        mine = [number for number, (_, record) in enumerate(ALL) if record.stream == stream]
        offsets |= zip(mine, send(bootstrap, f"poison-{stream}", [ALL[number][1] for number in mine]), strict=True)
    reports: list[BatchReport] = []
    start_ingest(spark, pipeline, broker=Broker(bootstrap, {}), until_caught_up=True, on_batch=reports.append).wait()
    rows = {stream: rows_by_offset(folder / "lake" / "events" / stream) for stream in SCHEMAS}
    return Poisoned(folder, offsets, rows, reports, open_ring(folder / "keys.json"))


def test_the_catalogue_is_large_and_has_both_verdicts_of_every_kind() -> None:
    assert len(ALL) > 600
    assert all(any(r.accepted for r in records) and not all(r.accepted for r in records) for records in KINDS.values())


@pytest.mark.parametrize("number", RECORDS)
def test_a_record_gets_its_verdict_and_exactly_its_reasons(poisoned: Poisoned, number: int) -> None:
    record, row = ALL[number][1], poisoned.row(number)
    assert tuple(row["failed_rules"]) == record.reasons
    assert row["verdict"] == ("accepted" if record.accepted else "quarantined")
    assert row["kafka_timestamp"] == instant(record.timestamp)
    if record.accepted:
        found = {name: row[name] for name in COLUMNS[record.stream]}
        expected = {
            name: as_protected(name, record.columns.get(name), poisoned.ring) for name in COLUMNS[record.stream]
        }
        assert alike(found, expected)
        assert alike([row["event_time"], row["known_at"]], [expected["at"]] * 2)
        assert row["payload"] is None
    else:
        original = open_sealed(
            row["payload"], topic=f"poison-{record.stream}", partition=0, offset=row["kafka_offset"], ring=poisoned.ring
        )
        assert original == Original(record.key, record.value, record.headers)


def instant(milliseconds: int) -> datetime | None:
    """A record's own time, or null where it lies outside the years 1600 to 9999."""
    try:
        told = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return None
    return told if told.year >= 1600 else None


def test_values_that_differ_a_little_are_not_alike() -> None:
    assert alike({"a": [1, 0.5, None, "x"]}, {"a": [1, 0.5, None, "x"]})
    for one, other in (
        (0.0, -0.0),
        (1, 1.0),
        (1, True),
        ("a", "a "),
        ("é", "e\u0301"),
        ([1], [1, 2]),
        ({"a": None}, {}),
    ):
        assert not alike(one, other)


def test_every_record_is_there_once_and_nothing_else_is(poisoned: Poisoned) -> None:
    for stream, rows in poisoned.rows.items():
        sent = {offset for number, offset in poisoned.offsets.items() if ALL[number][1].stream == stream}
        assert {offset: len(found) for offset, found in rows.items()} == dict.fromkeys(sent, 1)
        assert max(sent) >= len(sent) + 2, "aborted records and marks of transactions lie between them"
    assert sum(report.rows for report in poisoned.reports) == len(ALL)


def test_what_json_refuses_is_never_accepted() -> None:
    """Python's own reader judges the catalogue, but for documents that are too deep for it."""
    for _, record in ALL:
        judged = is_json_object(record.value)
        if record.accepted:
            assert judged is not False, record
        elif judged and record.reasons in (("decode:malformed",), ("decode:trailing_data",)):
            assert any(limit in (record.value or b"") for limit in BEYOND_OUR_LIMITS), record


def is_json_object(value: bytes | None) -> bool | None:
    try:
        return isinstance(json.loads((value or b"").decode("utf-8"), parse_constant=lambda _: 1 / 0), dict)
    except RecursionError:
        return None
    except (ValueError, ZeroDivisionError):
        return False


def test_no_name_is_in_clear_in_any_file(poisoned: Poisoned) -> None:
    named = sum(CANARY.encode() in (record.value or b"") for _, record in ALL)
    assert named > 500
    assert places_of(CANARY, poisoned.folder / "lake") == []


def test_the_search_for_a_name_finds_planted_ones(tmp_path: Path) -> None:
    (tmp_path / "log.json").write_text(f'{{"minValues":{{"owner":"{CANARY}"}}}}')
    for codec in ("snappy", "zstd", "gzip"):
        for kind, value in (("text", CANARY), ("bytes", CANARY.encode()), ("list", [{"a": f"x {CANARY}"}])):
            filler = [None if kind == "list" else value[:3]] * 50
            pq.write_table(pa.table({"v": [*filler, value]}), tmp_path / f"{codec}-{kind}.parquet", compression=codec)
    pq.write_table(pa.table({"v": ["nobody"]}), tmp_path / "clean.parquet")
    assert len(places_of(CANARY, tmp_path)) == 10
