"""Columns that a table lacks: additive changes of its schema, in one commit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from pyspark.sql.types import ArrayType, DataType, StructType

from headrace.errors import SpecError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Path = tuple[str, ...]
"""Names from the column down; ``element`` stands for what an array holds."""


def table_schema(spark: SparkSession, path: str) -> StructType:
    """The schema of a table as it is now."""
    return spark.read.format("delta").load(path).schema


def add_columns(
    spark: SparkSession, path: str, *, schema: StructType, comments: Mapping[Path, str] | None = None
) -> list[Path]:
    """Add what the table lacks of ``schema`` as nullable columns and nested fields; what was added.

    ``comments``: what a new field's comment shall say (without quotes). Raises SpecError where a column has
    another type in the table.
    """
    missing = list(_missing(schema, table_schema(spark, path), (), path))
    if missing:
        written = [_definition(where, kind, (comments or {}).get(where)) for where, kind in missing]
        spark.sql(f"ALTER TABLE delta.{_quoted(path)} ADD COLUMNS ({', '.join(written)})")
    return [where for where, _ in missing]


def _definition(where: Path, kind: DataType, comment: str | None) -> str:
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
