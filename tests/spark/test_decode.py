"""Decoding as a stream's options have it. What becomes of each kind of bad record is in tests/stream/poison."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from ingested import array, struct
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql.types import StructType

from headrace.spec.stream import Stream
from headrace.stages.decode import REASONS, decode, decoder

NAMES = ("key", "value", "topic", "partition", "offset", "timestamp", "timestampType")
FLAT = StructType.fromJson(struct([("id", "string", False), ("at", "timestamp", False), ("n", "integer", True)]))
ADDRESS = struct(
    [("city", "string", True), ("zip", "integer", False), ("seen", "timestamp", True), ("lat", "double", True)]
)
ITEM = struct([("sku", "string", True), ("qty", "integer", True)])
NESTED = StructType.fromJson(
    struct(
        [("id", "string", False), ("at", "timestamp", False), ("address", ADDRESS, True), ("items", array(ITEM), True)]
    )
)
GOOD = '"id":"a","at":"2013-01-01T00:00:00Z"'
OK: list[str] = []

# What the policy "quarantine" says of unknown fields in structs and arrays.
UNKNOWN_NESTED: dict[bytes, list[str]] = {
    f"{{{GOOD}}}".encode(): OK,
    f'{{{GOOD},"address":{{"zip":1,"floor":2,"a.b":null}}}}'.encode(): [
        "decode:unknown:address.floor", "decode:unknown:address.#2e7336dc",
    ],
    f'{{{GOOD},"items":[{{"qty":1}},null,{{"hue":1}},{{"hue":2,"of":{{}}}}]}}'.encode(): [
        "decode:unknown:items[].hue", "decode:unknown:items[].of",
    ],
    f'{{{GOOD},"address":null,"items":[],"zz":{{"zip":1}}}}'.encode(): ["decode:unknown:zz"],
    f'{{{GOOD},"address":[1],"zz":1}}'.encode(): ["decode:type:address"],
}  # fmt: skip
# What the policy "evolve" says of them: a field without a value does no harm.
EVOLVE_NESTED: dict[bytes, list[str]] = {
    **UNKNOWN_NESTED,
    f'{{{GOOD},"address":{{"zip":1,"floor":2,"a.b":null}}}}'.encode(): ["decode:unknown:address.floor"],
    f'{{{GOOD},"zz":null,"items":[{{"hue":null}}]}}'.encode(): OK,
    f'{{{GOOD},"zz":null,"yy":false}}'.encode(): ["decode:unknown:yy"],
    f'{{{GOOD},"zz":1,"zz":null}}'.encode(): ["decode:unknown:zz", "decode:repeated_field"],
}


def stream(**options: Any) -> Stream:
    return Stream.model_validate({"topic": "t", "schema": "x", "event_time": "at", "known_at": "at", **options})


def decoded(spark: SparkSession, values: list[bytes | None], schema: StructType, **options: Any) -> DataFrame:
    none, zero = [None] * len(values), [0] * len(values)
    columns = (none, values, ["t"] * len(values), zero, range(len(values)), none, zero)
    kinds = (pa.binary(), pa.binary(), pa.string(), pa.int32(), pa.int64(), pa.timestamp("us", "UTC"), pa.int32())
    records = pa.table([pa.array(c, k) for c, k in zip(columns, kinds, strict=True)], names=list(NAMES))
    return decode(spark.createDataFrame(records), by=decoder(stream=stream(**options), schema=schema))


def reasons(spark: SparkSession, values: list[bytes | None], schema: StructType, **options: Any) -> list[list[str]]:
    found = decoded(spark, values, schema, **options).select("__offset", REASONS).collect()
    assert sorted(row["__offset"] for row in found) == list(range(len(values))), "every record comes out exactly once"
    return [row[REASONS] for row in sorted(found)]


@pytest.mark.parametrize(
    ("policy", "expected"), [("quarantine", UNKNOWN_NESTED), ("evolve", EVOLVE_NESTED), ("ignore", {})]
)
def test_a_nested_record_with_unknown_fields(
    spark: SparkSession, policy: str, expected: dict[bytes, list[str]]
) -> None:
    expected = expected or dict.fromkeys([value for value in UNKNOWN_NESTED if b'"address":[' not in value], OK)
    assert reasons(spark, list(expected), NESTED, unknown_fields=policy) == list(expected.values())


def test_a_decimal_keeps_every_digit_and_its_null_is_null(spark: SparkSession) -> None:
    fields = [("d", "decimal(38,18)", True), ("ds", array("decimal(38,18)"), True), ("r", "decimal(4,1)", False)]
    schema = StructType.fromJson(struct(fields))
    values: list[bytes | None] = [
        b'{"r":1,"d":12345678901234567890.123456789012345678,"ds":[0.123456789012345678,null,"-0.1",7,1e3]}',
        b'{"r":1,"d":null,"ds":null}',
        b'{"r":null,"d":{}}',
        b'{"r":1,"d":0.1234567890123456789,"ds":[true]}',
        b'{"r":1,"d":[1],"ds":[{"a":1,"a":2}]}',
    ]
    rows = sorted(decoded(spark, values, schema).select("__offset", "d", "ds", REASONS).collect())
    assert str(rows[0]["d"]) == "12345678901234567890.123456789012345678"
    assert [None if d is None else str(d.normalize()) for d in rows[0]["ds"]] == [
        "0.123456789012345678",
        None,
        "-0.1",
        "7",
        "1E+3",
    ]
    assert (rows[1]["d"], rows[1]["ds"]) == (None, None)
    assert [row[REASONS] for row in rows] == [
        [], [], ["decode:type:d", "decode:missing:r"], ["decode:type:d", "decode:type:ds"], ["decode:type:ds"],
    ]  # fmt: skip


def test_the_limit_of_bytes_is_exact(spark: SparkSession) -> None:
    value = f"{{{GOOD}}}".encode()
    assert reasons(spark, [value], FLAT, max_record_bytes=len(value)) == [OK]
    assert reasons(spark, [value], FLAT, max_record_bytes=len(value) - 1) == [["decode:too_large"]]


def test_an_empty_text_is_a_value_where_the_stream_says_so(spark: SparkSession) -> None:
    value: list[bytes | None] = [b'{"id":"","at":"2013-01-01T00:00:00Z"}', b'{"id":" ","at":"2013-01-01T00:00:00Z"}']
    assert reasons(spark, value, FLAT, normalize={"empty_as_null": False}) == [OK, OK]
    assert reasons(spark, value, FLAT, normalize={"trim": False}) == [["decode:missing:id"], OK]


def test_the_kafka_columns_pass_untouched(spark: SparkSession) -> None:
    (row,) = decoded(spark, [b"\xff\x00"], FLAT).collect()
    assert isinstance(row, Row)
    assert bytes(row["__value"]) == b"\xff\x00"
    assert (row["__topic"], row["__partition"], row["__offset"]) == ("t", 0, 0)
    assert [name for name in row.asDict() if name.startswith("__")] == [*(f"__{name}" for name in NAMES), REASONS]
