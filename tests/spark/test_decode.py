"""Poison records: what each becomes, reason by reason. All are decoded in one frame."""

# ruff: noqa: E501, RUF005

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from headrace.spec.stream import Stream
from headrace.stages.decode import REASONS, decode, decoder

NAMES = ("key", "value", "topic", "partition", "offset", "timestamp", "timestampType")


def field(name: str, kind: object, *, nullable: bool = True) -> dict[str, object]:
    return {"name": name, "type": kind, "nullable": nullable, "metadata": {}}


def struct(*fields: dict[str, object]) -> dict[str, object]:
    return {"type": "struct", "fields": list(fields)}


def array(element: object, *, nulls: bool = True) -> dict[str, object]:
    return {"type": "array", "elementType": element, "containsNull": nulls}


ID, AT = field("id", "string", nullable=False), field("at", "timestamp", nullable=False)
FLAT = StructType.fromJson(
    struct(
        ID, AT, field("n", "integer"), field("b", "long"), field("x", "double"), field("flag", "boolean"), field("day", "date"),
        field("money", "decimal(10,2)"), field("big", "decimal(38,0)"),
    )
)  # fmt: skip
ADDRESS = struct(
    field("city", "string"), field("zip", "integer", nullable=False), field("seen", "timestamp"), field("lat", "double")
)
ITEM = struct(field("sku", "string"), field("qty", "integer"))
NESTED = StructType.fromJson(
    struct(
        ID, AT, field("address", ADDRESS), field("tags", array("string")), field("codes", array("integer", nulls=False)),
        field("items", array(ITEM)), field("days", array("date")),
    )
)  # fmt: skip

GOOD = '"id":"a","at":"2013-01-01T00:00:00Z"'
OK: list[str] = []
AT_TYPE, MALFORMED, TRAILING = ["decode:type:at"], ["decode:malformed"], ["decode:trailing_data"]
NOT_OBJECT, ENCODING, MISSING = (
    ["decode:not_an_object"],
    ["decode:encoding"],
    ["decode:missing:id", "decode:missing:at"],
)

# A field beside the required ones, and the reasons.
FIELDS: dict[str, list[str]] = {
    **dict.fromkeys(
        ['"n":12', '"n":-0', '"n":null', '"b":9223372036854775807', '"x":12', '"x":1e-999', '"flag":false', '"day":"2012-02-29"']
        + ['"x":1.5e3', '"money":12.34', '"money":"12.34"', '"money":12.340', '"money":1e2', '"money":-0.01', '"money":99999999.99']
        + ['"big":12345678901234567890123456789012345678', '"big":5.000', '"x":' + "9" * 300],
        OK,
    ),
    **{key: ["decode:type:n"] for key in ['"n":"abc"', '"n":"12"', '"n":""', '"n":1.5', '"n":1.0', '"n":1e2', '"n":2147483648', '"n":true', '"n":{}', '"n":[1]']},
    **{key: ["decode:type:b"] for key in ['"b":9223372036854775808', '"b":1e3', '"b":"1"']},
    **{key: ["decode:type:x"] for key in ['"x":"NaN"', '"x":"Infinity"', '"x":"-INF"', '"x":1e999', '"x":-1e999', '"x":"1.5"', '"x":true', '"x":"}"']},
    **{key: ["decode:type:flag"] for key in ['"flag":"true"', '"flag":1', '"flag":"no"']},
    **{key: ["decode:type:day"] for key in ['"day":"2013-02-29"', '"day":"2013-1-1"', '"day":20130101', '"day":"2013-01-01T00:00:00Z"', '"day":{}', '"day":"today"'] + ['"day":"0000-01-01"', '"day":"2013-01-01\\n"', '"day":""']},
    **{key: ["decode:type:money"] for key in ['"money":12.345', '"money":123456789', '"money":"abc"', '"money":""', '"money":true', '"money":1e-30', '"money":" 1"'] + ['"money":1.0000000000000000000001', '"money":1e99', '"money":"1\\n"', '"money":[]']},
    **{key: ["decode:type:big"] for key in ['"big":0.1', '"big":123456789012345678901234567890123456789']},
    **dict.fromkeys(
        ['"x":NaN', '"x":Infinity', '"x":-Infinity', '"x":1.', '"x":.5', '"x":1_000', '"n":007', '"n":+1', '"n":0x10', '"n":-']
        + ['"flag":True', '"zz":NaN', '"zz":01', '"zz":1.', '"zz":tru', '"zz":undefined', '"zz":\'a\'', "'zz':1", "zz:1"]
        + ['"zz" 1', '"zz":1 "y":2', '"zz":1,,"y":2', "", '"zz":"\x01"', '"zz":"\\x"', '"zz":"\\u12"', '"zz":"a\nb"', '"zz":[1,]']
        + ['"zz":1 /* c */', '"n":"abc","zz":', '"zz":' + "[" * 1200 + "]" * 1200, '"zz":' + "9" * 1500],
        MALFORMED,
    ),
    **{key: ["decode:type"] for key in ['"n":"x","n":2', '"n":2,"n":"x"']},
}  # fmt: skip

# The value of "at", and the reasons.
TIMES: dict[str, list[str]] = {
    **dict.fromkeys(
        [
            '"2013-01-01T00:00:00Z"',
            '"2013-01-01 00:00:00.5+0530"',
            '"0001-01-01T00:00:00Z"',
            '"9999-12-31T23:59:59.999999999-01:00"',
        ],
        OK,
    ),
    **dict.fromkeys(
        [
            '"2013-13-01T00:00:00Z"',
            '"2013-02-29T00:00:00Z"',
            '"10000-01-01T00:00:00Z"',
            '"0000-01-01T00:00:00Z"',
            '""',
            '"now"',
        ]
        + [
            '"2013-01-01T24:00:00Z"',
            '"2013-01-01T00:00:60Z"',
            '"2013-01-01T00:00:00"',
            '"2013-01-01"',
            '"2013-01-01T00:00Z"',
        ]
        + [
            '" 2013-01-01T00:00:00Z"',
            '"2013-01-01T00:00:00Z\\n"',
            '"2013-01-01T00:00:00+19:00"',
            "1356998400",
            "true",
            "{}",
            "[]",
        ]
        + ['"٢٠١٣-01-01T00:00:00Z"', '"2013-01-01T00:00:00 UTC"', '"2013-01-01T00:00:00.Z"'],
        AT_TYPE,
    ),
    "null": ["decode:missing:at"],
}

# The value of "id", and the reasons.
IDS: dict[str, list[str]] = {
    **dict.fromkeys(
        ['"a"', "12", "true", "-1.50", '"[x]"', '"{\\"a\\":1}"', '"\\ud83d\\ude00"', '"\\u0000"', '"\\\\ud800"'], OK
    ),
    **{key: ["decode:type:id"] for key in ['{"a":1}', "[1]", "{}", "[]", ' {"a":1} ', '{"a":1,"a":2}', '[{"b":[2]}]']},
    **{key: ["decode:type:id"] for key in ['{"a":1},"id":{"b":2}', '{"a":1},"n":1,"n":1']},
    **dict.fromkeys(['"\\ud800"', '"\\uDC00x"', '"\\ud83d\\ud83d\\ude00"', '"\\\\\\ud800"'], ENCODING),
    **{key: ["decode:missing:id"] for key in ["null", '""', '"  "', '"\\t\\n\\u00a0"']},
    '"a\tb"': MALFORMED,
}

RECORDS: dict[bytes | None, list[str]] = {
    None: ["decode:tombstone"],
    **{key: ["decode:empty"] for key in [b"", b" ", b"\n", b" \t\r\n "]},
    **dict.fromkeys(
        [b'"abc"', b"[1]", b"[{%s}]" % GOOD.encode(), b"null", b"12", b"true", b"}", b"abc", b"\x00\x00\x00\x00\x01{}", b"\x00{}"]
        + [b"# c\n{}", b"\xef\xbb\xbf{%s}" % GOOD.encode(), b"\x0b{%s}" % GOOD.encode(), b"\xc2\xa0{}", GOOD.encode("utf-16-be")],
        NOT_OBJECT,
    ),
    **dict.fromkeys(
        [b'{"id":"\xff"}', b'{"id":"\xc0\x80"}', b'{"id":"\xed\xa0\x80"}', b'{"id":"\xf5\x80\x80\x80"}', b"\xff\xfe", b'{"id":"\xe2\x82']
        + [f"{{{GOOD}}}".encode("utf-16")],
        ENCODING,
    ),
    **dict.fromkeys(
        [b"{", b"{{", b'{"id"', b'{"id":', b'{"id":"a"', b"{" * 2000 + b"}" * 2000, b'{"id":"a",}', f"{{{GOOD};}}".encode()]
        + [f"{{{GOOD}}}".replace('"', "'").encode(), f"{{{GOOD}}}".encode("utf-16-le"), f"{{{GOOD}".encode()],
        MALFORMED,
    ),
    **dict.fromkeys(
        [s.replace("OK", f"{{{GOOD}}}").encode() for s in
         ("OKOK", "OK,OK", "OK],[OK", "OK]", "OK,", 'OK,"v":OK', "OK xx", "OK}", "OK\x00", "OK//c", "OK\u00a0", "OK\x0c", 'OK"', "OK 1")],
        TRAILING,
    ),
    **dict.fromkeys([s.replace("OK", f"{{{GOOD}}}").encode() for s in ("OK", "OK \r\n\t", " \n OK")], OK),
    **dict.fromkeys([b"{}", b'{"a":{"b":1}}', b'{"ID":"a","At":"x"}', b'{"a":' * 400 + b"1" + b"}" * 400], MISSING),
    b'{"id":"a"}': ["decode:missing:at"],
    b'{"at":"x"}': ["decode:type:at", "decode:missing:id"],
    b'{"\\u0069d":"a","at":"2013-01-01T00:00:00Z"}': OK,
    f'{{"__corrupt":"x","__parsed":1,{GOOD}}}'.encode(): OK,
    f'{{{GOOD},"zz":"{"y" * 5_000_000}"}}'.encode(): ["decode:too_large"],
    f'{{{GOOD},"zz":"{"y" * 1_000_000}"}}'.encode(): OK,
}  # fmt: skip

PARTS: dict[str, list[str]] = {
    **dict.fromkeys(
        [
            '"address":null',
            '"address":{"zip":1}',
            '"address":{"zip":1,"city":"[x]","seen":"2013-01-01T00:00:00Z","lat":1}',
        ]
        + ['"address":{"zip":1,"other":{}}', '"tags":[]', '"tags":["a",null,"[b]",1,true]', '"codes":[]', '"codes":[1]']
        + ['"items":[{"sku":"a","qty":1},null,{}]', '"days":["2013-01-01",null]'],
        OK,
    ),
    **{key: ["decode:missing:address"] for key in ['"address":{}', '"address":{"city":"x"}', '"address":{"zip":null}']},
    **{
        key: ["decode:type:address"]
        for key in [
            '"address":[]',
            '"address":[{"zip":1}]',
            '"address":"x"',
            '"address":1',
            '"address":{"zip":"1"}',
            '"address":{"zip":1.5}',
        ]
        + [f'"address":{{"zip":1,"seen":{s}}}' for s in ('"2013"', '"2013-01-01T00:00:00"', '"x"', "12", "{}")]
        + ['"address":{"zip":1,"lat":1e999}', '"address":{"zip":1,"lat":"NaN"}', '"address":{"zip":1,"city":{"a":1}}']
        + ['"address":{"zip":1,"city":[1]}', '"address":{"zip":1,"city":{"a":1,"a":2}}']
    },
    **{key: ["decode:type:tags"] for key in ['"tags":"a"', '"tags":{}', '"tags":[{"a":1}]', '"tags":["x",["a"]]']},
    **{key: ["decode:type:codes"] for key in ['"codes":[1,"x"]', '"codes":["1"]', '"codes":[1.5]', '"codes":1']},
    '"codes":[1,null]': ["decode:missing:codes"],
    **{
        key: ["decode:type:items"]
        for key in [
            '"items":[{"sku":"a","qty":"x"}]',
            '"items":[1]',
            '"items":{"sku":"a"}',
            '"items":[{"sku":{"a":1}}]',
        ]
    },
    **{key: ["decode:type:days"] for key in ['"days":["2013-01-01","2013-1-1"]', '"days":[20130101]']},
    '"address":{"zip":1}}{"x":{"y":1}': TRAILING,
    '"address":{"zip":1': MALFORMED,
    '"tags":"a","codes":["x"]': ["decode:type:tags", "decode:type:codes"],
}

FLAT_CASES: dict[bytes | None, list[str]] = {
    **{f"{{{GOOD},{text}}}".encode(): reasons for text, reasons in FIELDS.items()},
    **{f'{{"id":"a","at":{text}}}'.encode(): reasons for text, reasons in TIMES.items()},
    **{f'{{"id":{text},"at":"2013-01-01T00:00:00Z"}}'.encode(): reasons for text, reasons in IDS.items()},
    **RECORDS,
}
NESTED_CASES: dict[bytes | None, list[str]] = {
    f"{{{GOOD},{text}}}".encode(): reasons for text, reasons in PARTS.items()
}

# What the policy "quarantine" adds.
UNKNOWN: dict[bytes, list[str]] = {
    f"{{{GOOD}}}".encode(): OK,
    f'{{{GOOD},"zz":1}}'.encode(): ["decode:unknown:zz"],
    f'{{{GOOD},"zz":1,"":{{"id":2}},"ID":3}}'.encode(): [
        "decode:unknown:zz",
        "decode:unknown:#e3b0c442",
        "decode:unknown:ID",
    ],
    f'{{{GOOD},"id":"b"}}'.encode(): ["decode:repeated_field"],
    f'{{{GOOD},"zz":1,"zz":2}}'.encode(): ["decode:unknown:zz", "decode:repeated_field"],
    f'{{{GOOD},"n":"x","zz":1}}'.encode(): ["decode:type:n"],
    f'{{{GOOD},"x":1e999,"zz":1}}'.encode(): ["decode:type:x", "decode:unknown:zz"],
    b'{"zz":1}': [*MISSING, "decode:unknown:zz"],
    f'{{{GOOD},"zz":null}}'.encode(): ["decode:unknown:zz"],
    f'{{{GOOD},"{"k" * 64}":1}}'.encode(): ["decode:unknown:" + "k" * 64],
    f'{{{GOOD},"{"k" * 65}":1}}'.encode(): ["decode:unknown:#f39cdc25"],
    f'{{{GOOD},"a.b":1,"a\\u0062":2}}'.encode(): ["decode:unknown:#2e7336dc", "decode:unknown:ab"],
}
# The same, of a nested record.
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


@pytest.fixture(scope="module")
def flat(spark: SparkSession) -> dict[bytes | None, list[str]]:
    return dict(zip(FLAT_CASES, reasons(spark, list(FLAT_CASES), FLAT), strict=True))


@pytest.fixture(scope="module")
def nested(spark: SparkSession) -> dict[bytes | None, list[str]]:
    return dict(zip(NESTED_CASES, reasons(spark, list(NESTED_CASES), NESTED), strict=True))


@pytest.fixture(scope="module")
def strict(spark: SparkSession) -> dict[bytes, list[str]]:
    return dict(zip(UNKNOWN, reasons(spark, list(UNKNOWN), FLAT, unknown_fields="quarantine"), strict=True))


def shown(value: object) -> str:
    return repr(value)[:70]


def test_the_catalogue_is_large() -> None:
    assert len(FLAT_CASES) + len(NESTED_CASES) + len(UNKNOWN) > 200


@pytest.mark.parametrize("value", FLAT_CASES, ids=shown)
def test_a_flat_record(flat: dict[bytes | None, list[str]], value: bytes | None) -> None:
    assert flat[value] == FLAT_CASES[value]


@pytest.mark.parametrize("value", NESTED_CASES, ids=shown)
def test_a_nested_record(nested: dict[bytes | None, list[str]], value: bytes | None) -> None:
    assert nested[value] == NESTED_CASES[value]


@pytest.mark.parametrize("value", UNKNOWN, ids=shown)
def test_a_record_where_unknown_fields_are_quarantined(strict: dict[bytes, list[str]], value: bytes) -> None:
    assert strict[value] == UNKNOWN[value]


@pytest.mark.parametrize(
    ("policy", "expected"), [("quarantine", UNKNOWN_NESTED), ("evolve", EVOLVE_NESTED), ("ignore", {})]
)
def test_a_nested_record_with_unknown_fields(
    spark: SparkSession, policy: str, expected: dict[bytes, list[str]]
) -> None:
    expected = expected or dict.fromkeys([value for value in UNKNOWN_NESTED if b'"address":[' not in value], OK)
    assert reasons(spark, list(expected), NESTED, unknown_fields=policy) == list(expected.values())


def test_what_json_refuses_is_never_accepted(
    flat: dict[bytes | None, list[str]], nested: dict[bytes | None, list[str]]
) -> None:
    """Python's own reader is the judge."""
    for value, found in (flat | nested).items():
        if not is_json_object(value):
            assert found, value
        elif found == MALFORMED:
            assert b"9" * 1001 in value, "well-formed, but beyond the limit of digits"


def is_json_object(value: bytes | None) -> bool:
    try:
        return isinstance(json.loads((value or b"").decode("utf-8"), parse_constant=lambda _: 1 / 0), dict)
    except (ValueError, ZeroDivisionError, RecursionError):
        return False


def test_good_records_have_the_values_that_were_sent(spark: SparkSession) -> None:
    value = (
        '{"id":"é\\u00e9\\n","at":"2013-01-01T05:30:00.1234567+05:30","n":-7,"b":9007199254740993,"x":0.1,"flag":true,'
        '"day":"2013-12-31","money":"1234.50","big":12345678901234567890123456789012345678}'
    )
    frame = decoded(spark, [value.encode()], FLAT).withColumn("at", F.col("at").cast("string"))
    (row,) = frame.select(*FLAT.names, REASONS).collect()
    expected = ["éé\n", "2013-01-01 00:00:00.123456", -7, 9007199254740993, 0.1, True, "2013-12-31", "1234.50"]
    assert [str(v) if n in ("day", "money") else v for n, v in row.asDict().items()][:8] == expected
    assert str(row["big"]) == "12345678901234567890123456789012345678"
    assert row[REASONS] == []


def test_nested_values_are_those_that_were_sent(spark: SparkSession) -> None:
    value = (
        '{"id":"a","at":"2013-01-01T00:00:00Z","address":{"city":"x","zip":7,"seen":"2013-01-01T02:00:00+02:00","lat":1.5},'
        '"tags":["a",null],"codes":[1,2],"items":[{"sku":"s"},null],"days":["2013-01-02"]}'
    )
    (row,) = (
        decoded(spark, [value.encode()], NESTED).select(F.to_json(F.struct(*NESTED.names[2:])).alias("json")).collect()
    )
    assert json.loads(row["json"]) == {
        "address": {"city": "x", "zip": 7, "seen": "2013-01-01T00:00:00.000Z", "lat": 1.5},
        "tags": ["a", None], "codes": [1, 2], "items": [{"sku": "s"}, None], "days": ["2013-01-02"],
    }  # fmt: skip


def test_a_decimal_keeps_every_digit_and_its_null_is_null(spark: SparkSession) -> None:
    schema = StructType.fromJson(
        struct(
            field("d", "decimal(38,18)"),
            field("ds", array("decimal(38,18)")),
            field("r", "decimal(4,1)", nullable=False),
        )
    )
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


def test_of_a_repeated_field_the_last_counts(spark: SparkSession) -> None:
    (row,) = decoded(spark, [f'{{{GOOD},"n":1,"n":2,"id":"b"}}'.encode()], FLAT).collect()
    assert (row["id"], row["n"], row[REASONS]) == ("b", 2, [])


def test_the_limit_of_bytes_is_exact(spark: SparkSession) -> None:
    value = f"{{{GOOD}}}".encode()
    assert reasons(spark, [value], FLAT, max_record_bytes=len(value)) == [OK]
    assert reasons(spark, [value], FLAT, max_record_bytes=len(value) - 1) == [["decode:too_large"]]


def test_an_empty_text_is_a_value_where_the_stream_says_so(spark: SparkSession) -> None:
    value: list[bytes | None] = [b'{"id":"","at":"2013-01-01T00:00:00Z"}', b'{"id":" ","at":"2013-01-01T00:00:00Z"}']
    assert reasons(spark, value, FLAT, normalize={"empty_as_null": False}) == [OK, OK]
    assert reasons(spark, value, FLAT, normalize={"trim": False}) == [["decode:missing:id"], OK]


def test_a_field_may_be_called_as_a_kafka_column_is(spark: SparkSession) -> None:
    schema = StructType.fromJson(struct(field("value", "double"), field("offset", "string"), field("key", "integer")))
    (row,) = decoded(spark, [b'{"value":1.5,"offset":"x","key":7}'], schema).collect()
    assert (row["value"], row["offset"], row["key"], row["__offset"], row[REASONS]) == (1.5, "x", 7, 0, [])


def test_the_kafka_columns_pass_untouched(spark: SparkSession) -> None:
    (row,) = decoded(spark, [b"\xff\x00"], FLAT).collect()
    assert isinstance(row, Row)
    assert bytes(row["__value"]) == b"\xff\x00"
    assert (row["__topic"], row["__partition"], row["__offset"]) == ("t", 0, 0)
    assert [name for name in row.asDict() if name.startswith("__")] == [*(f"__{name}" for name in NAMES), REASONS]
