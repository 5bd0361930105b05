"""Copies among the rows that a replay lets pass: held against what was accepted, and against each other.

Here no order of arrival counts: a row is a copy of one that was accepted after it too, and the horizon is all that limits.
Among the rows themselves the one that is earlier in time is the first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from pyspark.sql import functions as F

from headrace.ingest.copies import find_copies
from headrace.ingest.key_index import KeyIndex, Keys, no_keys
from headrace.ingest.known_keys import accepted_since, keys_of, table_keys
from headrace.lake.tables import ACCEPTED, DUPLICATE
from headrace.spec.section import seconds
from headrace.spec.stream import Duplicates, Stream
from headrace.stages.reopen import INGESTED

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_OF = "duplicate_of"
_PLACE = ["kafka_partition", "kafka_offset"]


def with_copies(spark: SparkSession, rows: DataFrame, *, table: str, stream: Stream) -> DataFrame:
    """Rows that :func:`headrace.stages.reopen.judged_again` gave; a copy has the verdict ``duplicate``, and ``duplicate_of``
    says of which record. As they are where the stream declares no ``duplicates``. ``rows`` are looked at twice: keep them.
    """  # fmt: skip
    if stream.duplicates is None:
        return rows
    copies = _copies(spark, rows.where(F.col("verdict") == ACCEPTED), table, stream.topic, stream.duplicates)
    if not copies.num_rows:
        return rows
    marks = F.broadcast(spark.createDataFrame(copies))
    columns = [name for name in rows.columns if name not in ("verdict", _OF)]
    of = F.coalesce(F.col("__copy"), F.lit(False))
    return rows.withColumnRenamed(_OF, "__none").join(marks, _PLACE, "left").select(
        *(F.col(f"`{name}`") for name in columns),
        F.when(of, F.lit(DUPLICATE)).otherwise(F.col("verdict")).alias("verdict"),
        F.col(_OF),
    )  # fmt: skip


def _copies(spark: SparkSession, rows: DataFrame, table: str, topic: str, duplicates: Duplicates) -> pa.Table:
    """``kafka_partition int32``, ``kafka_offset int64``, ``duplicate_of string``, ``__copy boolean`` (true), in no order."""
    within = 1000 * seconds(duplicates.within)
    own = table_keys(rows.withColumnRenamed(INGESTED, "ingested_at"), by=duplicates.by)
    keys, keyed = keys_of(own.toArrow())
    keys = keys.at(keyed)
    index = KeyIndex()
    if len(keys):
        index.add(_accepted(spark, table, keys, within=within, duplicates=duplicates), floors={})
    copies = find_copies(
        keys, index=index, within=within, before={}, reached=keys.time, accepted=lambda asked: np.ones(len(asked), bool)
    )  # fmt: skip
    firsts = zip(copies.partition.tolist(), copies.offset.tolist(), strict=True)
    of = pa.array([f"{topic}/{partition}/{offset}" for partition, offset in firsts], pa.string())
    place = (keys.partition[copies.position], keys.offset[copies.position])
    return pa.table([*map(pa.array, place), of, pa.array([True] * len(of))], names=[*_PLACE, _OF, "__copy"])


def _accepted(spark: SparkSession, table: str, keys: Keys, *, within: int, duplicates: Duplicates) -> Keys:
    """The accepted records with one of these keys (or a like one), as far as one may be within the horizon."""
    rows = accepted_since(spark, table, int(keys.time.min()) - within)
    if not set(duplicates.by) <= set(rows.columns):  # the key is new: no row has one
        return no_keys()
    asked = spark.createDataFrame(pa.table({"high": np.unique(keys.high)}))
    known = table_keys(rows, by=duplicates.by)
    same, whole = keys_of(known.join(F.broadcast(asked), "high", "left_semi").toArrow())
    return same.at(whole)
