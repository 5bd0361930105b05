"""normalize: declared and deterministic tidying of decoded columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructType

from headrace.spec.sql import checked
from headrace.spec.stream import Stream

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

UNITS = {
    "fahrenheit_to_celsius": lambda c: (c - 32) * 5 / 9,
    "mph_to_ms": lambda c: c * 0.44704,
    "miles_to_km": lambda c: c * 1.609344,
    "feet_to_m": lambda c: c * 0.3048,
    "inches_to_mm": lambda c: c * 25.4,
}
"""Conversions by name; factors are exact by the international yard and inch (1959)."""


_WHITE_SPACE = "".join(filter(str.isspace, map(chr, range(0x3001))))


def trimmed(text: Column) -> Column:
    """The text without white space (as Unicode has it) at both ends; Spark's own ``trim`` knows the space only."""
    return F.trim(text, F.lit(_WHITE_SPACE))


def normalize(events: DataFrame, *, stream: Stream, schema: StructType) -> DataFrame:
    """The same rows with their columns trimmed, cased, converted and renamed, and with the derived columns added."""
    rules = stream.normalize
    events = events.withColumns(
        {field.name: _tidied(F.col(field.name), stream, field.name, field.dataType) for field in schema}
    )
    if rules.rename:
        events = events.select(*(F.col(name).alias(rules.rename.get(name, name)) for name in events.columns))
    if rules.derive:
        events = events.withColumns({name: F.expr(checked(sql)) for name, sql in rules.derive.items()})
    return events


def _tidied(column: Column, stream: Stream, name: str, kind: object) -> Column:
    rules = stream.normalize
    if isinstance(kind, StringType):
        if rules.trim:
            column = trimmed(column)
        if rules.empty_as_null:
            column = F.nullif(column, F.lit(""))
        if name in rules.case:
            column = F.upper(column) if rules.case[name] == "upper" else F.lower(column)
    if name in rules.units:
        column = UNITS[rules.units[name]](column)
    return column
