"""Appending a micro-batch: whole or not at all, and once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from headrace.lake.files import storage_error
from headrace.lake.lease import lost
from headrace.lake.transactions import recall_transactions

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def append_once(
    rows: DataFrame, path: str, *, app_id: str, version: int, metadata: Mapping[str, Any], what: str = "this table"
) -> None:
    """Append ``rows`` in one commit that carries ``metadata``; Delta skips it where ``(app_id, version)`` was committed before.

    Raises StorageError where the disk is full or the path can't be written, and CheckpointError where another job took the
    lease of ``what`` meanwhile.
    """
    recall_transactions(rows.sparkSession, path)
    try:
        (
            rows.write.format("delta")
            .mode("append")
            .option("txnAppId", app_id)
            .option("txnVersion", version)
            .option("userMetadata", as_user_metadata(metadata))
            .save(path)
        )
    except Exception as error:
        if "DELTA_METADATA_CHANGED" in str(error):
            raise lost(what) from None
        raise storage_error(error, path) or error from None


def as_user_metadata(metadata: Mapping[str, Any]) -> str:
    """What a commit says of itself, as its log holds it."""
    return json.dumps(metadata, separators=(",", ":"))


def carry_metadata(session: SparkSession, metadata: Mapping[str, Any]) -> None:
    """Have the commits of a session of its own carry ``metadata``, where a statement has no option for it.

    No compaction follows behind them, since its commit would carry the same.
    """
    session.conf.set("spark.databricks.delta.commitInfo.userMetadata", as_user_metadata(metadata))
    session.conf.set("spark.databricks.delta.autoCompact.enabled", "false")
