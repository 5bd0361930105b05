"""Fields that a schema lacks, at any depth, as reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, StringType, StructField, StructType

from headrace.stages.fields import shown_name

if TYPE_CHECKING:
    from pyspark.sql import Column

MOST_NAMED = 20
"""So many unknown fields of a record are named."""
_NAMES = "array<string>"
_PERMISSIVE = {"mode": "PERMISSIVE"}


def unknown_paths(raw: Column, schema: StructType, *, nulls: bool) -> Column:
    """``array<string>``: paths (as they may be shown) of what a JSON text holds and the schema lacks; null for no object.

    ``nulls``: whether a field without a value counts.
    """
    return F.array_distinct(_below(raw, schema, "", nulls=nulls))


def unknown_reasons(raw: Column, schema: StructType, *, nulls: bool) -> Column:
    """``array<string>``, never null: ``decode:unknown:FIELD`` for each, ``decode:unknown`` in place of those beyond 20."""
    paths = F.coalesce(unknown_paths(raw, schema, nulls=nulls), F.array().cast(_NAMES))

    def reasons(found: Column) -> Column:
        named = F.transform(F.slice(found, 1, MOST_NAMED), lambda path: F.concat(F.lit("decode:unknown:"), path))
        more = F.when(F.size(found) > MOST_NAMED, F.array(F.lit("decode:unknown"))).otherwise(F.array().cast(_NAMES))
        return F.concat(named, more)

    return F.get(F.transform(F.array(paths), reasons), F.lit(0))


def repeated_field(raw: Column) -> Column:
    """Whether a field stands twice at the top of a JSON text (null for no object)."""
    keys = F.json_object_keys(raw)
    return F.size(keys) != F.size(F.array_distinct(keys))


def _below(text: Column, schema: StructType, prefix: str, *, nulls: bool) -> Column:
    names = _names(text, schema, nulls=nulls)
    found = F.transform(names, lambda name: F.concat(F.lit(prefix), shown_name(name)))
    nested = [field for field in schema if _as_text(field.dataType) is not None]
    if not nested:
        return found
    texts = StructType([StructField(field.name, _as_text(field.dataType) or StringType()) for field in nested])
    read = F.from_json(text, texts, _PERMISSIVE)
    inner = [_within(read[f.name], f.dataType, f"{prefix}{f.name}", nulls=nulls) for f in nested]
    return F.concat(*(F.coalesce(part, F.array().cast(_NAMES)) for part in (found, *inner)))


def _within(texts: Column, kind: DataType, path: str, *, nulls: bool) -> Column:
    if isinstance(kind, StructType):
        return _below(texts, kind, f"{path}.", nulls=nulls)
    assert isinstance(kind, ArrayType)
    element = kind.elementType
    parts = F.transform(texts, lambda item: _within(item, element, f"{path}[]", nulls=nulls))
    return F.flatten(F.array_compact(parts))


def _names(text: Column, schema: StructType, *, nulls: bool) -> Column:
    known = F.array(*(F.lit(field.name) for field in schema))
    strange = F.array_except(F.json_object_keys(text), known)
    if nulls:
        return strange
    entries = F.from_json(text, "map<string,string>", _PERMISSIVE)
    valued = F.map_keys(F.map_filter(entries, lambda _, value: value.isNotNull()))
    return F.when(F.size(strange) > 0, F.array_except(valued, known)).otherwise(strange)


def _as_text(kind: DataType) -> DataType | None:
    """What to read so that the objects in it stay texts, or None where there are none."""
    if isinstance(kind, StructType):
        return StringType()
    if isinstance(kind, ArrayType):
        element = _as_text(kind.elementType)
        return None if element is None else ArrayType(element)
    return None
