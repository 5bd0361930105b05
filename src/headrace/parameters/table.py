"""The copy in Delta, which comes first: what is not in it was never published.

Each commit of a name is a transaction of Delta's with the number ``sequence``, so of two writers that take the same number at
once one is refused and tries the next. Rows are only added.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql.types import IntegerType, LongType, StringType, StructField, StructType, TimestampType

from headrace.errors import StorageError
from headrace.lake import delta
from headrace.lake.commit import append_once
from headrace.lake.layout import Layout
from headrace.lake.tables import create_table
from headrace.parameters.event import Event, Parameters
from headrace.parameters.schema import parse
from headrace.parameters.state import State, state_of
from headrace.small_frames import frame_of
from headrace.spec.pipeline import Pipeline

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_SCHEMA = StructType(
    [
        StructField("name", StringType()),
        StructField("version", IntegerType()),
        StructField("sequence", LongType()),
        StructField("key", StringType()),
        StructField("as_of", TimestampType()),
        StructField("event", StringType()),
    ]
)
_WHAT = "parameters"


def path_of(pipeline: Pipeline) -> str:
    """Where the copy lies."""
    return Layout(pipeline.spec.lake.root).parameters


def read_table(spark: SparkSession, pipeline: Pipeline) -> State:
    """The state that the copy's rows come to; empty where there is no table. Raises StorageError where a row was changed."""
    path = path_of(pipeline)
    if not delta.exists(spark, path):
        return State({}, {})
    rows = spark.read.format("delta").load(path).select("event").collect()
    try:
        return state_of(parse(row["event"]) for row in rows)
    except ValueError as error:
        raise StorageError(
            f"the table {path} was changed by somebody else ({error}); restore the version before that"
        ) from None


def add(spark: SparkSession, pipeline: Pipeline, events: Sequence[Event], *, sequence: int) -> bool:
    """Commit events of one name as its change number ``sequence``; whether they are in. Another writer may have been first."""
    path, name = path_of(pipeline), events[0].name
    create_table(spark, path, schema=_SCHEMA, statistics=("name", "version", "sequence"))
    rows = [
        (
            event.name, event.version, event.sequence, event.key,
            event.as_of if isinstance(event, Parameters) else None, event.as_json(),
        )
        for event in events
    ]  # fmt: skip
    frame = frame_of(spark, rows, _SCHEMA).coalesce(1)
    told = {"headrace": _WHAT, "name": name, "sequence": sequence, "keys": [event.key for event in events]}
    try:
        append_once(frame, path, app_id=f"headrace-parameters/{name}", version=sequence, metadata=told, what=_WHAT)
    except Exception as error:
        if "Concurrent" not in f"{type(error).__name__} {error}":
            raise
        return False
    kept = spark.read.format("delta").load(path).where((F.col("name") == name) & (F.col("sequence") == sequence))
    return {row["event"] for row in kept.select("event").collect()} >= {
        event.as_json() for event in events if event.sequence == sequence
    }
