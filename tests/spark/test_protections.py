"""What a protected value becomes, at any depth; what `privacy: strict` does; who can read an encrypted column."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F

from headrace.errors import KeyRingError, SpecError
from headrace.privacy.generalize import network
from headrace.privacy.keys import KeyRing, ensure_keys, open_ring
from headrace.privacy.nested import over_leaves
from headrace.spec import Pipeline, load
from headrace.spec import columns as spec_columns
from headrace.spec.stream import Stream
from headrace.stages.anonymize import anonymize
from headrace.stages.opened import opened
from headrace.stages.stages import KAFKA_SCHEMA, Way, finished, labelled, prepare, without_statistics

FIELDS: dict[str, Any] = {
    "id": "string", "at": "timestamp", "note": "string", "age": "integer", "points": "long", "price": "decimal(9,2)",
    "born": "date",
    "seen": "timestamp", "lat": "double", "ip": "string", "zip": "string", "vip": "boolean", "mail": "string", "gone": "string",
    "billing": {"type": "struct", "fields": [
        {"name": n, "type": t, "nullable": True} for n, t in (("holder", "string"), ("age", "long"), ("old", "string"))]},
    "contacts": {"type": "array", "containsNull": True, "elementType": {"type": "struct", "fields": [
        {"name": "email", "type": "string", "nullable": True}, {"name": "ip", "type": "string", "nullable": True},
        {"name": "phones", "type": {"type": "array", "elementType": "string", "containsNull": True}, "nullable": True}]}},
    "tags": {"type": "array", "elementType": "string", "containsNull": True},
}  # fmt: skip
PROTECT = {
    "note": "redact", "age": {"generalize": "band", "width": 10}, "points": {"generalize": "band", "width": 100},
    "price": {"generalize": "band", "width": 5}, "born": {"generalize": "year"}, "seen": {"generalize": "month"},
    "lat": {"generalize": "grid", "width": 0.1}, "ip": {"generalize": "network"}, "zip": {"generalize": "prefix", "width": 2},
    "vip": {"encrypt": "vip"}, "mail": {"mask": "domain"}, "gone": "drop", "billing.holder": {"pseudonym": "people"},
    "billing.age": {"generalize": "band", "width": 10}, "billing.old": "drop", "contacts[].email": {"mask": "domain"},
    "contacts[].ip": {"generalize": "network"}, "contacts[].phones[]": {"encrypt": "phones"}, "tags": {"encrypt": "tags"},
}  # fmt: skip
RECORD = {
    "id": "r1", "at": "2026-01-01T00:00:00Z", "note": "write to ada@example.org", "age": 37, "points": -250, "price": 12.34,
    "born": "1980-02-29", "seen": "2026-03-31T23:59:59.999Z", "lat": -33.87, "ip": "203.0.113.9", "zip": "10115", "vip": True,
    "mail": "Ada@Example.org", "gone": "secret", "billing": {"holder": "Ada Lovelace", "age": 40, "old": "x"},
    "contacts": [
        {"email": "a@x.org", "ip": "2001:db8:1:2::3", "phones": ["1", None, "1"]},
        None,
        {"email": "no address", "ip": "localhost", "phones": None},
    ],
    "tags": ["x", "y"],
}  # fmt: skip


def write(folder: Path, **stream: Any) -> Pipeline:
    folder.mkdir(exist_ok=True)
    schema = {
        "type": "struct",
        "fields": [{"name": n, "type": t, "nullable": True, "metadata": {}} for n, t in FIELDS.items()],
    }
    (folder / "s.json").write_text(json.dumps(schema))
    spec = {"topic": "t", "schema": "s.json", "event_time": "at", "known_at": "at", **stream}
    (folder / "pipeline.yaml").write_text(
        json.dumps({"pipeline": "p", "keys": {"ring": f"{folder}/keys.json"}, "streams": {"s": spec}})
    )
    return load(folder, {})


def rows_of(spark: SparkSession, way: Way, *records: Any) -> list[Row]:
    values = [json.dumps(record).encode() for record in records]
    frame = spark.createDataFrame(
        [(b"k", value, "t", 3, offset, None, 0, None) for offset, value in enumerate(values)], KAFKA_SCHEMA
    )
    return finished(labelled(frame, way), way).orderBy("kafka_offset").collect()


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    return write(tmp_path_factory.mktemp("protections"), protect=PROTECT)


@pytest.fixture(scope="module")
def ring(pipeline: Pipeline) -> KeyRing:
    from headrace.privacy.keys import needed_keys

    ensure_keys(pipeline.spec.keys.ring, needed_keys(pipeline))
    return open_ring(pipeline.spec.keys.ring)


@pytest.fixture(scope="module")
def way(spark: SparkSession, pipeline: Pipeline, ring: KeyRing) -> Way:
    return prepare(spark, pipeline, "s", ring=ring)


@pytest.fixture(scope="module")
def written(spark: SparkSession, way: Way) -> list[Row]:
    """One whole record, and one that has nothing."""
    return rows_of(spark, way, RECORD, {"id": "r2", "at": "2026-01-01T00:00:00Z", "contacts": [], "billing": {}})


def test_each_protection_gives_what_it_says(written: list[Row], ring: KeyRing) -> None:
    row = written[0].asDict(recursive=True)
    assert row["verdict"] == "accepted"
    assert {name: row[name] for name in ("note", "age", "points", "price", "born", "seen", "lat", "ip", "zip", "mail")} == {
        "note": "write to [email]", "age": 30, "points": -300, "price": 10.0, "born": 1980, "seen": "2026-03", "lat": -33.9,
        "ip": "203.0.113.0/24", "zip": "10", "mail": "***@example.org",
    }  # fmt: skip
    assert "gone" not in row
    mac = hmac.new(ring.key("pseudonym/people", 1), b"Ada Lovelace", "sha256").hexdigest()
    assert row["billing"] == {"holder": f"v1.{mac[:32]}", "age": 40}
    first, nothing, third = row["contacts"]
    assert (first["email"], first["ip"], nothing) == ("***@x.org", "2001:db8:1::/48", None)
    assert [phone is None for phone in first["phones"]] == [False, True, False]
    assert first["phones"][0] != first["phones"][2], "equal values look different once encrypted"
    assert third == {"email": "***", "ip": None, "phones": None}


def test_what_is_not_there_stays_so(written: list[Row]) -> None:
    row = written[1].asDict(recursive=True)
    assert row["contacts"] == []
    assert row["billing"] == {"holder": None, "age": None}
    assert {
        row[name] for name in ("note", "age", "price", "born", "seen", "lat", "ip", "zip", "vip", "mail", "tags")
    } == {None}


def test_no_clear_value_is_in_a_written_row(written: list[Row]) -> None:
    text = repr(written[0])
    for value in ("ada@", "Lovelace", "10115", "113.9", "1:2::3", "a@x.org", "secret", "12.34"):
        assert value not in text
    assert "r1" in text, "the search would find what is there"


def test_the_table_has_the_types_that_check_says(spark: SparkSession, way: Way, pipeline: Pipeline) -> None:
    empty = spark.createDataFrame([], KAFKA_SCHEMA)
    made = {field.name: field.dataType.simpleString() for field in finished(labelled(empty, way), way).schema}
    said = spec_columns.stored(pipeline.spec.streams["s"], pipeline.schemas["s"], {})
    assert {name: made.get(name) for name in said} == said


def test_no_protected_column_has_statistics(way: Way) -> None:
    assert without_statistics(way) == {name.split(".")[0].split("[")[0] for name in PROTECT}


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("203.0.113.9", "203.0.113.0/24"), (" 10.1.2.3 ", "10.1.2.0/24"), ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ("::ffff:203.0.113.9", "203.0.113.0/24"), ("fe80::1%eth0", "fe80::/48"), ("localhost", None), ("", None), ("1.2.3", None),
    ],
)  # fmt: skip
def test_a_network_of_an_address(address: str, expected: str | None) -> None:
    assert network(address) == expected


@pytest.mark.parametrize(
    ("kind", "width", "value", "expected"),
    [
        ("int", 10, "0", 0), ("int", 10, "9", 0), ("int", 10, "10", 10), ("int", 10, "-1", -10), ("int", 10, "-10", -10),
        ("int", 1000, "-2147483648", None), ("bigint", 7, "9007199254740993", 9007199254740988), ("double", 0.1, "0.3", 0.3),
        ("double", 0.1, "-0.05", -0.1), ("double", 5, "1e300", None), ("double", 5, "NaN", None), ("double", 5, "Infinity", None),
        ("decimal(5,2)", 5, "-999.99", -1000.0),
    ],
)  # fmt: skip
def test_a_band_is_named_by_its_lower_edge(
    spark: SparkSession, ring: KeyRing, kind: str, width: float, value: str, expected: float | None
) -> None:
    declared = {"v": {"generalize": "band", "width": width}}
    stream = Stream.model_validate(
        {"topic": "t", "schema": "s", "event_time": "v", "known_at": "v", "protect": declared}
    )
    (row,) = anonymize(spark.sql(f"select cast('{value}' as {kind}) v"), stream=stream, ring=ring).collect()
    assert row["v"] == expected


def read_back(
    spark: SparkSession, pipeline: Pipeline, ring: KeyRing, rows: list[Row], *paths: str, **moved: Any
) -> Row:
    """The first written row with its encrypted values opened, after it was moved to other coordinates."""
    place = {"kafka_topic": "t", "kafka_partition": 3, "kafka_offset": 0, **moved}
    frame = spark.createDataFrame([(rows[0]["vip"], rows[0]["tags"], rows[0]["contacts"])], ENCRYPTED)
    frame = frame.withColumns({name: F.lit(value) for name, value in place.items()})
    (row,) = opened(frame, stream=pipeline.spec.streams["s"], paths=paths, ring=ring).collect()
    return row


ENCRYPTED = "vip binary, tags binary, contacts array<struct<email string, ip string, phones array<binary>>>"


def test_who_holds_the_ring_reads_an_encrypted_column(
    spark: SparkSession, pipeline: Pipeline, ring: KeyRing, written: list[Row]
) -> None:
    row = read_back(spark, pipeline, ring, written, "vip", "tags", "contacts[].phones[]")
    assert (row["vip"], row["tags"]) == ("true", '["x","y"]')
    assert [contact and contact["phones"] for contact in row["contacts"]] == [["1", None, "1"], None, None]
    assert row["contacts"][0]["email"] == "***@x.org"
    with pytest.raises(
        SpecError, match=r"'note' is not encrypted in this stream; expected one of vip, contacts\[\].phones\[\], tags"
    ):
        read_back(spark, pipeline, ring, written, "note")


@pytest.mark.parametrize("moved", [{"kafka_topic": "u"}, {"kafka_partition": 4}, {"kafka_offset": 1}])
def test_an_encrypted_value_that_was_moved_does_not_open(
    spark: SparkSession, pipeline: Pipeline, ring: KeyRing, written: list[Row], moved: dict[str, Any]
) -> None:
    with pytest.raises(Exception, match=r"does not open: wrong key ring, or the row was changed"):
        read_back(spark, pipeline, ring, written, "vip", **moved)


def test_another_ring_does_not_open_it(
    spark: SparkSession, pipeline: Pipeline, written: list[Row], tmp_path: Path
) -> None:
    ensure_keys(tmp_path / "other.json", ["column/vip"])
    with pytest.raises(Exception, match=r"does not open: wrong key ring"):
        read_back(spark, pipeline, open_ring(tmp_path / "other.json"), written, "vip")
    ensure_keys(tmp_path / "none.json", ["seal"])
    with pytest.raises(Exception, match=r"lacks version 1 of key 'column/vip'"):
        read_back(spark, pipeline, open_ring(tmp_path / "none.json"), written, "vip")


def test_a_value_in_another_column_does_not_open(ring: KeyRing, written: list[Row]) -> None:
    from headrace.privacy.encrypt import open_value

    key = ring.key("column/vip", 1)
    assert open_value(key, bytes(written[0]["vip"]), b"t/3/0/vip") == "true"
    with pytest.raises(KeyRingError, match="does not open"):
        open_value(key, bytes(written[0]["vip"]), b"t/3/0/other")


STRICT = {
    "note": "public",
    "billing": "drop",
    "contacts": "drop",
    "lat": "public",
    "ip": "public",
    "zip": "public",
    "born": "public",
}


def test_strict_quarantines_what_looks_personal_and_hides_it(spark: SparkSession, tmp_path: Path) -> None:
    """``mail`` looks personal by its value, ``ssn`` (``gone`` renamed) by its name; ``note`` was declared public."""
    stream = {"protect": STRICT, "privacy": "strict", "normalize": {"rename": {"gone": "ssn"}}}
    pipeline = write(tmp_path, **stream)
    ensure_keys(pipeline.spec.keys.ring, ["seal"])
    way = prepare(spark, pipeline, "s", ring=open_ring(pipeline.spec.keys.ring))
    base = {"id": "r", "at": "2026-01-01T00:00:00Z", "note": "ada@example.org"}
    records = [
        base, {**base, "mail": "to ada@example.org"}, {**base, "gone": "x"}, {**base, "tags": ["fine", "4111 1111 1111 1111"]},
        {**base, "mail": "fine", "tags": ["fine", None], "age": 3}, {**base, "mail": "bob@example.org", "age": "old"},
    ]  # fmt: skip
    rows = rows_of(spark, way, *records)
    assert [(row["verdict"], row["failed_rules"]) for row in rows] == [
        ("accepted", []),
        ("quarantined", ["privacy:unclassified:mail"]),
        ("quarantined", ["privacy:unclassified:ssn"]),
        ("quarantined", ["privacy:unclassified:tags[]"]),
        ("accepted", []),
        ("quarantined", ["decode:type:age", "privacy:unclassified:mail"]),
    ]
    assert [(row["mail"], row["ssn"], row["tags"]) for row in rows] == [
        (None, None, None), (None, None, None), (None, None, None), (None, None, ["fine", None]), ("fine", None, ["fine", None]),
        (None, None, None),
    ]  # fmt: skip
    assert all(row["note"] == "ada@example.org" for row in rows)
    assert [row["payload"] is not None for row in rows] == [row["verdict"] == "quarantined" for row in rows]
    assert not [name for name in rows[0].asDict() if name.startswith("__")]


@pytest.mark.parametrize(
    "values", [[], [None], [[]], [["a"], None, [], ["b", None, "a"]], [[["a"], None], None, [[], ["b"]]]], ids=repr
)
@pytest.mark.parametrize("cut", [lambda array: array, lambda array: array.slice(1)])
def test_values_in_arrays_keep_their_place_and_know_their_row(
    values: list[Any], cut: Callable[[pa.Array], pa.Array]
) -> None:
    depth = 2 if "[[[" in repr(values) else 1
    kind = pa.list_(pa.list_(pa.string())) if depth == 2 else pa.list_(pa.string())
    array = cut(pa.array(values, kind))

    def numbered(leaves: pa.Array, rows: pa.Array) -> pa.Array:
        pairs = zip(leaves.to_pylist(), rows.to_pylist(), strict=True)
        return pa.array([None if leaf is None else f"{leaf}{row}" for leaf, row in pairs], pa.string())

    def expected(value: Any, row: int) -> Any:
        if isinstance(value, list):
            return [expected(item, row) for item in value]
        return None if value is None else f"{value}{row}"

    assert over_leaves(array, numbered).to_pylist() == [expected(v, row) for row, v in enumerate(array.to_pylist())]
