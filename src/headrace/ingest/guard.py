"""Start-up checks: a checkpoint that disagrees with its table or its topic is refused, since going on would lose or repeat rows.

Delta skips a repeated ``(app id, batch id)`` without a word. So a lost checkpoint would write every row again under a new
query id, and a rolled-back or copied one would skip new rows under old batch ids.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from py4j.protocol import Py4JJavaError

from headrace.errors import CheckpointError, RecordsLost
from headrace.ingest.checkpoint import Checkpoint
from headrace.ingest.position import Position, table_position
from headrace.lake import delta

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

REMEDY = "restore the one that wrote the table, or rebuild it from the table's commits: headrace resume PIPELINE --from-table"


def check_start(spark: SparkSession, *, checkpoint: str, table: str, topic: str, topic_id: str) -> Position | None:
    """The table's position, or None where it has none yet.

    ``topic_id``: Kafka's own id of the topic as of now. Raises CheckpointError where checkpoint, table and topic do not belong
    together.
    """
    try:
        return _check(spark, checkpoint=checkpoint, table=table, topic=topic, topic_id=topic_id)
    except (Py4JJavaError, ValueError, KeyError) as error:
        raise CheckpointError(
            f"checkpoint {checkpoint} or the log of table {table} is damaged ({type(error).__name__} on reading it); restore both "
            "from a copy, or rebuild the checkpoint: headrace resume PIPELINE --from-table"
        ) from None


def check_topic(position: Position, *, table: str, topic: str, topic_id: str) -> None:
    """Raise CheckpointError where the table was filled from another topic, or from an earlier one of the same name."""
    if position.topic != topic:
        raise CheckpointError(
            f"table {table} was filled from topic {position.topic!r}, the pipeline file now says {topic!r}; "
            "declare a new stream for the new topic"
        )
    if position.topic_id is not None and position.topic_id != topic_id:
        raise remade(topic, table)


def remade(topic: str, table: str) -> CheckpointError:
    """The one sentence for a topic that is another one under the same name."""
    return CheckpointError(
        f"topic {topic!r} was deleted and made anew since table {table} was filled from it: its offsets mean other records now; "
        "declare a new stream for the new topic"
    )


def lost_ranges(until: Mapping[int, int], earliest: Mapping[int, int]) -> dict[int, tuple[int, int]]:
    """Partition to the range of offsets (first, and the one after the last) that Kafka deleted before it was read.

    ``until``: the table's position. ``earliest``: the first offset that Kafka still holds of each partition.
    """
    return {
        partition: (until.get(partition, 0), first)
        for partition, first in sorted(earliest.items())
        if first > until.get(partition, 0)
    }


def records_lost(topic: str, ranges: Mapping[int, tuple[int, int]]) -> RecordsLost:
    """The one sentence for records that Kafka deleted before they were read."""
    return RecordsLost(
        f"Kafka deleted records of topic {topic!r} that were not read ({in_words(ranges)}); restore them, or go on without "
        "them: headrace ingest PIPELINE --accept-loss writes these ranges into the ledger for ever"
    )


def in_words(ranges: Mapping[int, tuple[int, int]]) -> str:
    """Such as ``partition 0 offsets 5 to 9``."""
    return ", ".join(f"partition {number} offsets {first} to {end - 1}" for number, (first, end) in ranges.items())


def _check(spark: SparkSession, *, checkpoint: str, table: str, topic: str, topic_id: str) -> Position | None:
    state = Checkpoint(spark, checkpoint)
    query, begun = state.query_id(), state.last("offsets")
    exists = delta.exists(spark, table)
    position = table_position(spark, table) if exists else None
    if position is not None:
        check_topic(position, table=table, topic=topic, topic_id=topic_id)
    if query is None:
        if begun is not None:
            raise CheckpointError(f"checkpoint {checkpoint} has lost its file 'metadata'; {REMEDY}")
        if position is not None:
            raise CheckpointError(
                f"table {table} holds batch {position.batch} but its checkpoint {checkpoint} is gone; {REMEDY}"
            )
        return None
    if position is None:
        done = state.last("commits")
        if done is not None:
            what = "holds no batch of it" if exists else "is gone"
            raise CheckpointError(
                f"checkpoint {checkpoint} has {done + 1} finished batches but table {table} {what}; restore the table, or "
                "remove the checkpoint too to read the topic from its beginning"
            )
        return None
    _check_last(position, query=query, state=state, checkpoint=checkpoint, table=table)
    return position


def _check_last(last: Position, *, query: str, state: Checkpoint, checkpoint: str, table: str) -> None:
    if last.query != query:
        raise CheckpointError(
            f"checkpoint {checkpoint} is not the one that wrote table {table}; point lake.path to the right lake, or {REMEDY}"
        )
    begun = state.last("offsets")
    if begun is None or begun < last.batch:
        raise CheckpointError(
            f"checkpoint {checkpoint} was rolled back: it has begun batch {begun} while table {table} has batch {last.batch}; "
            f"{REMEDY}"
        )
    until = state.until(last.batch)
    if until is not None and until.get(last.topic) != last.until:
        raise CheckpointError(
            f"batch {last.batch} of table {table} ends at other offsets than in checkpoint {checkpoint}: the checkpoint was "
            f"copied or edited; {REMEDY}"
        )
    done = state.last("commits")
    if done is not None and done > last.batch:
        raise CheckpointError(
            f"table {table} was restored to an older version: its newest batch is {last.batch}, checkpoint {checkpoint} "
            f"finished {done}; restore the table's newest version, or read the later records again: "
            "headrace resume PIPELINE --from-table"
        )
