"""Columns that a table lacks: additive changes of its schema, in one commit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pyspark.sql.types import ArrayType, DataType, StructType

from headrace.errors import SpecError
from headrace.lake.delta import identifier

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Path = tuple[str, ...]
"""Names from the column down; ``element`` stands for what an array holds."""


def table_columns(spark: SparkSession, path: str) -> StructType:
    """The schema of a table as it is now."""
    return spark.read.format("delta").load(path).schema


def add_columns(spark: SparkSession, path: str, *, schema: StructType) -> None:
    """Add what the table lacks of ``schema`` as nullable columns and nested fields.

    Raises SpecError where a column has another type in the table.
    """
    add_fields(spark, path, [(at, kind, "") for at, kind in _missing(schema, table_columns(spark, path), (), path)])


def add_fields(spark: SparkSession, path: str, fields: Sequence[tuple[Path, DataType, str]]) -> None:
    """Add nullable columns and nested fields in one commit; each has a comment (without quotes), or an empty one."""
    if fields:
        written = ", ".join(_definition(*field) for field in fields)
        spark.sql(f"ALTER TABLE {identifier(path)} ADD COLUMNS ({written})")


def _definition(where: Path, kind: DataType, comment: str) -> str:
    name = ".".join(_quoted(part) for part in where)
    return f"{name} {kind.simpleString()}" + (f" COMMENT '{comment}'" if comment else "")


def _missing(wanted: DataType, there: DataType, at: Path, table: str) -> Iterator[tuple[Path, DataType]]:
    if isinstance(wanted, StructType) and isinstance(there, StructType):
        known = {field.name.lower(): field.dataType for field in there}
        for field in wanted:
            kind = known.get(field.name.lower())
            if kind is None:
                yield (*at, field.name), field.dataType
            else:
                yield from _missing(field.dataType, kind, (*at, field.name), table)
    elif isinstance(wanted, ArrayType) and isinstance(there, ArrayType):
        yield from _missing(wanted.elementType, there.elementType, (*at, "element"), table)
    elif wanted != there:
        raise SpecError(
            f"column {'.'.join(at)!r} of table {table} is a {there.simpleString()}, and would have to be a "
            f"{wanted.simpleString()}; give it that type in the pipeline file again, or another name"
        )


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
