"""The independent judge of a topic and its table: confluent-kafka and delta-rs, no Spark and no code of ours.

Each record of the topic (``tests/stream/pipelines.py``'s readings) must be in the table once, with the values that were sent,
and the readings of each key must stand in the order of its offsets.
"""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from deltalake import DeltaTable

Coordinate = tuple[int, int]
Place = Coordinate | str


@dataclass
class Findings:
    """Coordinates (partition, offset) of records, or ids of predictions, that are wrong, by what is wrong with them."""

    records: int = 0
    lost: list[Place] = field(default_factory=list)
    repeated: list[Place] = field(default_factory=list)
    invented: list[Place] = field(default_factory=list)
    changed: list[Place] = field(default_factory=list)
    disordered: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not (self.lost or self.repeated or self.invented or self.changed or self.disordered)


def judge(bootstrap: str, *, topic: str, table: str, without: frozenset[Coordinate] = frozenset()) -> Findings:
    """Hold a topic against its table. ``without``: coordinates that were lost by acceptance."""
    sent = {at: value for at, value in read_topic(bootstrap, topic).items() if at not in without}
    columns = ["kafka_partition", "kafka_offset", "verdict", "id", "reading"]
    rows = DeltaTable(table).to_pyarrow_table(columns=columns).to_pylist()
    count = Counter((row["kafka_partition"], row["kafka_offset"]) for row in rows)
    stored = {(row["kafka_partition"], row["kafka_offset"]): row for row in rows}
    found = Findings(records=len(sent))
    found.lost = sorted(at for at in sent if at not in count)
    found.repeated = sorted(at for at, times in count.items() if times > 1)
    found.invented = sorted(at for at in count if at not in sent and at not in without)
    found.changed = sorted(at for at, value in sent.items() if at in stored and not _same(value, stored[at]))
    found.disordered = _disordered(rows)
    return found


def judge_predictions(bootstrap: str, *, asked: frozenset[str], topic: str, table: str) -> Findings:
    """Each request that was asked for has one prediction in the table; the topic has each of them, and the same one."""
    rows = DeltaTable(table).to_pyarrow_table(columns=["id", "probability", "model_version"]).to_pylist()
    count = Counter(row["id"] for row in rows)
    answers = {row["id"]: (row["probability"], row["model_version"]) for row in rows}
    published: dict[str, set[tuple[float, int]]] = defaultdict(set)
    for value in read_topic(bootstrap, topic).values():
        told = json.loads(value or b"{}")
        published[told["id"]].add((told["probability"], told["model_version"]))
    found = Findings(records=len(asked))
    found.lost = sorted(id for id in asked if id not in count or id not in published)
    found.repeated = sorted(id for id, times in count.items() if times > 1)
    found.invented = sorted((set(count) | set(published)) - asked)
    found.changed = sorted(id for id, told in published.items() if id in answers and told != {answers[id]})
    return found


def read_topic(bootstrap: str, topic: str) -> dict[Coordinate, bytes | None]:
    """Every committed record of a topic."""
    settings = {
        "group.id": "oracle",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "isolation.level": "read_committed",
    }
    consumer = Consumer({"bootstrap.servers": bootstrap, **settings})
    found: dict[Coordinate, bytes | None] = {}
    try:
        partitions = consumer.list_topics(topic, timeout=60).topics[topic].partitions
        consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions])
        left, end = set(partitions), time.monotonic() + 60
        while left and time.monotonic() < end:
            for message in consumer.consume(10_000, timeout=0.5):
                if message.error() is not None:
                    left.discard(message.partition())
                else:
                    found[message.partition(), message.offset()] = message.value()
        assert not left, f"partitions {left} of {topic} were not read to their end"
    finally:
        consumer.close()
    return found


def _same(value: bytes | None, row: dict[str, object]) -> bool:
    """Whether an accepted row holds what was sent; a record that is no good reading must be quarantined."""
    try:
        sent = json.loads(value or b"")
    except ValueError:
        return row["verdict"] == "quarantined"
    return (row["id"], row["reading"]) == (sent["id"], sent["reading"])


def _disordered(rows: list[dict[str, object]]) -> list[str]:
    """Keys (the meter ``m1`` of an id ``m1-17``) whose sequence numbers do not rise with their offsets."""
    by_key: dict[tuple[object, str], list[tuple[object, int]]] = defaultdict(list)
    for row in rows:
        meter, dash, sequence = str(row["id"] or "").partition("-")
        if dash:
            by_key[row["kafka_partition"], meter].append((row["kafka_offset"], int(sequence)))
    return sorted(
        meter for (_, meter), pairs in by_key.items() if [n for _, n in sorted(pairs)] != sorted(n for _, n in pairs)
    )
