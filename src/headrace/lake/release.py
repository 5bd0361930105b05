"""Releasing quarantined rows: from one verdict to another in one commit, and once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

from pyspark.sql.types import StringType, StructField, StructType, TimestampType

from headrace.lake.commit import carry_metadata
from headrace.lake.files import storage_error
from headrace.lake.lease import Lease, lost
from headrace.lake.tables import QUARANTINED

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

RELEASED = StructType(
    [
        StructField("released_at", TimestampType()),
        StructField("released_by", StringType()),
        StructField("released_known_at", TimestampType()),
    ]
)
"""Columns of an events table that only a released row has: when, by which spec version, and from when on features may see it."""
KEPT = frozenset(
    {
        "kafka_topic", "kafka_partition", "kafka_offset", "kafka_timestamp", "batch_id", "ingest_date", "ingested_at",
        "spec_version",
    }
)  # fmt: skip
"""What a released row says of its record and of its ingest stays as it is."""


def release_once(
    spark: SparkSession,
    path: str,
    rows: DataFrame,
    *,
    stamp: Mapping[str, Column],
    days: Iterable[date],
    app_id: str,
    metadata: Mapping[str, Any],
    lease: Lease,
) -> None:
    """Give the quarantined rows at the coordinates of ``rows`` its columns, in one commit that carries ``metadata``; Delta skips
    it where ``app_id`` was committed before. Their payloads go; a column that ``rows`` lacks becomes null.

    ``spark`` is a session of its own (the commit's settings are a session's), and that of ``rows``. ``stamp``: columns that are
    not in ``rows``, over columns called ``new.NAME``. ``days``: every ``ingest_date`` of the rows.

    Raises StorageError where the disk is full or the path can't be written, and CheckpointError where another job took the
    lease meanwhile.
    """  # fmt: skip
    from delta.tables import DeltaTable
    from pyspark.sql import functions as F

    spark.conf.set("spark.databricks.delta.write.txnAppId", app_id)
    spark.conf.set("spark.databricks.delta.write.txnVersion", "0")
    carry_metadata(spark, metadata)
    table = DeltaTable.forPath(spark, path)
    columns: dict[str, Column] = {}
    for field in table.toDF().schema:
        if field.name in KEPT:
            continue
        given = F.col(f"new.{_quoted(field.name)}") if field.name in rows.columns else F.lit(None).cast(field.dataType)
        columns[_quoted(field.name)] = stamp.get(field.name, given)
    same = (F.col("old.kafka_partition") == F.col("new.kafka_partition")) & (
        F.col("old.kafka_offset") == F.col("new.kafka_offset")
    )
    quarantined = (F.col("old.verdict") == QUARANTINED) & F.col("old.ingest_date").isin(*days)
    lease.require()
    try:
        merge = table.alias("old").merge(rows.alias("new"), quarantined & same)
        merge.whenMatchedUpdate(set=columns).execute()  # pyright: ignore[reportArgumentType]
    except Exception as error:
        if "DELTA_METADATA_CHANGED" in str(error):
            raise lost(lease.what) from None
        raise storage_error(error, path) or error from None


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
