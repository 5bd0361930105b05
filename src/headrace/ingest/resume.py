"""A new checkpoint that goes on exactly where the table ends."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from headrace.errors import CheckpointError, StorageError
from headrace.ingest.position import Position, table_position
from headrace.lake import delta, files
from headrace.lake.commit import append_once
from headrace.lake.layout import Layout
from headrace.lake.lease import leased
from headrace.spec.pipeline import Pipeline

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def resume_after(
    spark: SparkSession,
    position: Position,
    *,
    stream: str,
    table: str,
    checkpoint: str,
    lost: Mapping[int, tuple[int, int]] | None = None,
) -> Position:
    """Commit that a new query goes on at ``position``, put its checkpoint in place, and give back the new position.

    The old checkpoint stays beside it, as ``<checkpoint>.set-aside-<time>``. The query is a new one: Delta would skip its
    batches if their numbers had been written under the old one's id, as they have where the table was restored to an older
    version. Whoever calls it holds the table's lease. Interrupted anywhere, it is called again and does the same.

    ``lost``: partition to a range of offsets that Kafka no longer holds; the query goes on behind it, and the commit keeps it.
    """
    ends = {number: end for number, (_, end) in (lost or {}).items()}
    made = replace(position, query=str(uuid.uuid4()), batch=0, until=position.until | ends)
    new = f"{checkpoint}.new"
    files.delete(spark, new)
    _write_checkpoint(spark, new, made)
    told: dict[str, Any] = made.metadata("resume", stream=stream, after=position.batch, after_query=position.query)
    if lost:
        told |= {"headrace": "loss", "ranges": {number: list(span) for number, span in lost.items()}}
    rows = spark.read.format("delta").load(table).limit(0)
    append_once(rows, table, app_id=f"{made.query}/{stream}", version=0, metadata=told)
    if files.exists(spark, checkpoint):
        files.move(spark, checkpoint, f"{checkpoint}.set-aside-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
    files.move(spark, new, checkpoint)
    return made


def _write_checkpoint(spark: SparkSession, path: str, at: Position) -> None:
    """A Spark checkpoint whose batch 0 is done and ends at the position."""
    until = json.dumps({at.topic: {str(number): offset for number, offset in sorted(at.until.items())}})
    clock = json.dumps({"batchWatermarkMs": 0, "batchTimestampMs": time.time_ns() // 1_000_000, "conf": {}})
    files.write_text(spark, f"{path}/metadata", json.dumps({"id": at.query}))
    files.write_text(spark, f"{path}/sources/0/0", f"v1\n{until}")
    files.write_text(spark, f"{path}/offsets/0", f"v1\n{clock}\n{until}")
    files.write_text(spark, f"{path}/commits/0", 'v1\n{"nextBatchWatermarkMs":0}')


@dataclass(frozen=True)
class Filled:
    """A table that a query fills from a topic, and the query's checkpoint."""

    stream: str
    what: str
    table: str
    checkpoint: str


def filled_tables(pipeline: Pipeline) -> dict[str, Filled]:
    """All such tables of a pipeline: by stream, and ``score`` for the requests that scoring reads."""
    spec, layout = pipeline.spec, Layout(pipeline.spec.lake.root)
    found = {
        name: Filled(name, f"events/{name}", layout.events(name), layout.checkpoint(f"ingest/{name}"))
        for name in spec.streams
    }
    if spec.scoring and spec.model and spec.features:
        model = spec.model.name
        found["score"] = Filled(
            spec.features.requests, f"serving/{model}/requests", layout.requests(model),
            layout.checkpoint(f"score/{model}/requests"),
        )  # fmt: skip
    return found


def resume(spark: SparkSession, filled: Filled, *, notify: Callable[[str], None] = lambda line: None) -> Position:
    """:func:`resume_after` the position of a table, under its lease.

    Raises StorageError where there is no table, CheckpointError where another job writes it or where no commit that its log
    still holds tells a position.
    """
    table = filled.table
    if not delta.exists(spark, table):
        raise StorageError(f"there is no table {table} to resume from; the job that fills it makes it and begins anew")
    with leased(spark, table, what=filled.what, notify=notify):
        position = table_position(spark, table)
        if position is None:
            raise CheckpointError(
                f"no commit of table {table} tells up to where it was filled (its log reaches back 30 days); restore the "
                "checkpoint from a copy"
            )
        return resume_after(spark, position, stream=filled.stream, table=table, checkpoint=filled.checkpoint)
