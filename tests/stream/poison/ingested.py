"""The catalogue's way through a real broker and a real ingest: two topics, two tables, one run."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from catalogue import Poison
from confluent_kafka import Producer
from deltalake import DeltaTable
from pipelines import make_topic

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


def send(bootstrap: str, topic: str, records: Sequence[Poison], *, in_a_transaction: int = 60) -> list[int]:
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
