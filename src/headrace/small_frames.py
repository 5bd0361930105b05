"""Small frames from Python values, by way of Arrow: PySpark's own way from a list begins a Python worker to read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import DataType, StructType


def frame_of(spark: SparkSession, rows: Iterable[Sequence[Any]], schema: StructType | str) -> DataFrame:
    """A frame of these rows, whose values are in the order of ``schema`` (a struct's too); all columns may be null.

    ``schema`` may be Spark's DDL, such as ``id string, at timestamp``. Times must say their zone.
    """
    import pyarrow as pa
    from pyspark.sql.pandas.types import to_arrow_schema
    from pyspark.sql.types import StructType

    fields = StructType.fromDDL(schema) if isinstance(schema, str) else schema
    assert isinstance(fields, StructType)
    arrow = to_arrow_schema(fields)
    columns: list[list[Any]] = [[] for _ in fields.fields]
    for row in rows:
        for column, value, field in zip(columns, row, fields.fields, strict=True):
            column.append(_named(value, field.dataType))
    arrays = [pa.array(column, field.type) for column, field in zip(columns, arrow, strict=True)]
    return spark.createDataFrame(pa.table(arrays, schema=arrow))


def _named(value: Any, kind: DataType) -> Any:
    """A value as Arrow takes it: a struct by name, a map as pairs."""
    from pyspark.sql.types import ArrayType, MapType, StructType

    if value is None:
        return None
    if isinstance(kind, StructType):
        return {f.name: _named(one, f.dataType) for f, one in zip(kind.fields, value, strict=True)}
    if isinstance(kind, ArrayType):
        return [_named(one, kind.elementType) for one in value]
    if isinstance(kind, MapType) and isinstance(value, Mapping):
        return [(key, _named(one, kind.valueType)) for key, one in value.items()]
    return value
