"""The way of catalogue and fuzz through a real broker and a real ingest: two topics, two tables, one run."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from catalogue import KINDS
from catalogue.poison import Poison
from confluent_kafka import Producer
from deltalake import DeltaTable
from fuzz import COUNT, SEED, fuzzed
from pipelines import make_topic
from pyspark.sql import SparkSession

from headrace.connections import Broker
from headrace.ingest.run import start_ingest
from headrace.ingest.writer import BatchReport
from headrace.privacy.keys import KeyRing, open_ring
from headrace.spec import Pipeline, load

COMMON = [
    ("id", "string", False),
    ("at", "timestamp", False),
    ("owner", "string", True),
    ("n", "integer", True),
    ("x", "double", True),
]
PLAIN = [
    *COMMON, ("b", "long", True), ("flag", "boolean", True), ("day", "date", True), ("money", "decimal(10,2)", True),
    ("big", "decimal(38,0)", True), ("phone", "string", True), ("secret", "string", True),
]  # fmt: skip
ADDRESS = [("city", "string", True), ("zip", "integer", False), ("seen", "timestamp", True), ("lat", "double", True)]
PROTECTED = {"owner": {"pseudonym": "owners"}, "phone": {"mask": 2}, "secret": "drop"}


def struct(fields: Iterable[tuple[str, object, bool]]) -> dict[str, object]:
    return {"type": "struct", "fields": [{"name": n, "type": t, "nullable": o, "metadata": {}} for n, t, o in fields]}


def array(element: object, *, nulls: bool = True) -> dict[str, object]:
    return {"type": "array", "elementType": element, "containsNull": nulls}


STRICT = [
    *COMMON, ("address", struct(ADDRESS), True), ("tags", array("string"), True), ("codes", array("integer", nulls=False), True),
    ("items", array(struct([("sku", "string", True), ("qty", "integer", True)])), True), ("days", array("date"), True),
]  # fmt: skip
SCHEMAS = {"plain": PLAIN, "strict": STRICT}
COLUMNS = {name: [field for field, *_ in fields if PROTECTED.get(field) != "drop"] for name, fields in SCHEMAS.items()}


def write_pipeline(folder: Path, *, bootstrap: str, topics: str = "poison") -> Pipeline:
    """The pipeline of both streams in ``folder``, its lake and keys beside it. ``topics``: how their names begin."""
    streams: dict[str, dict[str, object]] = {}
    for name, fields in SCHEMAS.items():
        (folder / f"{name}.json").write_text(json.dumps(struct(fields)))
        streams[name] = {
            "topic": f"{topics}-{name}", "schema": f"{name}.json", "event_time": "at", "known_at": "at",
            "unknown_fields": "quarantine" if name == "strict" else "ignore",
            "protect": {field: how for field, how in PROTECTED.items() if field in [field for field, *_ in fields]},
        }  # fmt: skip
    lake, ring = {"path": str(folder / "lake")}, {"ring": str(folder / "keys.json")}
    text = {
        "pipeline": "poison",
        "kafka": {"bootstrap_servers": bootstrap},
        "lake": lake,
        "keys": ring,
        "streams": streams,
    }
    (folder / "pipeline.yaml").write_text(json.dumps(text))
    return load(folder)


def send(bootstrap: str, topic: str, records: Sequence[Poison], *, in_a_transaction: int = 250) -> list[int]:
    """Send the records to a new topic, in transactions with aborted ones between them; the offset of each."""
    make_topic(bootstrap, topic, partitions=1, **{"message.timestamp.after.max.ms": str(2**63 - 1)})
    producer = Producer(
        {"bootstrap.servers": bootstrap, "transactional.id": topic, "message.max.bytes": 16_000_000, "linger.ms": 5}
    )
    producer.init_transactions(20)
    offsets: dict[int, int] = {}

    def produce(record: Poison, number: int | None) -> None:
        def delivered(error: object, message: Any) -> None:
            assert error is None, error
            if number is not None:
                offsets[number] = message.offset()

        headers = list(record.headers) or None
        producer.produce(
            topic, record.value, record.key, headers=headers, timestamp=record.timestamp, on_delivery=delivered
        )
        producer.poll(0)

    for start in range(0, len(records), in_a_transaction):
        part = records[start : start + in_a_transaction]
        producer.begin_transaction()
        for number, record in enumerate(part, start):
            produce(record, number)
        producer.commit_transaction(60)
        producer.begin_transaction()
        produce(part[0], None)
        producer.flush(60)
        producer.abort_transaction(60)
    return [offsets[number] for number in range(len(records))]


@dataclass(frozen=True)
class Ingested:
    """What was sent and what became of it. Each map: stream to offset to what lies there."""

    folder: Path
    catalogue: Mapping[str, Mapping[int, Poison]]
    fuzzed: Mapping[str, Mapping[int, Poison]]
    rows: Mapping[str, Mapping[int, list[dict[str, Any]]]]
    reports: list[BatchReport]
    ring: KeyRing

    @property
    def lake(self) -> Path:
        return self.folder / "lake"


def ingest_all(spark: SparkSession, folder: Path, *, bootstrap: str) -> Ingested:
    """Send the catalogue, then the fuzzed records, and ingest them together: compiling a stream's way takes the most time."""
    pipeline = write_pipeline(folder, bootstrap=bootstrap)
    whole = [record for records in KINDS.values() for record in records]
    chance = list(fuzzed(SEED, COUNT))
    sent: dict[str, tuple[dict[int, Poison], dict[int, Poison]]] = {}
    for stream in SCHEMAS:
        mine, more = ([record for record in records if record.stream == stream] for records in (whole, chance))
        offsets = send(bootstrap, f"poison-{stream}", [*mine, *more])
        sent[stream] = (
            dict(zip(offsets[: len(mine)], mine, strict=True)),
            dict(zip(offsets[len(mine) :], more, strict=True)),
        )
    reports: list[BatchReport] = []
    start_ingest(spark, pipeline, broker=Broker(bootstrap, {}), until_caught_up=True, on_batch=reports.append).wait()
    return Ingested(
        folder=folder,
        catalogue={stream: first for stream, (first, _) in sent.items()},
        fuzzed={stream: second for stream, (_, second) in sent.items()},
        rows={stream: rows_by_offset(folder / "lake" / "events" / stream) for stream in SCHEMAS},
        reports=reports,
        ring=open_ring(folder / "keys.json"),
    )


def rows_by_offset(table: Path) -> dict[int, list[dict[str, Any]]]:
    """All rows of a table, read by delta-rs."""
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in DeltaTable(str(table)).to_pyarrow_table().to_pylist():
        found[row["kafka_offset"]].append(row)
    return dict(found)


def places_of(text: str, folder: Path) -> list[str]:
    """The files below a folder that hold the text: in their bytes, or in a value of a Parquet file."""
    return [str(path) for path in sorted(folder.rglob("*")) if path.is_file() and _holds(path, text)]


def _holds(path: Path, text: str) -> bool:
    if text.encode() in path.read_bytes():
        return True
    return path.suffix == ".parquet" and any(_in_column(column, text) for column in pq.read_table(path).columns)


def _in_column(column: pa.ChunkedArray, text: str) -> bool:
    return any(text in str(value) for value in column.to_pylist() if value is not None)
