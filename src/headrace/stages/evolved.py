"""A schema that grows: fields that came up in a stream's records and became columns of its table.

The table itself keeps which they are: a field that was added carries a comment. So there is one commit that both adds and
remembers, and nothing to put right after a crash.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from pyspark.sql.types import (
    ArrayType,
    BooleanType,
    DataType,
    DoubleType,
    LongType,
    StringType,
    StructField,
    StructType,
)

from headrace.spec.stream import Stream
from headrace.stages.decode import decoder
from headrace.stages.fields import JSON, declared
from headrace.stages.shape import ELEMENT, Path, Shape
from headrace.stages.stages import Way

COMMENT = "headrace: evolved"
COMMENT_JSON = f"{COMMENT} json"
Fields = Mapping[Path, StructField]
"""Fields by their path in the records."""


def evolved_field(name: str, shape: Shape) -> StructField:
    """The field that values of this shape become: ``bigint``, ``double``, ``boolean``, ``string``, or JSON in a ``string``.

    A whole number that no ``bigint`` holds becomes a text, which keeps its digits.
    """
    kinds: dict[str, DataType] = {
        "bigint": LongType(),
        "double": DoubleType(),
        "float": DoubleType(),
        "boolean": BooleanType(),
    }
    if shape.kind == "decimal":
        return StructField(name, DoubleType() if shape.scale else StringType())
    if shape.kind == "string" or shape.kind in kinds:
        return StructField(name, kinds.get(shape.kind, StringType()))
    return StructField(name, StringType(), metadata={JSON: True})


def grown(way: Way, fields: Fields) -> Way:
    """The way with these fields in its schema."""
    if not fields:
        return way
    schema = _with(way.schema, fields)
    assert isinstance(schema, StructType)
    return replace(way, schema=schema, decoder=decoder(stream=way.stream, schema=schema))


def evolved_fields(table: StructType, *, stream: Stream, schema: StructType) -> dict[Path, StructField]:
    """The fields that a table's schema says were added, but for those that the stream's schema declares by now."""
    known = {path for path, _ in declared(schema)}
    found: dict[Path, StructField] = {}
    for path, field in declared(table):
        comment = field.metadata.get("comment", "")
        at = record_path(path, stream)
        if comment in (COMMENT, COMMENT_JSON) and at not in known:
            found[at] = StructField(
                field.name, field.dataType, metadata={JSON: True} if comment == COMMENT_JSON else {}
            )
    return found


def table_path(path: Path, stream: Stream) -> Path:
    """Where the table has what the records have at ``path``, in Delta's words."""
    first = stream.normalize.rename.get(path[0], path[0])
    return (first, *("element" if step == ELEMENT else step for step in path[1:]))


def record_path(path: Path, stream: Stream) -> Path:
    """Where the records have what the table's schema has at ``path`` (with ``[]`` for elements)."""
    written = {new: old for old, new in stream.normalize.rename.items()}
    return (written.get(path[0], path[0]), *path[1:])


def _with(kind: DataType, fields: Fields) -> DataType:
    if isinstance(kind, StructType):
        kept = [
            StructField(f.name, _with(f.dataType, dict(_under(fields, f.name))), f.nullable, f.metadata) for f in kind
        ]
        return StructType([*kept, *(field for path, field in fields.items() if len(path) == 1)])
    if isinstance(kind, ArrayType):
        return ArrayType(_with(kind.elementType, dict(_under(fields, ELEMENT))), kind.containsNull)
    return kind


def _under(fields: Fields, step: str) -> Iterator[tuple[Path, StructField]]:
    return ((path[1:], field) for path, field in fields.items() if len(path) > 1 and path[0] == step)
