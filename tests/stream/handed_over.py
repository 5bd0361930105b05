"""Judges the files of an export against what was sent, by readers of its own: each row of the person's once, and nobody else's."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Message, TopicPartition

Where = tuple[str, int]
"""Topic and offset (of partition 0)."""


@dataclass(frozen=True)
class Sent:
    """A record as Kafka has it."""

    key: bytes | None
    value: bytes | None


def stored(bootstrap: str, topic: str, partition: int) -> Iterator[Message]:
    """All that a partition holds, to its end, by confluent-kafka."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "oracle", "enable.partition.eof": True})
    consumer.assign([TopicPartition(topic, partition, 0)])
    while (message := consumer.poll(60)) is not None and message.error() is None:
        yield message
    consumer.close()
    assert message is not None, f"{topic} was not read to its end"


def sent_to(bootstrap: str, topic: str) -> dict[Where, Sent]:
    """All records of partition 0."""
    return {(topic, one.offset()): Sent(one.key(), one.value()) for one in stored(bootstrap, topic, 0)}


def lines_of(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """File to its lines."""
    files = sorted(path for path in folder.iterdir() if path.suffix == ".jsonl")
    return {file.name: [json.loads(line) for line in file.read_text("utf-8").splitlines()] for file in files}


def faults(
    folder: Path, sent: Mapping[Where, Sent], hers: Collection[Where], pseudonyms: Mapping[str, Collection[str]]
) -> list[str]:
    """What is wrong in the files of events: missing, repeated, foreign or different rows. ``pseudonyms``: by column, hers."""
    lines = [line for name, found in lines_of(folder).items() if name.startswith("events.") for line in found]
    counted = Counter((line["record"]["topic"], line["record"]["offset"]) for line in lines)
    found = [f"missing {where}" for where in sorted(set(hers) - set(counted))]
    found += [f"foreign {where}" for where in sorted(set(counted) - set(hers))]
    found += [f"repeated {where}" for where, times in sorted(counted.items()) if times > 1]
    for line in lines:
        where = (line["record"]["topic"], line["record"]["offset"])
        if where in sent:
            found += [f"different {where} {name}" for name in _different(line, sent[where], pseudonyms)]
    return found


def _different(line: dict[str, Any], sent: Sent, pseudonyms: Mapping[str, Collection[str]]) -> Iterator[str]:
    row = line["row"]
    if row["verdict"] == "quarantined":
        original = line["original"]
        if (original["key"], original["value"]) != ((sent.key or b"").decode(), (sent.value or b"").decode()):
            yield "original"
        return
    told = json.loads(sent.value or b"")
    if "original" in line or line["unopened"]:
        yield "unopened"
    yield from (name for name in ("id", "name", "memo", "city") if row[name] != told[name])
    if row["home"]["street"] != told["home"]["street"]:
        yield "home.street"
    if datetime.fromisoformat(row["at"]) != datetime.fromisoformat(told["at"]):
        yield "at"
    if row["born"] != int(told["born"][:4]):
        yield "born"
    for name, known in pseudonyms.items():
        if row[name] not in (known if told[name] is not None else (None,)):
            yield name
