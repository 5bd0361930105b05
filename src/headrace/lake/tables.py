"""Creating and reading the tables of the lake."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from headrace.errors import StorageError, first_line
from headrace.lake import delta, files

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

ACCEPTED, QUARANTINED, DUPLICATE = "accepted", "quarantined", "duplicate"
"""The verdicts: each record of a topic is in its table once, under one of them."""
EVENT_PARTITIONS = ("ingest_date", "verdict")


def create_table(
    spark: SparkSession,
    path: str,
    *,
    schema: StructType,
    partitions: Iterable[str] = (),
    statistics: Iterable[str],
    change_data_feed: bool = True,
) -> None:
    """Create a Delta table that any Delta reader can read; an existing one is left as it is.

    ``statistics``: the columns whose minimum and maximum may be written to the log, as far as Delta keeps them for their type.
    Those of a protected column never are, since they outlive its rows there.

    Raises StorageError where the path can't be written.
    """
    from delta.tables import DeltaTable

    try:
        if delta.exists(spark, path):
            return
        _remove_unborn(spark, path)
        builder = (
            DeltaTable.createIfNotExists(spark)
            .location(path)
            .addColumns(schema)
            .property("delta.dataSkippingStatsColumns", ",".join(_ordered(schema, statistics)))
            .property("delta.enableChangeDataFeed", str(change_data_feed).lower())
            .property("delta.enableExpiredLogCleanup", "false")  # by age alone; headrace.lake.maintain knows who reads
            .property(
                "delta.autoOptimize.autoCompact", "true"
            )  # 50 small files of a partition become one, behind a commit
        )
        partitions = tuple(partitions)
        if partitions:
            builder = builder.partitionedBy(*partitions)
        builder.execute()
    except Exception as error:
        raise StorageError(
            f"can't create the table {path}: {first_line(error)}; check the path and its rights"
        ) from None


def _remove_unborn(spark: SparkSession, path: str) -> None:
    """A creation that was cut before its first commit leaves a log without a version, on which Delta makes no table."""
    log = f"{path}/_delta_log"
    if not any(name.endswith((".json", ".parquet")) and not name.startswith(".") for name in files.names(spark, log)):
        files.delete(spark, log)


def read_accepted(spark: SparkSession, path: str, *, version: int | None = None) -> DataFrame:
    """The accepted rows of a stream's table: its own columns, then ``event_time``, ``known_at`` and the Kafka coordinates."""
    reader = spark.read.format("delta")
    if version is not None:
        reader = reader.option("versionAsOf", version)
    return reader.load(path).where(f"verdict = '{ACCEPTED}'").drop("payload", "verdict", "duplicate_of")


def read_quarantine(spark: SparkSession, path: str) -> DataFrame:
    """The quarantined rows: Kafka coordinates, ``failed_rules array<string>``, sealed ``payload``, and what was decoded."""
    return spark.read.format("delta").load(path).where(f"verdict = '{QUARANTINED}'")


def count_failed_rules(spark: SparkSession, path: str) -> DataFrame:
    """Rows by what they failed: ``verdict``, ``rule`` (a decode reason or a rule's id), ``rows long``."""
    failed = spark.read.format("delta").load(path).selectExpr("verdict", "explode(failed_rules) as rule")
    return failed.groupBy("verdict", "rule").count().withColumnRenamed("count", "rows")


def read_accepted_stream(spark: SparkSession, path: str, *, starting_version: int = 0) -> DataFrame:
    """A streaming frame of changes to the accepted rows: inserts, released rows (``update_postimage``) and deletes."""
    return (
        spark.readStream.format("delta")
        .option("readChangeFeed", "true")
        .option("startingVersion", starting_version)
        .load(path)
        .where(f"verdict = '{ACCEPTED}' and _change_type in ('insert', 'update_postimage', 'delete')")
    )


def _ordered(schema: StructType, names: Iterable[str]) -> list[str]:
    """Those of a type that Delta keeps statistics of; it refuses a table with others, such as arrays and booleans."""
    from pyspark.sql.types import DateType, NumericType, StringType, TimestampType

    return [
        name for name in names if isinstance(schema[name].dataType, (DateType, NumericType, StringType, TimestampType))
    ]
