"""Accepted rows in a lake, as an ingest writes them, for tests that begin behind it."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def schema(**columns: str) -> str:
    """A stream's schema file: column to Spark's name of its type."""
    fields = [{"name": name, "type": kind, "nullable": True, "metadata": {}} for name, kind in columns.items()]
    return json.dumps({"type": "struct", "fields": fields})


def write_accepted(spark: SparkSession, folder: Path, stream: str, *, known_at: list[datetime], **columns: Any) -> None:
    """A new events table in ``folder/lake``, one row for each moment, with these columns besides."""
    moments = pa.array(known_at, pa.timestamp("us", "UTC"))
    table = pa.table(
        {
            **columns,
            "known_at": moments,
            "verdict": ["accepted"] * len(known_at),
            "kafka_partition": pa.array([0] * len(known_at), pa.int32()),
            "kafka_offset": pa.array(range(len(known_at)), pa.int64()),
            "kafka_timestamp": moments,
        }
    )
    spark.createDataFrame(table).write.format("delta").partitionBy("verdict").save(f"{folder}/lake/events/{stream}")
