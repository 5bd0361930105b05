"""A stream of readings for benchmarks: ten fields, four rules."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from confluent_kafka import Producer

from headrace.spec import Pipeline

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "stream"))

from pipelines import make_topic, write_pipeline

FIELDS = [("id", "string", False), ("at", "timestamp", False), *((f"text{n}", "string", True) for n in range(4))]
FIELDS += [(f"number{n}", "double", True) for n in range(4)]
RULES = [
    {"type": "expect_column_values_to_be_between", "kwargs": {"column": f"number{n}", "min_value": 0, "max_value": 2},
     "severity": "critical", "meta": {"rule_id": f"number{n}_plausible"}} for n in range(4)
]  # fmt: skip


def _values(count: int, share: float) -> Iterator[tuple[int, str]]:
    chance = random.Random(1)
    for number in range(count):
        record = {"id": f"{number:032x}", "at": "2026-01-01T00:00:00Z"}
        record |= {f"text{n}": f"some text of {chance.randrange(10**6)}" for n in range(4)}
        record |= {f"number{n}": round(chance.random(), 6) for n in range(4)}
        for _ in range(1 + (chance.random() < share)):
            yield number % 2, json.dumps(record)


def produce(bootstrap: str, topic: str, *, count: int, share: float = 0.0) -> None:
    """A topic of records of some 260 bytes, each sent by a producer once, a ``share`` of them twice."""
    written(bootstrap, topic, _values(count, share))


def written(bootstrap: str, topic: str, values: Iterable[tuple[int, str]]) -> None:
    """A new topic of two partitions with these values: partition and value."""
    make_topic(bootstrap, topic)
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 50, "queue.buffering.max.messages": 10**6})
    for sent, (partition, value) in enumerate(values):
        producer.produce(topic, value=value, partition=partition)
        if sent % 10_000 == 0:
            producer.poll(0)
    producer.flush(60)


def pipeline(folder: Path, *, bootstrap: str, topic: str, extra: str = "") -> Pipeline:
    """A pipeline of one stream, ``readings``, its lake beside it. ``extra``: one more YAML line of the stream."""
    return write_pipeline(
        folder, bootstrap=bootstrap, topic=topic, fields=FIELDS, rules=RULES, protect="{}", extra=extra
    )
