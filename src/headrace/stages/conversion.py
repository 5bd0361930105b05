"""What a decoded JSON value becomes in the schema's type, at any depth, and when it can't.

``from_json`` reads times and decimals leniently, gives an object as its text where a text belongs, and turns 1e999 into
infinity; a decimal comes through a double and loses digits. So times are read as texts and decimals as variants, which keep
38 digits, and are converted here, where their form is checked.
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    DataType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    StringType,
    StructField,
    StructType,
    TimestampType,
    VariantType,
)

from headrace.stages.fields import is_json

if TYPE_CHECKING:
    from pyspark.sql import Column

TIMESTAMP = r"^(?!0000)\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:?\d{2})\z"
DATE = r"^(?!0000)\d{4}-\d{2}-\d{2}\z"
_FIRST, _LAST = -62_135_596_800_000_000, 253_402_300_799_999_999
"""The years 1 to 9999 (UTC) in microseconds since 1970."""
_GREGORIAN = -11_676_096_000_000_000
"""The year 1600: Spark's Kafka source takes record times through Java's old calendar, which was days off before 1582."""
_EXPONENT = r"^-?\d(\.\d{1,9})?[eE](\+?\d{1,2}|-\d)\z"
_EXACT = DecimalType(38, 18)
"""Holds every number of the form ``_EXPONENT`` below 1e20 without rounding."""
_EXACT_DOUBLES = 1e15
"""Below it every whole double stands for itself."""


def with_leaves(kind: DataType, leaf: DataType, *, where: tuple[type[DataType], ...]) -> DataType:
    """The type with ``leaf`` in place of every ``where``, at any depth; all parts nullable."""
    if isinstance(kind, StructType):
        return StructType([StructField(f.name, with_leaves(f.dataType, leaf, where=where)) for f in kind])
    if isinstance(kind, ArrayType):
        return ArrayType(with_leaves(kind.elementType, leaf, where=where))
    return leaf if isinstance(kind, where) else kind


def as_parsed(kind: DataType) -> DataType:
    """What ``from_json`` reads for a type: times as their text, decimals as variants."""
    return with_leaves(
        with_leaves(kind, VariantType(), where=(DecimalType,)), StringType(), where=(TimestampType, DateType)
    )


def as_variants(kind: DataType) -> DataType:
    """The type as :func:`as_parsed`, with every text as a variant, which remembers whether it was a text."""
    return with_leaves(as_parsed(kind), VariantType(), where=(StringType,))


def typed(value: Column, kind: DataType) -> Column:
    """The value, read as :func:`as_parsed`, in its type; a part that doesn't fit is null."""
    if isinstance(kind, StructType):
        parts = (typed(value[field.name], field.dataType).alias(field.name) for field in kind)
        return F.when(value.isNotNull(), F.struct(*parts))
    if isinstance(kind, ArrayType):
        return F.transform(value, lambda item: typed(item, kind.elementType))
    if isinstance(kind, TimestampType):
        # a time of year 0 or 10000 in UTC is one that other readers of the table can't hold
        return _between(F.when(value.rlike(TIMESTAMP), value.try_cast("timestamp")), _FIRST, _LAST)
    if isinstance(kind, DateType):
        return F.when(value.rlike(DATE), value.try_cast("date"))
    if isinstance(kind, DecimalType):
        return _decimal(value, kind)
    return value


def record_time(instant: Column) -> Column:
    """A Kafka record's own time where it lies in the years 1600 to 9999 (UTC), else null."""
    return _between(instant, _GREGORIAN, _LAST)


def _between(instant: Column, first: int, last: int) -> Column:
    return F.when(instant.between(*(F.timestamp_micros(F.lit(bound)) for bound in (first, last))), instant)


def absent(value: Column, kind: DataType) -> Column:
    """Whether there is no value (never null); JSON's null is a variant of its own."""
    if isinstance(kind, DecimalType):
        return value.isNull() | (F.schema_of_variant(value) == "VOID")
    return value.isNull()


def unfit(value: Column, kind: DataType) -> Column:
    """Whether some part of a value, read as :func:`as_parsed`, does not fit its type (never null)."""
    if isinstance(kind, StructType):
        return _any(unfit(value[field.name], field.dataType) for field in kind)
    if isinstance(kind, ArrayType):
        return F.coalesce(F.exists(value, lambda item: unfit(item, kind.elementType)), F.lit(False))
    if isinstance(kind, (DoubleType, FloatType)):
        return F.coalesce(F.abs(value) == float("inf"), F.lit(False))  # such as 1e999
    if isinstance(kind, DecimalType):
        return ~absent(value, kind) & typed(value, kind).isNull()
    if isinstance(kind, (TimestampType, DateType)):
        return value.isNotNull() & typed(value, kind).isNull()
    return F.lit(False)


def incomplete(value: Column, kind: DataType) -> Column:
    """Whether a part that the type declares not nullable is absent below the value (never null)."""
    if isinstance(kind, StructType):
        return value.isNotNull() & _any(
            (F.lit(False) if field.nullable else absent(value[field.name], field.dataType))
            | incomplete(value[field.name], field.dataType)
            for field in kind
        )
    if isinstance(kind, ArrayType):
        nulls = F.lit(kind.containsNull)
        broken = F.exists(
            value, lambda item: (~nulls & absent(item, kind.elementType)) | incomplete(item, kind.elementType)
        )
        return F.coalesce(broken, F.lit(False))
    return F.lit(False)


def like_no_text(value: Column, kind: DataType) -> Column:
    """Whether a text somewhere in the value looks as an object, an array or an infinite number does (never null)."""
    return _any_text(value, kind, lambda text: text.rlike(r'^([\[{]|"?-?Infinity"?\z)'))


def holds_no_text(value: Column, kind: DataType) -> Column:
    """Whether an object, an array or an infinite number stands where a text belongs, in a value read as :func:`as_variants`
    (never null).
    """  # fmt: skip
    infinite = float("inf")

    def is_none(variant: Column) -> Column:
        form = F.schema_of_variant(variant)
        return form.rlike("^(OBJECT|ARRAY)") | (
            (form == "DOUBLE") & (F.abs(F.try_variant_get(variant, "$", "double")) == infinite)
        )

    return _any_text(value, kind, is_none)


def _any_text(value: Column, kind: DataType, condition: object) -> Column:
    if isinstance(kind, StructType):
        return _any(_any_text(value[field.name], field.dataType, condition) for field in kind if not is_json(field))
    if isinstance(kind, ArrayType):
        found = F.exists(value, lambda item: _any_text(item, kind.elementType, condition))
        return F.coalesce(found, F.lit(False))
    return F.coalesce(condition(value), F.lit(False)) if isinstance(kind, StringType) else F.lit(False)  # pyright: ignore


def _decimal(variant: Column, kind: DecimalType) -> Column:
    """The number, or the number in a text, if the type holds it without rounding; else null."""
    form, text = F.schema_of_variant(variant), F.try_variant_get(variant, "$", "string")
    fraction = rf"\.\d{{1,{kind.scale}}}0*" if kind.scale else r"\.0+"
    plain = form.rlike("^(STRING|BIGINT|DECIMAL)") & text.rlike(rf"^-?\d+({fraction})?\z")
    exact = text.try_cast(kind)
    exponent = (form == "STRING") & text.rlike(_EXPONENT) & (exact == text.try_cast(_EXACT))
    double = F.try_variant_get(variant, "$", "double")  # how a variant reads an exponent
    whole = (form == "DOUBLE") & (F.abs(double) < _EXACT_DOUBLES) & (F.rint(double) == double)
    return F.when(plain | exponent, exact).when(whole, double.try_cast(kind))


def _any(conditions: object) -> Column:
    return reduce(or_, conditions, F.lit(False))  # pyright: ignore[reportArgumentType, reportCallIssue]
