"""Every record of the poison catalogue, through Kafka and the ingest: its verdict, its reasons, its values, its privacy.

The expected values are written by hand in ``catalogue/``; the tables are read by delta-rs.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from catalogue import KINDS
from catalogue.poison import CANARY
from comparing import alike, as_protected
from deltalake import DeltaTable
from ingested import COLUMNS, SCHEMAS, Ingested, places_of

from headrace.privacy.original import Original
from headrace.privacy.seal import open_sealed
from headrace.stages.sample import sampled_shapes

ALL = [(kind, record) for kind, records in KINDS.items() for record in records]
RECORDS = [pytest.param(number, id=f"{kind}-{record}") for number, (kind, record) in enumerate(ALL)]
BEYOND_OUR_LIMITS = (b"9" * 1001, b"1" * 1001, b"k" * 50_001)
"""What Python's own reader takes and we don't: numbers of more than 1,000 digits, names of more than 50,000 characters."""


def offset_of(poisoned: Ingested, number: int) -> int:
    """Where a record of the catalogue lies: those of a stream were sent in the catalogue's order."""
    stream = ALL[number][1].stream
    before = sum(record.stream == stream for _, record in ALL[:number])
    return list(poisoned.catalogue[stream])[before]


def test_the_catalogue_is_large_and_has_both_verdicts_of_every_kind() -> None:
    assert len(ALL) > 600
    assert all(any(r.accepted for r in records) and not all(r.accepted for r in records) for records in KINDS.values())


@pytest.mark.parametrize("number", RECORDS)
def test_a_record_gets_its_verdict_and_exactly_its_reasons(poisoned: Ingested, number: int) -> None:
    record = ALL[number][1]
    (row,) = poisoned.rows[record.stream][offset_of(poisoned, number)]
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


def test_every_record_is_there_once_and_nothing_else_is(poisoned: Ingested) -> None:
    sent = {stream: [*poisoned.catalogue[stream], *poisoned.fuzzed[stream]] for stream in SCHEMAS}
    for stream, rows in poisoned.rows.items():
        assert {offset: len(found) for offset, found in rows.items()} == dict.fromkeys(sent[stream], 1)
        assert max(sent[stream]) >= len(sent[stream]) + 2, "aborted records and marks of transactions lie between them"
    assert sum(report.rows for report in poisoned.reports) == sum(map(len, sent.values()))


def test_no_record_ends_the_look_at_a_sample(spark) -> None:
    """Spark makes a variant of half a surrogate pair in a name, and then fails to read it."""
    kinds = ((), ("decode:encoding",))
    looked_at = [r for _, r in ALL if r.value is not None and len(r.value) < 1_000 and r.reasons in kinds]
    assert any(b'"\\ud800":1' in (record.value or b"") for record in looked_at)
    rows = [(record.value, list(record.reasons), 0, number) for number, record in enumerate(looked_at)]
    frame = spark.createDataFrame(rows, "__value binary, failed_rules array<string>, __partition int, __offset long")
    (shapes,) = frame.agg(sampled_shapes(records=1, largest=1_000)).first()
    seen = [record for record in looked_at if record.accepted and not repeats_a_name(record.value or b"")]
    assert len(shapes) == len(seen) > 200


def repeats_a_name(value: bytes) -> bool:
    """Whether an object in it does: no variant holds that."""
    found: list[bool] = []
    json.loads(value, object_pairs_hook=lambda pairs: found.append(len(dict(pairs)) < len(pairs)))
    return any(found)


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


def test_no_name_is_in_clear_in_any_file(poisoned: Ingested) -> None:
    """But for one: a plain identifier that is the *name* of an unknown field is told as such (docs/decode-reasons.md)."""
    named = sum(CANARY.encode() in (record.value or b"") for _, record in ALL)
    assert named > 500
    told, counts = poisoned.lake / "drift" / "plain", poisoned.lake / "events" / "plain" / "_headrace"
    places = [Path(place) for place in places_of(CANARY, poisoned.lake)]
    assert {place.parent for place in places} <= {told, counts}
    assert all(place.read_text().count(CANARY) == 1 for place in places if place.parent == counts)
    alerts = [row for row in DeltaTable(str(told)).to_pyarrow_table().to_pylist() if CANARY in str(row)]
    assert {row.pop("field") for row in alerts} <= {CANARY}
    assert CANARY not in str(alerts)


def test_the_search_for_a_name_finds_planted_ones(tmp_path: Path) -> None:
    (tmp_path / "log.json").write_text(f'{{"minValues":{{"owner":"{CANARY}"}}}}')
    for codec in ("snappy", "zstd", "gzip"):
        for kind, value in (("text", CANARY), ("bytes", CANARY.encode()), ("list", [{"a": f"x {CANARY}"}])):
            filler = [None if kind == "list" else value[:3]] * 50
            pq.write_table(pa.table({"v": [*filler, value]}), tmp_path / f"{codec}-{kind}.parquet", compression=codec)
    pq.write_table(pa.table({"v": ["nobody"]}), tmp_path / "clean.parquet")
    assert len(places_of(CANARY, tmp_path)) == 10
