"""Protected columns through a real ingest: nothing in clear in any byte of the lake, no statistics, a warning once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from customers import customer, write_customers
from deltalake import DeltaTable
from leaks import contents
from pipelines import make_topic, send

from headrace.connections import Broker
from headrace.ingest.run import start_ingest
from headrace.spec import Pipeline
from headrace.workbench import Workbench

BATCHES = 2
RECORDS = 40
CLEAR = [b"canary", b"Canary", b"Lovelace", b"+3161", b"41111111", b"203.0.113.1", b"07-19", b"straat"]
"""What the records hold; ``203.0.113.0/24`` is what may be left of an address."""


@dataclass(frozen=True)
class Ingested:
    pipeline: Pipeline
    lake: Path
    notes: list[str]

    def rows(self, name: str = "customers") -> list[dict[str, Any]]:
        rows = DeltaTable(str(self.lake / "events" / name)).to_pyarrow_table().to_pylist()
        return sorted(rows, key=lambda row: row["kafka_offset"])


def hits(lake: Path, needles: list[bytes]) -> set[str]:
    files = (file for file in lake.rglob("*") if file.is_file())
    return {
        f"{file.name}: {needle!r}" for file in files for data in contents(file) for needle in needles if needle in data
    }


@pytest.fixture(scope="module")
def ingested(spark, bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ingested]:
    """Good records, one that breaks off, and memos with a card number in every other; read in two runs."""
    folder = tmp_path_factory.mktemp("customers")
    make_topic(bootstrap, "customers", partitions=1)
    pipeline = write_customers(folder, bootstrap=bootstrap, topic="customers", max_offsets_per_trigger=25)
    memos = [customer(n, memo="4111 1111 1111 1111" if n % 2 else "fine") for n in range(RECORDS - 1)]
    send(bootstrap, "customers", [*memos, customer(99)[:-9]])
    notes: list[str] = []
    start_ingest(
        spark, pipeline, broker=Broker(bootstrap, {}), until_caught_up=True, notify=notes.append
    ).wait()  # fmt: skip
    return Ingested(pipeline, folder / "lake", notes)


def test_no_byte_of_the_lake_holds_a_protected_value(ingested: Ingested) -> None:
    assert hits(ingested.lake, CLEAR) == set()


def test_the_search_finds_what_is_in_clear(ingested: Ingested, tmp_path: Path) -> None:
    """The memo is not protected: it is found inside the compressed files and in the log's statistics, and so is a planted one."""
    found = {Path(hit.split(": ")[0]).suffix for hit in hits(ingested.lake, [b"4111 1111 1111 1111"])}
    assert found >= {".parquet", ".json"}
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "1.delta").write_bytes(b"\x00canary\x00")
    assert hits(tmp_path, CLEAR) == {"1.delta: b'canary'"}


def test_no_statistics_of_protected_or_suspicious_columns(ingested: Ingested) -> None:
    told: set[str] = set()
    for file in (ingested.lake / "events" / "customers" / "_delta_log").glob("*.json"):
        for line in file.read_text().splitlines():
            stats = json.loads(json.loads(line).get("add", {}).get("stats") or "{}")
            told |= {*stats.get("minValues", {}), *stats.get("maxValues", {})}
    assert told == {"id", "at", "memo", "city", "event_time", "known_at", "kafka_partition", "kafka_offset", "kafka_timestamp",
                    "ingested_at", "batch_id"}  # fmt: skip


def test_rows_hold_what_was_declared(ingested: Ingested) -> None:
    rows = ingested.rows()
    assert [row["verdict"] for row in rows] == ["accepted"] * (RECORDS - 1) + ["quarantined"]
    row = rows[7]
    assert (row["phone"], row["born"], row["note"], row["city"]) == ("**********07", 1957, "write to [email]", "Delft")
    assert (row["home"]["lat"], row["contacts"][0]["ip"]) == (52.0, "203.0.113.0/24")
    assert row["contacts"][0]["email"] == row["email"] != rows[8]["email"]


def test_a_column_that_holds_something_personal_is_named_once_by_counts(ingested: Ingested) -> None:
    (warning,) = (note for note in ingested.notes if note.startswith("warning: column "))
    assert warning == (
        "warning: column 'memo' of stream 'customers' holds payment cards in 12 of the 25 values that were looked at; "
        "protect it, or declare it public under protect"
    )


def test_an_encrypted_column_opens_in_a_workbench(spark, ingested: Ingested) -> None:
    bench = Workbench(spark, ingested.pipeline)
    row = bench.opened("customers", "name", "home.street").where("kafka_offset = 7").collect()[0]
    assert (row["name"], row["home"]["street"]) == ("Canary7 Lovelace", "Canarystraat 7")
