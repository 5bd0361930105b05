"""A small pipeline for tests: one stream of meter readings, with a name that must not be kept in clear."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from headrace.spec import Pipeline, load

FIELDS = (
    ("id", "string", False),
    ("at", "timestamp", False),
    ("reading", "integer", True),
    ("load", "double", True),
    ("owner", "string", True),
)
RULES = [
    {"type": "expect_column_values_to_be_between", "kwargs": {"column": "reading", "min_value": 0, "max_value": 100000},
     "severity": "critical", "meta": {"rule_id": "reading_plausible"}},
    {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "load", "mostly": 0.1},
     "severity": "warning", "meta": {"rule_id": "load_known"}},
]  # fmt: skip


PROTECT = "{owner: {pseudonym: owners}}"


def write_pipeline(
    folder: Path,
    *,
    bootstrap: str,
    topic: str,
    fields: Iterable[tuple[str, str, bool]] = FIELDS,
    rules: Sequence[Mapping[str, object]] = RULES,
    protect: str = PROTECT,
    extra: str = "",
) -> Pipeline:
    """The pipeline in ``folder``, its lake and keys beside it. ``extra``: more YAML lines of the stream."""
    folder.mkdir(parents=True, exist_ok=True)
    schema = {"type": "struct", "fields": [{"name": n, "type": t, "nullable": o, "metadata": {}} for n, t, o in fields]}
    (folder / "readings.json").write_text(json.dumps(schema))
    (folder / "suite.json").write_text(json.dumps({"name": "readings", "expectations": rules}))
    (folder / "pipeline.yaml").write_text(
        f"""pipeline: meters
kafka: {{bootstrap_servers: "{bootstrap}"}}
lake: {{path: {folder / "lake"}}}
keys: {{ring: {folder / "keys.json"}}}
streams:
  readings:
    topic: {topic}
    schema: readings.json
    event_time: at
    known_at: at
    expectations: suite.json
    protect: {protect}
    {extra}
"""
    )
    return load(folder)


def make_topic(bootstrap: str, topic: str, *, partitions: int = 2, **settings: str) -> None:
    """A new topic that keeps everything."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    new = NewTopic(topic, partitions, config={"retention.ms": "-1", "max.message.bytes": "16000000", **settings})
    admin.create_topics([new])[topic].result(20)


def send(
    bootstrap: str,
    topic: str,
    values: Iterable[bytes | str | None],
    *,
    partition: int = -1,
    headers: Sequence[tuple[str, bytes | None]] = (),
) -> None:
    """Send values in order, each with these headers; each delivery is checked."""
    failed: list[object] = []
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5, "message.max.bytes": 16_000_000})
    for number, value in enumerate(values):
        placed = {} if partition < 0 else {"partition": partition}
        producer.produce(
            topic, key=f"k{number}", value=value, headers=list(headers) or None,
            on_delivery=lambda e, _: failed.append(e) if e else None, **placed,
        )  # fmt: skip
        producer.poll(0)
    assert producer.flush(30) == 0
    assert not failed


def reading(number: int, **fields: object) -> str:
    """A good record."""
    stamp = f"2026-01-01T{number // 3600 % 24:02d}:{number // 60 % 60:02d}:{number % 60:02d}Z"
    return json.dumps(
        {"id": f"m{number}", "at": stamp, "reading": number, "load": 0.5, "owner": f"Ada {number}", **fields}
    )
