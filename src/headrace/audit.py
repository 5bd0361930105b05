"""Accounting by independent readers: what is in Kafka, read by confluent-kafka; what is in the tables, read by delta-rs."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from headrace.connections import Broker
from headrace.errors import AccountingError
from headrace.ingest.source import client_settings, end_offsets

Coordinate = tuple[str, int, int]
"""Topic, partition, offset."""
POLL_S, SILENCE_S = 0.2, 10.0


@dataclass(frozen=True)
class Account:
    """Records in Kafka held against rows in a table, record by record."""

    in_kafka: int
    accounted: int
    """Records of Kafka that are in the table exactly once."""
    missing: int
    repeated: int
    unknown: int
    """Rows whose record is not in Kafka (any more)."""
    verdicts: dict[str, int]

    @property
    def adds_up(self) -> bool:
        return self.in_kafka == self.accounted and not (self.missing or self.repeated or self.unknown)


def account(broker: Broker, *, topic: str, table: str) -> Account:
    """Compare a topic, up to its end now, with its events table (a local path). No Spark and no counter of ours is used.

    Raises BrokerError where Kafka does not answer, AccountingError where it stops answering midway.
    """
    in_kafka = read_coordinates(broker, topic)
    in_table, verdicts = table_coordinates(table)
    once = sum(1 for coordinate in in_kafka if in_table.get(coordinate) == 1)
    return Account(
        in_kafka=len(in_kafka),
        accounted=once,
        missing=sum(1 for coordinate in in_kafka if coordinate not in in_table),
        repeated=sum(1 for count in in_table.values() if count > 1),
        unknown=sum(1 for coordinate in in_table if coordinate not in in_kafka),
        verdicts=verdicts,
    )


def read_coordinates(broker: Broker, topic: str) -> set[Coordinate]:
    """Coordinates of all records of a topic, each one read."""
    from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

    ends = end_offsets([topic], bootstrap=broker.bootstrap, options=broker.options)[topic]
    left = {partition for partition, end in ends.items() if end > 0}
    settings = {
        "group.id": "headrace-audit", "enable.auto.commit": False, "enable.partition.eof": True,
        "isolation.level": "read_committed", "auto.offset.reset": "earliest",
    }  # fmt: skip
    consumer = Consumer({**client_settings(broker.bootstrap, broker.options), **settings})
    found: set[Coordinate] = set()
    try:
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in left])
        heard = time.monotonic()
        while left:
            messages = consumer.consume(num_messages=10_000, timeout=POLL_S)  # waits for so many, or so long
            heard = time.monotonic() if messages else heard
            if time.monotonic() - heard > SILENCE_S:
                raise AccountingError(
                    f"Kafka sent nothing of topic {topic!r} for {SILENCE_S:.0f} s; is the broker well? try again"
                )
            for message in messages:
                partition, offset = int(message.partition() or 0), int(message.offset() or 0)
                if message.error() is None and offset < ends[partition]:
                    found.add((topic, partition, offset))
                if message.error() is not None or offset >= ends[partition] - 1:
                    left.discard(partition)
    finally:
        consumer.close()
    return found


def table_coordinates(table: str) -> tuple[Mapping[Coordinate, int], dict[str, int]]:
    """How often each coordinate is in a table, and the rows of each verdict."""
    from deltalake import DeltaTable

    columns = ["kafka_topic", "kafka_partition", "kafka_offset", "verdict"]
    rows = DeltaTable(table).to_pyarrow_table(columns=columns)
    topics, partitions, offsets, verdicts = (rows.column(name).to_pylist() for name in columns)
    return Counter(zip(topics, partitions, offsets, strict=True)), dict(Counter(verdicts))
