"""Rows of a person taken out of a table: one commit, then the files of older versions that still hold them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from headrace.lake import delta
from headrace.lake.commit import carry_metadata
from headrace.lake.files import storage_error
from headrace.lake.lease import Lease, lost
from headrace.lake.log import newest_first
from headrace.lake.maintain import vacuum
from headrace.small_frames import frame_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

ERASE = "erase"
"""Kind of the commit, in its metadata."""
PLACE = ("kafka_partition", "kafka_offset")
Place = tuple[int, int]
"""Partition and offset of a record."""


def erase_places(
    spark: SparkSession, path: str, places: Iterable[Place], *, days: Sequence[str], erasure: str, request: str, lease: Lease
) -> dict[str, int]:  # fmt: skip
    """Delete the rows of these records, under whatever verdict, in one commit; verdict to the rows that went.

    ``days``: every ``ingest_date`` of the rows. A request that was carried out before changes nothing, and answers the same.
    The commit names the ``erasure``, the verdicts and nothing else. Raises as :func:`erase_matching`.
    """
    from pyspark.sql import functions as F

    app_id = f"headrace-erase/{request}"
    if delta.transaction(spark, path, app_id) is not None:
        return _told(spark, path, request)
    session = spark.newSession()
    chosen = frame_of(session, sorted(places), "kafka_partition int, kafka_offset long")
    table = session.read.format("delta").load(path).where(F.col("ingest_date").isin(*days))
    counted = table.join(F.broadcast(chosen), [*PLACE], "left_semi").groupBy("verdict").count().collect()
    rows = {row["verdict"]: int(row["count"]) for row in counted}
    if rows:
        told = {"headrace": ERASE, "erasure": erasure, "request": request, "rows": rows}
        on = " and ".join(f"old.{name} = new.{name}" for name in PLACE)
        dated = ", ".join(f"DATE'{day}'" for day in sorted(days))
        on = f"old.ingest_date in ({dated}) and {on}"
        erase_matching(session, path, chosen, on=on, told=told, lease=lease, app_id=app_id)
    return rows


def erase_matching(
    session: SparkSession, path: str, chosen: DataFrame, *, on: str, told: Mapping[str, Any], lease: Lease, app_id: str = ""
) -> None:  # fmt: skip
    """Delete the rows ``old`` of a table that have their like in ``chosen`` (``new``), in one commit.

    ``session`` is one of its own, and that of ``chosen``: what is chosen is data there, so that no value of it gets into the
    table's log, which keeps the condition. Raises StorageError where the table can't be written, CheckpointError where another
    job took the lease meanwhile.
    """
    from delta.tables import DeltaTable

    if app_id:
        session.conf.set("spark.databricks.delta.write.txnAppId", app_id)
        session.conf.set("spark.databricks.delta.write.txnVersion", "0")
    carry_metadata(session, told)
    lease.require()
    try:
        DeltaTable.forPath(session, path).alias("old").merge(chosen.alias("new"), on).whenMatchedDelete().execute()
    except Exception as error:
        if "DELTA_METADATA_CHANGED" in str(error):
            raise lost(lease.what) from None
        raise storage_error(error, path) or error from None


def purge(spark: SparkSession, path: str, *, lease: Lease) -> int:
    """Remove every file that the newest version does not need, those of the change data feed too; how many went.

    For who holds the lease, between two batches. Older versions can't be read any more after it, nor their changes.
    """
    lease.require()
    return vacuum(spark, path, keep=timedelta(0))


def _told(spark: SparkSession, path: str, request: str) -> dict[str, int]:
    for entry in newest_first(spark, path):
        if entry.metadata.get("request") == request:
            return {str(verdict): int(rows) for verdict, rows in entry.metadata["rows"].items()}
    return {}
