"""Offsets: every one before a stream's end was read once, by one batch, or is lost by acceptance."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from headrace.audit.findings import Finding, Ranges, in_words, joined
from headrace.connections import Broker
from headrace.ingest.records import read_records
from headrace.ingest.source import Topic, held_offsets
from headrace.lake.ledger.record import BATCH, UNKNOWN, Record

MOST_COUNTED = 1_000_000
"""Up to so many offsets the records that wait are counted; above, the offsets stand for them."""


@dataclass(frozen=True)
class Coverage:
    """Where a stream stands in its topic."""

    held: dict[int, tuple[int, int]]
    """Partition to the earliest offset that Kafka holds, and the end."""
    until: dict[int, int]
    """Partition to the offset at which the table ends."""
    lost: Ranges
    """Offsets lost by acceptance."""
    waiting: int
    """Records that were not read yet; no fault."""
    waiting_exact: bool
    """False where there are too many offsets to count their records: there may be fewer."""


def cover(broker: Broker, topic: str, *, live: Sequence[Record], losses: Sequence[Record]) -> Coverage:
    """Where the table ends, and what waits behind it. Raises BrokerError."""
    held = held_offsets([topic], bootstrap=broker.bootstrap, options=broker.options)[topic]
    until: dict[int, int] = {}
    for record in live:
        for partition, end in record.until.items():
            until[partition] = max(until.get(partition, 0), end)
    lost: Ranges = {}
    for record in losses:
        for partition, span in record.lost.items():
            lost[partition] = joined([*lost.get(partition, []), span])
    left = {p: (max(until.get(p, 0), low), high) for p, (low, high) in held.items() if high > until.get(p, 0)}
    offsets = sum(high - low for low, high in left.values())
    exact = offsets <= MOST_COUNTED
    waiting = sum(len(chunk.messages) for chunk in read_records(broker, topic, left)) if exact else offsets
    return Coverage(held, until, lost, waiting, exact)


def check_offsets(
    broker: Broker, topic: str, live: Sequence[Record], coverage: Coverage, *, takes: Callable[[Record], bool]
) -> Iterator[Finding]:
    """Ranges that no batch read and nobody accepted as lost, and those that two batches read.

    ``live`` in the order of their commits; ``takes``: the batches before which a range is looked at. A range without a record
    (transactions leave such) is no fault.
    """
    skipped, twice = _seams(live, coverage, takes)
    for partition, spans in _without(skipped, coverage.lost).items():
        for first, end in spans:
            yield from _check_skipped(
                broker, topic, partition, (first, end), low=coverage.held.get(partition, (end, end))[0]
            )
    if twice:
        numbers = tuple(sorted({number for found in twice.values() for number, _ in found}))
        ranges = {partition: joined(span for _, span in found) for partition, found in twice.items()}
        yield Finding("offsets", f"{in_words(ranges)}: read by two batches", numbers, ranges)


def check_topic(broker: Broker, topic: str, live: Sequence[Record], coverage: Coverage) -> Iterator[Finding]:
    """Whether the topic is still the one that was read."""
    ids = [str(record.told["topic_id"]) for record in live if record.kind == BATCH and record.told.get("topic_id")]
    if ids and Topic(topic, broker=broker).id() != ids[-1]:
        yield Finding(
            "topic", f"topic {topic!r} was deleted and made anew since it was read: its offsets mean other records now"
        )
        return
    for partition, (_, high) in coverage.held.items():
        until = coverage.until.get(partition, 0)
        if high < until:
            text = f"partition {partition} of topic {topic!r} ends at {high}, before the table's {until}: did Kafka lose records?"
            yield Finding("topic", text, offsets={partition: [(high, until)]})


def _seams(
    live: Sequence[Record], coverage: Coverage, takes: Callable[[Record], bool]
) -> tuple[Ranges, dict[int, list[tuple[int, tuple[int, int]]]]]:  # fmt: skip
    """Between each batch and the one before it: offsets that were left out, and offsets that were taken again."""
    reached: dict[int, int] = {}
    skipped: Ranges = {}
    twice: dict[int, list[tuple[int, tuple[int, int]]]] = {}
    forgotten = any(
        record.kind == UNKNOWN for record in live
    )  # where the first batch that is known began, nobody knows
    for batch in (record for record in live if record.kind == BATCH):
        for partition, (first, end) in batch.spans.items():
            low = first if forgotten else coverage.held.get(partition, (first, 0))[0]
            before = reached.get(partition, min(low, first))
            if first > before and takes(batch):
                skipped.setdefault(partition, []).append((before, first))
            elif first < min(before, end) and takes(batch):
                twice.setdefault(partition, []).append((batch.batch, (first, min(before, end))))
            reached[partition] = max(end, before if partition in reached else 0)
    return skipped, twice


def _without(ranges: Ranges, lost: Ranges) -> Ranges:
    """``ranges`` less those lost by acceptance."""
    left: Ranges = {}
    for partition, spans in ranges.items():
        for first, end in spans:
            at = first
            for gone, back in lost.get(partition, []):
                if at < min(gone, end):
                    left.setdefault(partition, []).append((at, min(gone, end)))
                at = max(at, min(back, end)) if back > at and gone < end else at
            if at < end:
                left.setdefault(partition, []).append((at, end))
    return left


def _check_skipped(
    broker: Broker, topic: str, partition: int, span: tuple[int, int], *, low: int
) -> Iterator[Finding]:  # fmt: skip
    first, end = span
    where = in_words({partition: [span]})
    if low > first:
        text = f"{where}: no batch read them, Kafka has deleted some of them, and nobody accepted their loss"
        yield Finding("offsets", text, offsets={partition: [span]})
        return
    records = sum(len(chunk.messages) for chunk in read_records(broker, topic, {partition: (first, end)}))
    if records:
        yield Finding("offsets", f"{where}: {records} records in Kafka that no batch read", offsets={partition: [span]})
