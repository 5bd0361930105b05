"""Small files of a table put together. Its rows stay as they are, and no reader of changes sees them again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from headrace.lake import delta

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SMALL_BYTES = 64 * 1024 * 1024
"""A file below this is small, as for Delta's own compaction right behind a commit."""


@dataclass(frozen=True)
class SmallFiles:
    """Of a table: the days with several small files in one partition, and how many those are."""

    days: tuple[date, ...]
    files: int


def small_files(spark: SparkSession, path: str, *, before: date) -> SmallFiles:
    """Small files in partitions of closed days (``ingest_date`` before ``before``) that have more than one."""
    found = (
        delta.data_files(spark, path)
        .where(F.col("size") < SMALL_BYTES)
        .groupBy("partitionValues.ingest_date", "partitionValues.verdict")
        .count()
        .where((F.col("count") > 1) & (F.col("ingest_date") < before.isoformat()))
        .collect()
    )
    days = sorted({date.fromisoformat(row["ingest_date"]) for row in found})
    return SmallFiles(tuple(days), sum(row["count"] for row in found))


def compact(spark: SparkSession, path: str, day: date) -> None:
    """Put the small files of a closed day together, in one commit. Safe beside appends to other days."""
    spark.sql(f"OPTIMIZE {delta.identifier(path)} WHERE ingest_date = DATE'{day.isoformat()}'")
