"""A stream of readings for benchmarks: ten fields, four rules."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from headrace.spec import Pipeline, load

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
    new = NewTopic(topic, 2, config={"retention.ms": "-1"})
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([new])[topic].result(20)
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 50, "queue.buffering.max.messages": 10**6})
    for sent, (partition, value) in enumerate(_values(count, share)):
        producer.produce(topic, value=value, partition=partition)
        if sent % 10_000 == 0:
            producer.poll(0)
    producer.flush(60)


def pipeline(folder: Path, *, bootstrap: str, topic: str, extra: str = "") -> Pipeline:
    """A pipeline of one stream, ``readings``, its lake beside it. ``extra``: one more YAML line of the stream."""
    folder.mkdir(exist_ok=True)
    fields = [{"name": n, "type": t, "nullable": o, "metadata": {}} for n, t, o in FIELDS]
    (folder / "schema.json").write_text(json.dumps({"type": "struct", "fields": fields}))
    (folder / "suite.json").write_text(json.dumps({"name": "bench", "expectations": RULES}))
    (folder / "pipeline.yaml").write_text(
        f"""pipeline: bench
kafka: {{bootstrap_servers: "{bootstrap}"}}
lake: {{path: {folder / "lake"}}}
keys: {{ring: {folder / "keys.json"}}}
streams:
  readings:
    topic: {topic}
    schema: schema.json
    event_time: at
    known_at: at
    expectations: suite.json
    {extra}
"""
    )
    return load(folder)
