"""Counting a batch's records again, where the count of the pass that wrote it is missing or disagrees with the commit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from headrace.lake.ledger.record import BY_KAFKA, GONE, Record

Spans = dict[int, tuple[int, int]]
"""Partition to offsets: the first, and the one after the last."""


@dataclass(frozen=True)
class Recount:
    """Records that Kafka holds in some spans."""

    records: int
    whole: bool
    """False where Kafka may have deleted some of them since: retention has come so far, or the topic is compacted."""


Counter = Callable[[Sequence[Spans]], list[Recount]]
"""Counts the records of each of these spans, in Kafka and not in the table."""


def recounted(batches: Sequence[Record], count: Counter) -> list[Record]:
    """The batches' records with what Kafka holds of them now, as far as that tells what was read."""
    counts = count([batch.spans for batch in batches]) if batches else []
    return [_with(batch, found) for batch, found in zip(batches, counts, strict=True)]


def _with(batch: Record, found: Recount) -> Record:
    if found.whole or found.records == batch.total:
        return replace(batch, read=found.records, counted=BY_KAFKA)
    return replace(batch, read=None, counted=GONE)
