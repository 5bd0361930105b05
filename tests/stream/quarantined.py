"""A lake whose quarantine holds what a wrong rule, a strict schema and real faults have put aside; each test takes a copy."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, TopicPartition
from deltalake import DeltaTable
from pipelines import make_topic, reading, send, write_pipeline

from headrace.connections import Broker
from headrace.ingest.replay import release
from headrace.ingest.run import start_ingest
from headrace.ingest.selection import Selection
from headrace.lake.lease import leased
from headrace.spec import Pipeline, load

HOSTILE = "x' or '1'='1\" [red]*\x1b[31m\u202e; drop table"
"""Name of a rule that would do harm wherever a name is parsed, or printed as it is."""
STREAM = "readings"
EVERYTHING = Selection()
GOOD, ABOVE_100, ABOVE_1000 = range(20), range(101, 121), range(1001, 1006)
RECORDS: list[str] = [
    *(reading(n) for n in GOOD),
    *(reading(n) for n in ABOVE_100),  # put aside by a wrong rule
    *(reading(n, load=None) for n in ABOVE_1000),  # put aside by it too, and by a right one (a maximum of 1000)
    reading(5, id=None),  # put aside by a schema that is too strict
    reading(6, reading="abc"),
    reading(7)[:-5],  # malformed
]
"""Offsets follow this order: the topic has one partition."""
HEADERS = (("trace", b"t-1"), ("trace", None), ("raw", b"\xff"))
RELEASED = {*range(20, 40), 45}
"""Offsets that the right rules and schema let pass."""


@dataclass(frozen=True)
class Lake:
    """A pipeline's folder with its lake and keys."""

    folder: Path

    @property
    def pipeline(self) -> Pipeline:
        """The pipeline file as it is now."""
        return load(self.folder)

    @property
    def table(self) -> str:
        return str(self.folder / "lake" / "events" / STREAM)

    @property
    def version(self) -> int:
        return DeltaTable(self.table).version()

    def rows(self) -> dict[int, dict[str, Any]]:
        """Offset to row, read by delta-rs."""
        rows = DeltaTable(self.table).to_pyarrow_table().to_pylist()
        assert len({row["kafka_offset"] for row in rows}) == len(rows), "a record is there twice"
        return {row["kafka_offset"]: row for row in rows}

    def accepted(self) -> set[int]:
        return {offset for offset, row in self.rows().items() if row["verdict"] == "accepted"}

    def commit(self) -> dict[str, Any]:
        """What the newest commit says of itself."""
        return json.loads(DeltaTable(self.table).history(1)[0].get("userMetadata") or "{}")

    def versions_of(self, kind: str) -> list[int]:
        """Versions whose commits are of a kind (batch, replay)."""
        history = DeltaTable(self.table).history()
        return [
            entry["version"] for entry in history if json.loads(entry.get("userMetadata") or "{}").get("headrace") == kind
        ]  # fmt: skip

    def lease(self, spark):
        return leased(spark, self.table, what=f"events/{STREAM}")

    def mend(self) -> None:
        """The rule allows what is right, and the schema lets an id be absent."""
        write_rules(self.folder, maximum=1000)
        schema = json.loads((self.folder / "readings.json").read_text())
        schema["fields"][0]["nullable"] = True
        (self.folder / "readings.json").write_text(json.dumps(schema))

    def copy(self, to: Path) -> Lake:
        shutil.copytree(self.folder, to)
        text = (to / "pipeline.yaml").read_text()
        (to / "pipeline.yaml").write_text(text.replace(str(self.folder), str(to)))
        return Lake(to)


def write_rules(folder: Path, *, maximum: int) -> None:
    suite = json.loads((folder / "suite.json").read_text())
    suite["expectations"][0]["kwargs"]["max_value"] = maximum
    suite["expectations"][0]["meta"]["rule_id"] = HOSTILE
    (folder / "suite.json").write_text(json.dumps(suite))


def make_lake(spark, folder: Path, *, bootstrap: str, topic: str) -> Lake:
    """The records, ingested by the wrong rule."""
    make_topic(bootstrap, topic, partitions=1)
    send(bootstrap, topic, RECORDS, partition=0, headers=HEADERS)
    write_pipeline(folder, bootstrap=bootstrap, topic=topic)
    write_rules(folder, maximum=100)
    start_ingest(spark, load(folder), broker=Broker(bootstrap, {}), until_caught_up=True).wait()
    return Lake(folder)


def released(spark, lake: Lake, *, selection: Selection = EVERYTHING, request: str = "r", on_step=lambda step: None):
    """What a replay of these rows did, under the table's lease."""
    with lake.lease(spark) as lease:
        return release(
            spark, lake.pipeline, stream=STREAM, selection=selection, request=request, lease=lease, on_step=on_step
        )  # fmt: skip


def offsets_in_kafka(bootstrap: str, topic: str) -> list[int]:
    """By an independent reader: the offsets of all records of partition 0."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "oracle", "enable.partition.eof": True})
    consumer.assign([TopicPartition(topic, 0, 0)])
    found: list[int] = []
    while (message := consumer.poll(10)) is not None and message.error() is None:
        found.append(message.offset())
    consumer.close()
    return found
