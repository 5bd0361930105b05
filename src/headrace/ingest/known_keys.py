"""Keys of records as the driver holds them: those of a micro-batch, and those that a table has accepted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from pyspark.sql import functions as F

from headrace.ingest.firsts import Firsts
from headrace.ingest.key_index import Keys
from headrace.lake.log import offsets, standing
from headrace.lake.tables import ACCEPTED
from headrace.stages.keys import key_hash

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

NEWEST = "newest"
"""In a commit's metadata: partition to the newest time (milliseconds since 1970) of its records so far."""
CHUNK = 4_000_000
"""So many keys are read at once."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME = "unix_millis(least(kafka_timestamp, ingested_at))"
OFFSET_BITS = 48
NO_TIME = np.iinfo(np.int64).max


def milliseconds(when: datetime) -> int:
    """Since 1970, cut."""
    return (when - _EPOCH) // timedelta(milliseconds=1)


def packed(partition: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Coordinates within a topic as one ``int64`` (an offset below 2^48, as Kafka will not outgrow it)."""
    return (partition.astype(np.int64) << OFFSET_BITS) | offset


def keys_of(table: pa.Table) -> tuple[Keys, np.ndarray]:
    """The columns ``high``, ``low``, ``time``, ``partition``, ``offset``; and a mask of the records that have a key.

    A time that is not known is ``NO_TIME``, beyond that of every ingest.
    """
    keyed = np.asarray(table.column("high").is_valid())
    instead = {"high": 0, "low": 0, "time": NO_TIME, "partition": 0, "offset": 0}
    columns = (table.column(name).fill_null(value).to_numpy() for name, value in instead.items())
    return Keys(*columns), keyed


def table_keys(rows: DataFrame, *, by: Iterable[str]) -> DataFrame:
    """Rows of an events table to ``high long, low long, time long, partition int, offset long``."""
    high, low = key_hash([F.col(name) for name in by])
    return rows.select(
        high.alias("high"), low.alias("low"), F.expr(_TIME).alias("time"), F.col("kafka_partition").alias("partition"),
        F.col("kafka_offset").alias("offset"),
    )  # fmt: skip


def newest_times(spark: SparkSession, table: str) -> dict[int, int]:
    """Partition to the newest time of its records so far; from the last batch's commit, or from the rows if that lacks it."""
    last = next((entry for entry in standing(spark, table) if entry.is_batch), None)
    if last is not None and NEWEST in last.metadata:
        return offsets(last.metadata[NEWEST])
    rows = spark.read.format("delta").load(table).groupBy("kafka_partition").agg(F.expr(f"max({_TIME})").alias("time"))
    return {int(row["kafka_partition"]): int(row["time"]) for row in rows.collect()}


def accepted_since(spark: SparkSession, table: str, time: int) -> DataFrame:
    """The accepted rows of a table, without the days that hold no record of this time (milliseconds since 1970) or later."""
    # A record's time is at most that of its ingest.
    day = (_EPOCH + timedelta(milliseconds=max(time, 0))).date()
    return spark.read.format("delta").load(table).where((F.col("verdict") == ACCEPTED) & (F.col("ingest_date") >= day))


def read_firsts(spark: SparkSession, table: str, *, by: Sequence[str], into: Firsts) -> None:
    """Add the accepted rows of a table, from the floor of each partition on."""
    floors = into.floors
    if not floors:
        return
    rows = accepted_since(spark, table, min(floors.values()))
    for begin, end in _chunks(rows):
        chunk = table_keys(rows.where(F.col("batch_id").between(begin, end)), by=by)
        keys, keyed = keys_of(chunk.toArrow())
        into.index.add(keys.at(keyed), floors=floors)


def _chunks(rows: DataFrame) -> Iterator[tuple[int, int]]:
    """Ranges of batches with some ``CHUNK`` rows each (a batch is never cut)."""
    counted: list[Any] = rows.groupBy("batch_id").count().orderBy("batch_id").collect()
    begin, total = None, 0
    for row in counted:
        if begin is not None and total + row["count"] > CHUNK:
            yield begin, row["batch_id"] - 1
            begin, total = None, 0
        begin = row["batch_id"] if begin is None else begin
        total += row["count"]
    if begin is not None:
        yield begin, counted[-1]["batch_id"]
