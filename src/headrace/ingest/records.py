"""Reading a topic's records between offsets with confluent-kafka: to count them again, or to look at each.

Offsets have gaps (transactions, compaction), so a number of records is always counted, never computed from offsets.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from headrace.connections import Broker
from headrace.errors import AccountingError
from headrace.ingest.driver_read import END_TIME, FIRST_TIME
from headrace.ingest.source import client_settings, held_offsets, topic_settings, unreachable
from headrace.lake.ledger.recount import Recount, Spans

AT_ONCE = 10_000
"""Records in a chunk, at most."""
POLL_S, SILENCE_S = 0.2, 10.0
_MEMORY_KB = 32_768


@dataclass(frozen=True)
class Chunk:
    """Some records of one partition, in order."""

    partition: int
    offsets: np.ndarray
    """int64."""
    messages: list[Any] = field(repr=False)
    """confluent-kafka's own."""

    @property
    def times(self) -> np.ndarray:
        """Milliseconds since 1970, int64; -1 where a record has no timestamp, or one that a table can't hold."""
        stamps = (message.timestamp() for message in self.messages)
        times = (stamp if kind and FIRST_TIME <= stamp < END_TIME else -1 for kind, stamp in stamps)
        return np.fromiter(times, np.int64, len(self.messages))


def read_records(broker: Broker, topic: str, spans: Mapping[int, tuple[int, int]]) -> Iterator[Chunk]:
    """The records of a topic in these spans (partition to first offset and the one after the last), of committed transactions.

    Records that Kafka no longer holds are passed over. Needs about 50 MB, however many they are. Raises BrokerError where
    Kafka does not answer, AccountingError where it stops answering midway.
    """
    from confluent_kafka import Consumer, KafkaException, TopicPartition

    left = {partition: end for partition, (first, end) in spans.items() if first < end}
    if not left:
        return
    settings = {
        "group.id": "headrace-audit", "enable.auto.commit": False, "enable.partition.eof": True,
        "isolation.level": "read_committed", "auto.offset.reset": "earliest", "queued.max.messages.kbytes": _MEMORY_KB,
    }  # fmt: skip
    consumer = Consumer({**client_settings(broker.bootstrap, broker.options), **settings})
    try:
        consumer.assign([TopicPartition(topic, partition, spans[partition][0]) for partition in left])
        heard = time.monotonic()
        while left:
            messages = consumer.consume(num_messages=AT_ONCE, timeout=POLL_S)  # waits for so many, or so long
            heard = time.monotonic() if messages else heard
            _raise_errors(messages)
            if time.monotonic() - heard > SILENCE_S:
                raise AccountingError(
                    f"Kafka sent nothing of topic {topic!r} for {SILENCE_S:.0f} s; is the broker well? try again"
                )
            for partition, found in _by_partition(messages).items():
                if partition not in left:
                    continue
                chunk, done = _within(partition, found, left[partition])
                if len(chunk.messages):
                    yield chunk
                if done:
                    del left[partition]
                    consumer.incremental_unassign([TopicPartition(topic, partition)])
    except KafkaException as error:
        raise unreachable(broker.bootstrap, error, broker.options) from None
    finally:
        consumer.close()


def count_records(broker: Broker, topic: str, batches: Sequence[Spans]) -> list[Recount]:
    """How many records Kafka holds in the spans of each batch, in one pass over the topic. Raises as above."""
    spans = _around(batches)
    held = held_offsets([topic], bootstrap=broker.bootstrap, options=broker.options)[topic]
    counts = np.zeros(len(batches), np.int64)
    edges = {partition: _edges(batches, partition) for partition in spans}
    for chunk in read_records(broker, topic, spans):
        firsts, ends, numbers = edges[chunk.partition]
        counts[numbers] += np.searchsorted(chunk.offsets, ends) - np.searchsorted(chunk.offsets, firsts)
    kept = not is_compacted(broker, topic)
    return [
        Recount(
            int(count),
            kept and all(held.get(p, (end, 0))[0] <= first for p, (first, end) in spans.items() if first < end),
        )
        for count, spans in zip(counts, batches, strict=True)
    ]


def is_compacted(broker: Broker, topic: str) -> bool:
    """Whether Kafka may delete single records of the topic; True too where it does not say."""
    settings = topic_settings(broker, topic)
    return settings is None or "compact" in settings["cleanup.policy"]


def _raise_errors(messages: list[Any]) -> None:
    """Raise the KafkaException that stands among messages; an end of a partition is none."""
    from confluent_kafka import KafkaError, KafkaException

    for message in messages:
        error = message.error()
        if error is not None and error.code() != KafkaError._PARTITION_EOF:  # pyright: ignore[reportPrivateUsage]
            raise KafkaException(error)


def _by_partition(messages: list[Any]) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    for message in messages:
        found.setdefault(message.partition(), []).append(message)
    return found


def _within(partition: int, messages: list[Any], end: int) -> tuple[Chunk, bool]:
    """Those before ``end``, and whether there are no more of them."""
    good = [message for message in messages if message.error() is None]
    offsets = np.fromiter((message.offset() for message in good), np.int64, len(good))
    inside = int(np.searchsorted(offsets, end))
    done = inside < len(good) or len(good) < len(messages) or (inside > 0 and offsets[inside - 1] == end - 1)
    return Chunk(partition, offsets[:inside], good[:inside]), done


def _around(batches: Sequence[Spans]) -> Spans:
    found: Spans = {}
    for spans in batches:
        for partition, (first, end) in spans.items():
            if first < end:
                low, high = found.get(partition, (first, end))
                found[partition] = (min(low, first), max(high, end))
    return found


def _edges(batches: Sequence[Spans], partition: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """First offsets, end offsets and numbers of the batches that took records of a partition."""
    rows = [(*spans[partition], number) for number, spans in enumerate(batches) if partition in spans]
    table = np.array(rows, np.int64).reshape(-1, 3)
    return table[:, 0], table[:, 1], table[:, 2]
