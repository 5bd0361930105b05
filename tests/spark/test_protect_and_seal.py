"""Privacy: what a protected column becomes, what a sealed payload gives back, and that no key is ever seen."""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct
from pathlib import Path

import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pyspark import cloudpickle
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from headrace.errors import KeyRingError
from headrace.privacy.encrypt import _encrypt_udf
from headrace.privacy.keys import SEAL, KeyRing, ensure_keys, open_ring, pseudonym_key
from headrace.privacy.mask import masked
from headrace.privacy.original import Original
from headrace.privacy.pseudonym import _preparer, pseudonymized
from headrace.privacy.seal import _seal_udf, open_sealed, sealed
from headrace.privacy.worker import text_function
from headrace.spec.protect import Pseudonym
from headrace.spec.stream import Stream
from headrace.stages.anonymize import anonymize
from headrace.stages.reopen import reopen
from headrace.stages.stages import KAFKA_SCHEMA

AIRCRAFT, PERSON = Pseudonym(pseudonym="aircraft"), Pseudonym(pseudonym="person")
VALUES = [None, "", "N14228", "é\U0001f600", "N14228", " ", "x" * 500]
RECORDS = [
    Original(None, None), Original(None, b"value"), Original(b"key", None), Original(b"", b""), Original(b"key", b""),
    Original(b"", None), Original(b"k\x00", b"\xff\x00" * 1000),
    Original(b"k", b"value", (("a", b"1"), ("a", None), ("", b""), ("\u202e\U0001f600", b"\xff\x00"))),
    Original(None, None, (("why", b"x" * 70_000),)),
]  # fmt: skip


@pytest.fixture
def ring(tmp_path: Path) -> KeyRing:
    ensure_keys(tmp_path / "keys.json", [SEAL, pseudonym_key("aircraft"), pseudonym_key("person")])
    return open_ring(tmp_path / "keys.json")


def texts(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame(pa.table({"n": pa.array(range(len(VALUES))), "v": pa.array(VALUES, pa.string())}))


def records(spark: SparkSession) -> DataFrame:
    size = len(RECORDS)
    named = [[{"key": name, "value": value} for name, value in record.headers] or None for record in RECORDS]
    kind = pa.list_(pa.struct({"key": pa.string(), "value": pa.binary()}))
    return spark.createDataFrame(
        pa.table(
            {
                "key": pa.array([record.key for record in RECORDS], pa.binary()),
                "value": pa.array([record.value for record in RECORDS], pa.binary()),
                "headers": pa.array(named, kind), "topic": ["t"] * size,
                "partition": pa.array([3] * size, pa.int32()), "offset": pa.array(range(size), pa.int64()),
            }
        )
    )  # fmt: skip


def sealed_rows(spark: SparkSession, ring: KeyRing) -> DataFrame:
    columns = {name: F.col(name) for name in ("key", "value", "headers", "topic", "partition", "offset")}
    return records(spark).select("offset", sealed(**columns, ring=ring, when=F.col("offset") != 1).alias("payload"))


def test_a_pseudonym_is_the_hmac_of_the_value_under_the_domains_key(spark: SparkSession, ring: KeyRing) -> None:
    rows = (
        texts(spark)
        .select("n", pseudonymized(F.col("v"), declared=AIRCRAFT, ring=ring).alias("p"))
        .orderBy("n")
        .collect()
    )
    key = ring.keys["pseudonym/aircraft"][1]
    for value, row in zip(VALUES, rows, strict=True):
        digest = None if value is None else hmac.new(key, value.encode("utf-8"), hashlib.sha256).hexdigest()
        assert row["p"] == (None if digest is None else f"v1.{digest[:32]}")


def test_pseudonyms_are_equal_within_a_domain_and_differ_between_domains(spark: SparkSession, ring: KeyRing) -> None:
    frame = texts(spark).repartition(3).where("v is not null")
    found = frame.select(
        "v",
        pseudonymized(F.col("v"), declared=AIRCRAFT, ring=ring).alias("a"),
        pseudonymized(F.col("v"), declared=PERSON, ring=ring).alias("p"),
    ).collect()
    assert (
        len({row["v"] for row in found})
        == len({row["a"] for row in found})
        == len({(row["v"], row["a"]) for row in found})
    )
    assert not {row["a"] for row in found} & {row["p"] for row in found}


@pytest.mark.parametrize(
    ("keep", "expected"),
    [
        (0, [None, "", "******", "**", "******", "*", "*" * 500]),
        (2, [None, "", "****28", "**", "****28", "*", "*" * 498 + "xx"]),
        (8, [None, "", "******", "**", "******", "*", "*" * 492 + "x" * 8]),
    ],
)
def test_a_mask_shows_the_end_only_of_what_is_longer(
    spark: SparkSession, keep: int, expected: list[str | None]
) -> None:
    rows = texts(spark).select("n", masked(F.col("v"), keep=keep).alias("m")).orderBy("n").collect()
    assert [row["m"] for row in rows] == expected


def test_anonymize_replaces_in_place_and_drops(spark: SparkSession, ring: KeyRing) -> None:
    protect = {"a": {"pseudonym": "person"}, "b": "drop", "c": {"mask": 1}}
    stream = Stream.model_validate(
        {"topic": "t", "schema": "s", "event_time": "d", "known_at": "d", "protect": protect}
    )
    frame = spark.sql("select 'x' a, 'y' b, 1234 c, 'd' d")
    (row,) = anonymize(frame, stream=stream, ring=ring).collect()
    assert list(row.asDict()) == ["a", "c", "d"]
    assert row["a"].startswith("v1.")
    assert (row["c"], row["d"]) == ("***4", "d")


def test_a_sealed_record_opens_to_its_very_bytes_and_headers(spark: SparkSession, ring: KeyRing) -> None:
    for row in sealed_rows(spark, ring).collect():
        if row["offset"] == 1:
            assert row["payload"] is None, "only the rows that `when` names are sealed"
        else:
            payload = bytes(row["payload"])
            assert (
                open_sealed(payload, topic="t", partition=3, offset=row["offset"], ring=ring) == RECORDS[row["offset"]]
            )
            assert b"value" not in payload


def test_a_row_of_a_quarantine_becomes_the_record_that_was_sent_whatever_its_format(
    spark: SparkSession, ring: KeyRing
) -> None:
    payloads = {row["offset"]: bytes(row["payload"]) for row in sealed_rows(spark, ring).collect() if row["payload"]}
    nonce, clear = b"n" * 12, b"\x03\0\0\0\x01kold"  # as 0.1.0 sealed it, without headers
    payloads[50] = struct.pack(">BH", 1, 1) + nonce + AESGCM(ring.keys[SEAL][1]).encrypt(nonce, clear, b"t/3/50")
    payloads[51] = payloads[7]  # moved from another row
    rows = spark.createDataFrame(
        [("t", 3, offset, None, payload, ["r"], None, None) for offset, payload in payloads.items()],
        "kafka_topic string, kafka_partition int, kafka_offset long, kafka_timestamp timestamp, payload binary, "
        "failed_rules array<string>, ingest_date date, ingested_at timestamp",
    )
    records = reopen(rows, ring=ring)
    assert set(StructType.fromDDL(KAFKA_SCHEMA).names) < set(records.columns)
    found = {row["offset"]: row for row in records.collect()}
    expected = {offset: RECORDS[offset] for offset in payloads if offset < 50} | {50: Original(b"k", b"old")}
    for offset, record in expected.items():
        row = found[offset]
        told = tuple((header["key"], header["value"] and bytes(header["value"])) for header in row["headers"] or ())
        assert row["__problem"] is None
        key, value = (part if part is None else bytes(part) for part in (row["key"], row["value"]))
        assert Original(key, value, told) == record
    assert (found[51]["value"], found[51]["headers"]) == (None, None)
    assert "does not open" in found[51]["__problem"]


def test_the_same_record_sealed_twice_looks_different(spark: SparkSession, ring: KeyRing) -> None:
    frame = sealed_rows(spark, ring).where("offset = 6")
    assert bytes(frame.collect()[0]["payload"]) != bytes(frame.collect()[0]["payload"])


@pytest.mark.parametrize("place", [("u", 3, 2), ("t", 4, 2), ("t", 3, 3), ("t/3", 2, 2)])
def test_a_payload_that_was_moved_does_not_open(
    spark: SparkSession, ring: KeyRing, place: tuple[str, int, int]
) -> None:
    payload = bytes(sealed_rows(spark, ring).where("offset = 2").collect()[0]["payload"])
    refused(payload, ring, *place)


def test_a_payload_that_was_changed_or_cut_does_not_open(spark: SparkSession, ring: KeyRing) -> None:
    payload = bytes(sealed_rows(spark, ring).where("offset = 6").collect()[0]["payload"])
    for at in (3, 15, len(payload) - 1):
        refused(payload[:at] + bytes([payload[at] ^ 1]) + payload[at + 1 :], ring)
    for length in (0, 1, 2, 3, 10, 15, 30, len(payload) - 1):
        refused(payload[:length], ring)
    with pytest.raises(KeyRingError, match="unknown format 9 at t/3/6; upgrade Headrace"):
        open_sealed(b"\x09" + payload[1:], topic="t", partition=3, offset=6, ring=ring)


def test_another_ring_does_not_open_it_and_is_named(spark: SparkSession, ring: KeyRing, tmp_path: Path) -> None:
    payload = bytes(sealed_rows(spark, ring).where("offset = 6").collect()[0]["payload"])
    ensure_keys(tmp_path / "other.json", [SEAL])
    assert str(tmp_path / "other.json") in refused(payload, open_ring(tmp_path / "other.json"))
    ensure_keys(tmp_path / "none.json", ["pseudonym/aircraft"])
    assert "lacks version 1 of key 'seal'" in refused(payload, open_ring(tmp_path / "none.json"))


def refused(payload: bytes, ring: KeyRing, topic: str = "t", partition: int = 3, offset: int = 6) -> str:
    with pytest.raises(KeyRingError) as error:
        open_sealed(payload, topic=topic, partition=partition, offset=offset, ring=ring)
    assert "\n" not in str(error.value)
    return str(error.value)


def spellings(key: bytes) -> list[bytes]:
    return [key, key.hex().encode(), key.hex().upper().encode(), base64.b64encode(key), repr(key)[2:-1].encode()]


def leaks(data: bytes, ring: KeyRing) -> list[str]:
    return [
        n for n, versions in ring.keys.items() for key in versions.values() if any(s in data for s in spellings(key))
    ]


def test_the_search_for_leaks_finds_a_key_that_is_in_a_plan(spark: SparkSession, ring: KeyRing) -> None:
    """The fault is planted."""
    frame = texts(spark).select(F.lit(ring.keys[SEAL][1].hex()))
    assert leaks(plan_of(frame), ring) == [SEAL]


def plan_of(frame: DataFrame) -> bytes:
    """Parsed, analysed, optimised and physical plan, as ``explain(extended=True)`` prints them."""
    return str(frame._jdf.queryExecution().toString()).encode()


def test_no_key_is_in_a_plan_or_in_what_workers_are_sent(spark: SparkSession, ring: KeyRing) -> None:
    frame = sealed_rows(spark, ring).crossJoin(
        texts(spark).select(pseudonymized(F.col("v"), declared=AIRCRAFT, ring=ring).alias("p"))
    )
    assert frame.count() == len(RECORDS) * len(VALUES)
    assert leaks(plan_of(frame), ring) == []
    pseudonymize = text_function(_preparer(ring.path, "pseudonym/aircraft", 1, AIRCRAFT), steps=())
    for udf in (_seal_udf(ring.path, 1), pseudonymize, _encrypt_udf(ring.path, "column/notes", 1, ("note",))):
        assert leaks(cloudpickle.dumps(udf.func), ring) == []
    assert leaks(str(sorted(spark.sparkContext.getConf().getAll())).encode(), ring) == []
