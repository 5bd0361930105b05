"""Which rows that are about to be released from quarantine are copies of accepted ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from pyspark.sql import functions as F

from headrace.ingest.copies import find_copies
from headrace.ingest.key_index import KeyIndex
from headrace.ingest.known_keys import accepted_since, keys_of, table_keys
from headrace.spec.section import seconds
from headrace.spec.stream import Duplicates

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def copies_to_release(spark: SparkSession, table: str, rows: DataFrame, *, duplicates: Duplicates) -> pa.Table:
    """The copies among ``rows``: ``kafka_partition int32``, ``kafka_offset int64``, ``duplicate_of string``, in no order.

    ``rows`` would be accepted but for that. They are as the table has them: the columns of ``duplicates.by`` (after normalize),
    ``kafka_topic``, ``kafka_partition``, ``kafka_offset``, ``kafka_timestamp``, ``ingested_at``. Among themselves the one
    that is earlier in time is the first. Here no order of arrival counts: a row is a copy of one that was accepted after it
    too, and the horizon (``within``) is all that limits.
    """
    within = 1000 * seconds(duplicates.within)
    found = table_keys(rows, by=duplicates.by).withColumn("topic", F.col("kafka_topic")).toArrow()
    keys, keyed = keys_of(found)
    topic, keys = found.column("topic")[0].as_py() if found.num_rows else "", keys.at(keyed)
    index = KeyIndex()
    if len(keys):
        asked = spark.createDataFrame(pa.table({"high": np.unique(keys.high)}))
        known = table_keys(accepted_since(spark, table, int(keys.time.min()) - within), by=duplicates.by)
        same, whole = keys_of(known.join(F.broadcast(asked), "high", "left_semi").toArrow())
        index.add(same.at(whole), floors={})
    copies = find_copies(
        keys, index=index, within=within, before={}, reached=keys.time, accepted=lambda asked: np.ones(len(asked), bool)
    )  # fmt: skip
    firsts = zip(copies.partition.tolist(), copies.offset.tolist(), strict=True)
    return pa.table(
        {
            "kafka_partition": keys.partition[copies.position],
            "kafka_offset": keys.offset[copies.position],
            "duplicate_of": pa.array([f"{topic}/{partition}/{offset}" for partition, offset in firsts], pa.string()),
        }
    )
