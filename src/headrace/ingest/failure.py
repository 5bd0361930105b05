"""A query's failure as one sentence."""

from __future__ import annotations

import re

from headrace.errors import BrokerError, CheckpointError, HeadraceError
from headrace.ingest.guard import lost_ranges, records_lost
from headrace.ingest.refusals import refusal
from headrace.ingest.writer import BatchWriter
from headrace.lake.files import storage_error

_LOSS = ("OffsetOutOfRange", "failOnDataLoss", "offset was changed", "KAFKA_DATA_LOSS")
_SILENCE = ("TimeoutException", "Connection to node", "DisconnectException")


def query_failure(
    text: str, *, stream: str, writer: BatchWriter | None = None, topic: str | None = None
) -> HeadraceError:  # fmt: skip
    """The error for what Spark says of a query that failed; it quotes nothing that may hold a value.

    ``writer``: of its batches, where it reads a topic. ``topic``: the one that it writes to.
    """
    known = storage_error(Exception(text), f"stream {stream!r}")
    if known:
        return known
    writing = writer is None
    topic = topic if writing else writer.topic.name
    refused = refusal(text, topic=topic, writing=writing) if topic is not None else None
    if refused:
        return BrokerError(f"stream {stream!r}: {refused}")
    if writer is not None and any(sign in text for sign in _LOSS):
        return _loss(stream, writer)
    if any(sign in text for sign in _SILENCE):
        return BrokerError(
            f"stream {stream!r}: Kafka stopped answering; start the broker and run the same command again"
        )
    kinds = [kind for kind in re.findall(r"\[([A-Z][A-Z0-9_.]+)\]", text) if kind != "STREAM_FAILED"]
    why = kinds[0] if kinds else "an error in Spark"  # its text may quote values
    return HeadraceError(f"stream {stream!r} stopped by {why}; nothing was lost: run the same command again")


def _loss(stream: str, writer: BatchWriter) -> HeadraceError:
    try:
        writer.check_topic()
        ranges = lost_ranges(writer.until, writer.topic.earliest())
    except (BrokerError, CheckpointError) as error:
        return error
    if ranges:
        return records_lost(writer.topic.name, ranges)
    return BrokerError(
        f"stream {stream!r}: Kafka answers with offsets that contradict what was read (an unclean leader election?); see to "
        "the topic, then run the same command again: the start says what is missing"
    )
