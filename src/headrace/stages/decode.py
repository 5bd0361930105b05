"""decode: raw bytes to typed columns. Never throws on data: what can't be decoded becomes a row with reasons.

Spark's ``from_json`` alone is not enough: it accepts NaN, repairs bad UTF-8, stops after the first of two documents and
says only that *something* in a record was wrong. So each record is guarded before it is parsed, and a record that
``from_json`` found bad (or that may hold two documents) is parsed a second time, as texts, to name the reason; good records
pay for one parse only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, cast

from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    BooleanType,
    DataType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from headrace.spec.stream import Stream
from headrace.stages.conversion import (
    absent,
    as_parsed,
    as_variants,
    holds_no_text,
    incomplete,
    like_no_text,
    typed,
    unfit,
)
from headrace.stages.fields import is_json
from headrace.stages.normalize import trimmed
from headrace.stages.unknown import repeated_field, unknown_reasons

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

REASONS = "__reasons"
KAFKA_COLUMNS = ("key", "value", "topic", "partition", "offset", "timestamp", "timestampType", "headers")
PARSED, RAW, GUARD, CORRUPT = "__parsed", "__raw", "__guard", "__corrupt"
OPTIONS = {
    "mode": "PERMISSIVE",
    "columnNameOfCorruptRecord": CORRUPT,
    "allowNonNumericNumbers": "false",
    "allowSingleQuotes": "false",
}
_NESTED = (StructType, ArrayType)
_STRICT = (BooleanType, IntegerType, LongType, StringType)
"""Types that need no check after ``from_json``."""
_NUMBERS = (BooleanType, IntegerType, LongType, DoubleType, FloatType, DecimalType, TimestampType, DateType)
"""Types that hold no text."""


@dataclass(frozen=True)
class Decoder:
    """The columns of the decode stage, built once per stream: building some hundred of them takes longer than a small batch."""

    guard: Column
    raw: Column
    parsed: Column
    typed: Mapping[str, Column]
    reasons: Column


def decoder(*, stream: Stream, schema: StructType) -> Decoder:
    """Compile the decode stage of a stream."""
    raw = F.col("__value").cast("string")
    return Decoder(
        guard=guard(F.col("__value"), max_bytes=stream.max_record_bytes),
        raw=F.when(F.col(GUARD).isNull(), raw),
        parsed=F.from_json(F.col(RAW), _with_corrupt(as_parsed(schema)), OPTIONS),
        typed={field.name: typed(_parsed(field), field.dataType) for field in schema},
        reasons=_reasons(schema, stream),
    )


def decode(records: DataFrame, *, by: Decoder) -> DataFrame:
    """Kafka records (``key``, ``value``, ``topic``, ``partition``, ``offset``, ``timestamp``, ``headers``) to the schema's columns.

    Keeps the record's columns, as ``__key``, ``__value``, ... (a user's own may be called ``value``), and adds
    ``__reasons array<string>``, empty where the record decoded:

    - ``decode:tombstone`` (null value), ``decode:empty``, ``decode:too_large``, ``decode:encoding`` (not UTF-8, or half of a
      surrogate pair), ``decode:not_an_object``, ``decode:malformed``, ``decode:trailing_data``
    - ``decode:type:FIELD`` (the field, or a part of it), ``decode:type`` (of a repeated field, a value that does not count),
      ``decode:missing:FIELD`` (declared not nullable, or a part of it is), and, unless the stream says
      ``unknown_fields: ignore``, ``decode:unknown:PATH`` (``decode:unknown`` for those beyond 20) and ``decode:repeated_field``

    Timestamps are ISO-8601 with an offset and become UTC instants, cut to microseconds; a number in quotes is no number
    (for a decimal it is); a decimal is never rounded; a number or a boolean where a text belongs becomes a text; of a
    repeated field the last counts. Numbers of more than 1,000 digits and 1,000 levels of nesting are malformed.
    """
    parsed = (
        records.withColumnsRenamed({name: f"__{name}" for name in KAFKA_COLUMNS})
        .withColumn(GUARD, by.guard)
        .withColumn(RAW, by.raw)
        .withColumn(PARSED, by.parsed)
    )
    return parsed.withColumns({**by.typed, REASONS: by.reasons}).drop(GUARD, RAW, PARSED)


def guard(value: Column, *, max_bytes: int) -> Column:
    """The reason why a record with this value should not be parsed at all, or null."""
    raw = value.cast("string")
    return (
        F.when(value.isNull(), F.lit("decode:tombstone"))
        .when(F.octet_length(value) > max_bytes, F.lit("decode:too_large"))
        .when(~F.is_valid_utf8(raw) | _has_half_a_pair(raw), F.lit("decode:encoding"))
        .when(raw.rlike(r"^[ \t\r\n]*$"), F.lit("decode:empty"))
        .when(~raw.rlike(r"^[ \t\r\n]*\{"), F.lit("decode:not_an_object"))
    )


def _has_half_a_pair(raw: Column) -> Column:
    """Whether half a surrogate pair is escaped alone: no text holds it, and Spark would write ``?`` in its place."""
    escaped = r"(?i)\\ud[89a-f]"
    rest = F.regexp_replace(raw, r"\\\\", "")
    rest = F.regexp_replace(rest, r"(?i)\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2}", "")
    return F.when(raw.rlike(escaped), rest.rlike(escaped)).otherwise(False)


def _with_corrupt(fields: DataType) -> StructType:
    return StructType([*cast(StructType, fields), StructField(CORRUPT, StringType())])


def _parsed(field: StructField) -> Column:
    return F.col(f"{PARSED}.`{field.name}`")


def _reasons(schema: StructType, stream: Stream) -> Column:
    unread = [
        F.when(unfit(_parsed(f), f.dataType), _type_reason(f)) for f in schema if not isinstance(f.dataType, _STRICT)
    ]
    missing = [
        F.when(
            (F.lit(False) if f.nullable else _absent(f, stream)) | incomplete(_parsed(f), f.dataType),
            F.lit(f"decode:missing:{f.name}"),
        )
        for f in schema
        if not f.nullable or isinstance(f.dataType, _NESTED)
    ]
    parts = [_present([*unread, *missing]), _documents_for_texts(schema)]
    if stream.unknown_fields != "ignore":
        parts.append(unknown_reasons(F.col(RAW), schema, nulls=stream.unknown_fields == "quarantine"))
        parts.append(_present([F.when(repeated_field(F.col(RAW)), F.lit("decode:repeated_field"))]))
    return (
        F.when(F.col(GUARD).isNotNull(), F.array(GUARD))
        .when(F.col(f"{PARSED}.{CORRUPT}").isNotNull(), _why_corrupt(schema))
        .when(_has_trailing_data(schema), F.array(F.lit("decode:trailing_data")))
        .otherwise(F.concat(*parts))
    )


def _absent(field: StructField, stream: Stream) -> Column:
    """Whether a field has no value, or a text that normalize will turn into none."""
    value, rules = _parsed(field), stream.normalize
    if not isinstance(field.dataType, StringType) or not rules.empty_as_null:
        return absent(value, field.dataType)
    return value.isNull() | ((trimmed(value) if rules.trim else value) == "")


def _type_reason(field: StructField) -> Column:
    return F.lit(f"decode:type:{field.name}")


def _present(reasons: list[Column]) -> Column:
    return F.array_compact(F.array(*reasons)) if reasons else F.array().cast("array<string>")


def _with(value: Column, reasons: Callable[[Column], Column]) -> Column:
    """``reasons`` of a value that stands in the plan once, however often they use it."""
    return F.get(F.transform(F.array(value), reasons), F.lit(0))


def _documents_for_texts(schema: StructType) -> Column:
    """Reasons for what is no text where a text belongs. ``from_json`` gives its text, so a text that looks so is read anew.

    A record that can't be read with variants (an object in it repeats a key) is held to be wrong.
    """
    texts = {
        f.name: (f, like_no_text(_parsed(f), f.dataType))
        for f in schema
        if not isinstance(f.dataType, _NUMBERS) and not is_json(f)
    }
    if not texts:
        return _present([])

    def reasons(again: Column) -> Column:
        wrong = {
            name: again[CORRUPT].isNotNull() | holds_no_text(again[name], f.dataType) for name, (f, _) in texts.items()
        }
        return _present([F.when(like & wrong[name], _type_reason(f)) for name, (f, like) in texts.items()])

    suspicious = reduce(or_, (like for _, like in texts.values()))
    again = F.from_json(F.col(RAW), _with_corrupt(as_variants(schema)), OPTIONS)
    return F.when(suspicious, _with(again, reasons)).otherwise(_present([]))


def _why_corrupt(schema: StructType) -> Column:
    """Reasons for a record that ``from_json`` found bad: read again with all fields as texts, its grammar shows, or its types."""

    def reasons(again: Column) -> Column:
        types = _present([F.when(_is_unreadable(f, again[f.name]), _type_reason(f)) for f in schema])
        unnamed = F.when(F.size(types) > 0, types).otherwise(F.array(F.lit("decode:type")))
        return F.when(again[CORRUPT].isNotNull(), F.array(F.lit("decode:malformed"))).otherwise(unnamed)

    texts = StructType([StructField(f.name, StringType()) for f in schema])
    return _with(F.from_json(F.col(RAW), _with_corrupt(texts), OPTIONS), reasons)


def _is_unreadable(field: StructField, text: Column) -> Column:
    """Whether a field that is there could not be read; of a struct or array, whether a part of it could not."""
    unread = text.isNotNull() & _parsed(field).isNull()
    if not isinstance(field.dataType, _NESTED):
        return unread
    alone = StructType([StructField("v", as_parsed(field.dataType))])
    read = F.from_json(F.concat(F.lit('{"v":'), text, F.lit("}")), _with_corrupt(alone), OPTIONS)
    return unread | F.coalesce(read[CORRUPT].isNotNull(), F.lit(False))


def _has_trailing_data(schema: StructType) -> Column:
    """Whether something other than white space follows the document.

    A text V T, with V the first complete value, is valid both inside ``[`` ``]`` (as one element) and inside ``{"v":`` ``}``
    only if T is white space: T would have to start with ``,`` or ``]`` for the one and with ``,`` or ``}`` for the other, and
    with ``,`` the array has two elements. Only records in which a ``}`` stands before the end are looked at.
    """
    raw = F.col(RAW)
    nested = any(isinstance(f.dataType, (StructType, ArrayType)) for f in schema)
    suspicious = F.lit(True) if nested else F.locate("}", raw) != F.length(raw)
    as_array = F.from_json(F.concat(F.lit("["), raw, F.lit("]")), "array<string>", {"mode": "PERMISSIVE"})
    as_field = F.from_json(F.concat(F.lit('{"v":'), raw, F.lit("}")), "v string", {"mode": "PERMISSIVE"})
    single = (F.size(as_array) == 1) & as_field["v"].isNotNull()
    return F.when(suspicious, ~F.coalesce(single, F.lit(False))).otherwise(False)
