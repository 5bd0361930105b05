"""A run's training rows as an immutable table of their own, and a hash of their content."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from headrace.errors import TrainingError

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession


def write_snapshot(rows: DataFrame, path: str) -> None:
    """Write the rows once; the table accepts no later change."""
    (
        rows.write.format("delta")
        .mode("errorifexists")
        .option("delta.appendOnly", "true")
        .option("delta.dataSkippingNumIndexedCols", "0")
        .save(path)
    )


def read_snapshot(spark: SparkSession, path: str) -> DataFrame:
    """The rows of a snapshot."""
    return spark.read.format("delta").load(path)


def content_hash(rows: DataFrame) -> str:
    """``count-sum-xor`` of the rows' xxHash64 values (hex): the same for the same rows in any order and partitioning."""
    value = F.xxhash64(*sorted(rows.columns))
    counted = rows.agg(
        F.count(F.lit(1)).alias("n"), F.sum(value.cast("decimal(38,0)")).alias("total"), F.bit_xor(value).alias("xor")
    ).first()
    if counted is None:
        raise TrainingError("the training rows can't be read back; run the training again")
    mask = (1 << 64) - 1
    return f"{counted['n']:x}-{int(counted['total'] or 0) & mask:016x}-{int(counted['xor'] or 0) & mask:016x}"


def rows_in(content: str) -> int:
    """How many rows a content hash was made of."""
    return int(content.partition("-")[0], 16)


def column_hashes(rows: DataFrame) -> dict[str, str]:
    """Column to a hash of its values, each bound to its row's ``id`` (hex): tells in which columns two sets of rows differ."""
    columns = sorted(rows.columns)
    hashed = rows.agg(*(F.bit_xor(F.xxhash64("id", name)).alias(name) for name in columns)).first()
    if hashed is None:
        raise TrainingError("the training rows can't be read back; run the training again")
    return {name: f"{int(hashed[name] or 0) & (1 << 64) - 1:016x}" for name in columns}


def to_arrow(rows: DataFrame) -> pa.Table:
    """All rows on the driver, sorted by ``id``, so that a model's bytes do not depend on partitioning."""
    return rows.orderBy("id").toArrow()
