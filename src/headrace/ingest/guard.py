"""Start-up checks: a checkpoint that disagrees with its table is refused, since going on would lose or repeat rows.

Delta skips a repeated ``(app id, batch id)`` without a word. So a lost checkpoint would write every row again under a new
query id, and a rolled-back or copied one would skip new rows under old batch ids.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from py4j.protocol import Py4JJavaError

from headrace.errors import CheckpointError
from headrace.ingest.checkpoint import Checkpoint
from headrace.lake import delta
from headrace.lake.log import LogEntry, read_log

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def check_start(spark: SparkSession, *, checkpoint: str, table: str, topic: str) -> dict[int, int]:
    """Partition to the offset up to which the table holds every record (empty where there is nothing yet).

    Raises CheckpointError where the checkpoint and the commits of the table do not belong together.
    """
    try:
        return _check(spark, checkpoint=checkpoint, table=table, topic=topic)
    except (Py4JJavaError, ValueError, KeyError) as error:
        raise CheckpointError(
            f"checkpoint {checkpoint} or the log of table {table} is damaged ({type(error).__name__} on reading it); restore both "
            "from a copy"
        ) from None


def _check(spark: SparkSession, *, checkpoint: str, table: str, topic: str) -> dict[int, int]:
    state = Checkpoint(spark, checkpoint)
    query = state.query_id()
    written = [entry for entry in read_log(spark, table) if entry.is_batch]
    begun = state.last("offsets")
    if query is None:
        if begun is not None:
            raise CheckpointError(
                f"checkpoint {checkpoint} has lost its file 'metadata'; restore the whole checkpoint from a copy, since "
                "a new one would read every record again"
            )
        if written:
            raise CheckpointError(
                f"table {table} holds {len(written)} batches but its checkpoint {checkpoint} is gone; restore the "
                "checkpoint, or remove both to read the topic from its beginning"
            )
        return {}
    if not written:
        done = state.last("commits")
        if done is not None and not delta.exists(spark, table):
            raise CheckpointError(
                f"checkpoint {checkpoint} has {done + 1} finished batches but table {table} is gone; restore the table, or "
                "remove the checkpoint too to read the topic from its beginning"
            )
        return {}
    _check_last(written[-1], query=query, state=state, checkpoint=checkpoint, table=table, topic=topic)
    return written[-1].until


def _check_last(last: LogEntry, *, query: str, state: Checkpoint, checkpoint: str, table: str, topic: str) -> None:
    if last.metadata["query"] != query:
        raise CheckpointError(
            f"checkpoint {checkpoint} is not the one that wrote table {table}; point lake.path to the right lake, or restore "
            "the checkpoint that belongs to it"
        )
    if last.metadata["topic"] != topic:
        raise CheckpointError(
            f"table {table} was filled from topic {last.metadata['topic']!r}, the pipeline file now says {topic!r}; "
            "declare a new stream for the new topic"
        )
    batch = int(last.metadata["batch"])
    begun = state.last("offsets")
    if begun is None or begun < batch:
        raise CheckpointError(
            f"checkpoint {checkpoint} was rolled back: it has begun batch {begun} while table {table} has batch {batch}; "
            "restore the newer checkpoint"
        )
    until = state.until(batch)
    if until is not None and until.get(topic) != last.until:
        raise CheckpointError(
            f"batch {batch} of table {table} ends at other offsets than in checkpoint {checkpoint}: the checkpoint was "
            "copied or edited; restore the one that wrote the table"
        )
    done = state.last("commits")
    if done is not None and done > batch:
        raise CheckpointError(
            f"table {table} was restored to an older version: its newest batch is {batch}, checkpoint {checkpoint} "
            f"finished {done}; restore the table's newest version"
        )
