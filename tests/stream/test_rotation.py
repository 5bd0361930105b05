"""Keys that rotate while an ingest runs, and tables that are brought to the newest versions in one commit each."""

from __future__ import annotations

import hmac
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from customers import PROTECT, customer, write_customers
from deltalake import DeltaTable
from pipelines import make_topic, send

from headrace.connections import Broker
from headrace.errors import CheckpointError, KeyRingError
from headrace.ingest.rewrite import keyed_tables, rewrite, rows_with_version, stale_rows
from headrace.ingest.run import start_ingest
from headrace.lake.lease import leased
from headrace.lake.tables import read_accepted_stream
from headrace.privacy.keys import SEAL, ensure_keys, needed_keys, open_ring
from headrace.privacy.rotation import rotate
from headrace.privacy.seal import open_sealed
from headrace.spec import Pipeline
from headrace.workbench import Workbench

FIRST, SECOND = 12, 9
"""Customers 0 to 11 come before the rotation, 3 to 11 once more after it; each half ends with a record that breaks off."""
EMAIL = "pseudonym/email"


@dataclass(frozen=True)
class Shop:
    pipeline: Pipeline
    table: Path

    def rows(self, version: int | None = None) -> list[dict[str, Any]]:
        """All rows, by an independent reader, in the order of their records."""
        rows = DeltaTable(str(self.table), version=version).to_pyarrow_table().to_pylist()
        return sorted(rows, key=lambda row: row["kafka_offset"])

    def secret(self, name: str, version: int) -> bytes:
        """Read from the ring's file by hand."""
        ring = json.loads(Path(self.pipeline.spec.keys.ring).read_text())
        return bytes.fromhex(ring["keys"][name][str(version)]["key"])

    def pseudonym(self, number: int, version: int) -> str:
        """What customer ``number``'s address is under a version, step by step."""
        made = f"canary{number}@example.org"
        for step in range(1, version + 1):
            made = f"v{step}." + hmac.new(self.secret(EMAIL, step), made.encode(), "sha256").hexdigest()[:32]
        return made


def wait_for(job: Any, table: Path, rows: int) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        job.raise_error()
        if table.exists() and DeltaTable(str(table)).to_pyarrow_table(columns=["kafka_offset"]).num_rows >= rows:
            return
        time.sleep(0.2)
    pytest.fail(f"{rows} rows did not come")


@pytest.fixture(scope="module")
def shop(spark, bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Ingested by one running job, whose keys were rotated in the middle."""
    folder = tmp_path_factory.mktemp("rotation")
    make_topic(bootstrap, "rotation", partitions=1)
    protect = {
        **PROTECT,
        "email": {"pseudonym": "email", "as": "email"},
        "contacts[].email": {"pseudonym": "email", "as": "email"},
    }
    pipeline = write_customers(folder, bootstrap=bootstrap, topic="rotation", protect=protect)
    shop = Shop(pipeline, folder / "lake" / "events" / "customers")
    job = start_ingest(spark, pipeline, broker=Broker(bootstrap, {}), until_caught_up=False, trigger_seconds=0.2)
    try:
        send(bootstrap, "rotation", [*(customer(n) for n in range(FIRST)), customer(100)[:-9]])
        wait_for(job, shop.table, FIRST + 1)
        rotate(pipeline.spec.keys.ring, needed_keys(pipeline), fresh=False)
        send(
            bootstrap,
            "rotation",
            [*(customer(n, email=f" Canary{n}@EXAMPLE.org") for n in range(3, FIRST)), customer(101)[:-9]],
        )
        wait_for(job, shop.table, FIRST + SECOND + 2)
    finally:
        job.close()
    return shop


CUSTOMERS = [*range(FIRST), None, *range(3, FIRST), None]
"""Of each record; None broke off."""


@dataclass(frozen=True)
class Rewritten:
    """The table before and after it was brought to the newest keys."""

    shop: Shop
    before: int
    """Version of the table at which the job had ended."""
    stale: int
    changed: int
    """How many rows the rewrite says it changed."""

    @property
    def old(self) -> list[dict[str, Any]]:
        return self.shop.rows(self.before)

    @property
    def new(self) -> list[dict[str, Any]]:
        return self.shop.rows()


@pytest.fixture(scope="module")
def rewritten(spark, shop: Shop) -> Rewritten:
    before = DeltaTable(str(shop.table)).version()
    ring = open_ring(shop.pipeline.spec.keys.ring)
    (table,) = keyed_tables(spark, shop.pipeline)
    return Rewritten(shop, before, stale_rows(spark, table, ring=ring), rewrite(spark, table, ring=ring))


def test_a_running_ingest_writes_with_the_new_keys_from_its_next_batch_on(rewritten: Rewritten) -> None:
    shop = rewritten.shop
    expected = [None if n is None else shop.pseudonym(n, 1 if at <= FIRST else 2) for at, n in enumerate(CUSTOMERS)]
    assert [row["email"] for row in rewritten.old] == expected
    assert [row["contacts"] and row["contacts"][0]["email"] for row in rewritten.old] == expected
    payloads = [row["payload"] for row in rewritten.old if row["payload"]]
    assert [int.from_bytes(payload[1:3], "big") for payload in payloads] == [1, 2]


def test_a_rewrite_joins_what_was_written_before_and_after(rewritten: Rewritten) -> None:
    """Every pair of rows of one customer, and no other, has one pseudonym, though the address was spelled in two ways."""
    assert (rewritten.stale, rewritten.changed) == (FIRST + 1, FIRST + 1)
    expected = [None if n is None else rewritten.shop.pseudonym(n, 2) for n in CUSTOMERS]
    assert [row["email"] for row in rewritten.new] == expected
    assert [row["contacts"] and row["contacts"][0]["email"] for row in rewritten.new] == expected


def test_nothing_else_changes(rewritten: Rewritten) -> None:
    keyed = {"name", "email", "card", "home", "contacts", "payload"}
    kept = [{name: value for name, value in row.items() if name not in keyed} for row in rewritten.old]
    assert kept == [{name: value for name, value in row.items() if name not in keyed} for row in rewritten.new]
    assert [row["home"] and row["home"]["lat"] for row in rewritten.old] == [
        row["home"] and row["home"]["lat"] for row in rewritten.new
    ]


def test_it_is_one_commit_that_tells_no_reader_of_changes(spark, rewritten: Rewritten) -> None:
    log = rewritten.shop.table / "_delta_log"
    actions = {
        file: [json.loads(line) for line in file.read_text().splitlines()] for file in sorted(log.glob("*.json"))
    }
    later = [
        lines for file, lines in actions.items() if int(file.stem) > rewritten.before and any("add" in a for a in lines)
    ]
    assert len(later) == 1
    told = next(action["commitInfo"] for action in later[0] if "commitInfo" in action)
    assert json.loads(told["userMetadata"])["headrace"] == "rewrite"
    assert {action[kind]["dataChange"] for action in later[0] for kind in ("add", "remove") if kind in action} == {
        False
    }
    changes = read_accepted_stream(spark, str(rewritten.shop.table), starting_version=0)
    query = changes.writeStream.format("memory").queryName("rotation_changes").trigger(availableNow=True).start()
    query.awaitTermination()
    assert spark.table("rotation_changes").count() == FIRST + SECOND


def test_what_was_encrypted_opens_with_the_newest_keys(spark, rewritten: Rewritten) -> None:
    shop, ring = rewritten.shop, open_ring(rewritten.shop.pipeline.spec.keys.ring)
    sealed = [row for row in rewritten.new if row["payload"]]
    assert [int.from_bytes(row["payload"][1:3], "big") for row in sealed] == [2, 2]
    opened = open_sealed(sealed[0]["payload"], topic="rotation", partition=0, offset=FIRST, ring=ring)
    assert opened.value == customer(100)[:-9].encode()
    assert all(row["name"][1:3] == b"\x00\x02" for row in rewritten.new if row["name"])
    rows = Workbench(spark, shop.pipeline).opened("customers", "name", "home.street").where("kafka_offset in (5, 20)")
    assert sorted((row["name"], row["home"]["street"]) for row in rows.collect()) == [
        ("Canary10 Lovelace", "Canarystraat 10"), ("Canary5 Lovelace", "Canarystraat 5"),
    ]  # fmt: skip


def test_a_second_rewrite_changes_nothing(spark, rewritten: Rewritten) -> None:
    ring, (table,) = open_ring(rewritten.shop.pipeline.spec.keys.ring), keyed_tables(spark, rewritten.shop.pipeline)
    files = DeltaTable(str(rewritten.shop.table)).file_uris()
    assert rewrite(spark, table, ring=ring) == 0
    assert DeltaTable(str(rewritten.shop.table)).file_uris() == files


def test_versions_that_rows_were_made_with_are_counted(spark, rewritten: Rewritten) -> None:
    (table,) = keyed_tables(spark, rewritten.shop.pipeline)
    counted = [rows_with_version(spark, [table], name=name, version=v) for name in (SEAL, EMAIL) for v in (1, 2)]
    assert counted == [{}, {"events/customers": 2}, {}, {"events/customers": FIRST + SECOND}]


def test_a_table_that_another_job_writes_is_left_alone(spark, rewritten: Rewritten) -> None:
    ring, (table,) = open_ring(rewritten.shop.pipeline.spec.keys.ring), keyed_tables(spark, rewritten.shop.pipeline)
    with leased(spark, table.path, what=table.name), pytest.raises(CheckpointError, match="another job is writing"):
        rewrite(spark, table, ring=ring)


def test_a_value_that_does_not_open_stops_the_rewrite_before_its_commit(
    spark, rewritten: Rewritten, tmp_path: Path
) -> None:
    """The fault is planted: another ring, in which the old key of the names is another one."""
    shop = rewritten.shop
    content = json.loads(Path(shop.pipeline.spec.keys.ring).read_text())
    content["keys"]["column/names"] |= {"2": {"key": "00" * 32}, "3": {"key": "11" * 32}}
    (tmp_path / "keys.json").write_text(json.dumps(content))
    (tmp_path / "keys.json").chmod(0o600)
    (table,), files = keyed_tables(spark, shop.pipeline), DeltaTable(str(shop.table)).file_uris()
    with pytest.raises(
        KeyRingError,
        match=r"^events/customers: the value at rotation/0/\d+/name does not open: .*; nothing was changed",
    ):
        rewrite(spark, table, ring=open_ring(tmp_path / "keys.json"))
    assert DeltaTable(str(shop.table)).file_uris() == files


def test_predictions_follow_and_are_not_published_again(spark, tmp_path: Path) -> None:
    """Their ``id`` is a pseudonym here; a stream that reads the table goes on without seeing a row twice."""
    pipeline = write_customers(tmp_path, bootstrap="localhost:1", topic="none", scored=True)
    ring = pipeline.spec.keys.ring
    ensure_keys(ring, needed_keys(pipeline))
    shop = Shop(pipeline, tmp_path / "lake" / "serving" / "shop-model" / "predictions")
    ids = [shop.pseudonym(n, 1) for n in range(3)]
    spark.createDataFrame([(i, 0.5) for i in ids], "id string, probability double").write.format("delta").save(
        str(shop.table)
    )

    def published() -> int:
        rows = spark.readStream.format("delta").load(str(shop.table))
        query = rows.writeStream.format("delta").option("checkpointLocation", str(tmp_path / "checkpoint"))
        query.trigger(availableNow=True).start(str(tmp_path / "published")).awaitTermination()
        return len(DeltaTable(str(tmp_path / "published")).to_pyarrow_table())

    assert published() == 3
    rotate(ring, [EMAIL], fresh=False)
    (table,) = keyed_tables(spark, pipeline)
    assert (table.name, rewrite(spark, table, ring=open_ring(ring))) == ("serving/shop-model/predictions", 3)
    found = DeltaTable(str(shop.table)).to_pyarrow_table(columns=["id"]).column("id").to_pylist()
    assert sorted(found) == sorted(shop.pseudonym(n, 2) for n in range(3))
    assert published() == 3
