"""The ledger: what it says of each commit, and that nothing takes it away. Read here as plain JSON lines, by no code of ours."""

from __future__ import annotations

import gzip
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from deltalake import DeltaTable
from pipelines import make_topic, reading, send, write_pipeline

from headrace.connections import Broker
from headrace.ingest.run import start_ingest
from headrace.lake.ledger import Record, compact_ledger
from headrace.lake.ledger.blocks import blocks_of


class Lake:
    """A small pipeline's topic, table and ledger."""

    def __init__(self, spark, bootstrap: str, folder: Path, topic: str, *, partitions: int = 1) -> None:
        self.spark, self.bootstrap, self.folder, self.topic = spark, bootstrap, folder, topic
        make_topic(bootstrap, topic, partitions=partitions)
        self.pipeline = write_pipeline(folder, bootstrap=bootstrap, topic=topic)
        self.table = folder / "lake" / "events" / "readings"

    def ingest(self) -> list[str]:
        """Reads what there is; what was said."""
        said: list[str] = []
        broker = Broker(self.bootstrap, {})
        start_ingest(self.spark, self.pipeline, broker=broker, until_caught_up=True, notify=said.append).wait()
        return [line for line in said if "ledger" in line]

    @property
    def ledger(self) -> Path:
        (folder,) = (self.folder / "lake" / "ledger" / "readings").iterdir()
        return folder

    def lines(self) -> list[dict[str, Any]]:
        """All entries, in order."""
        text = "".join(file.read_text() for file in sorted(self.ledger.iterdir()))
        return [json.loads(line) for line in text.splitlines()]

    def batches(self) -> list[dict[str, Any]]:
        return [line for line in self.lines() if line["kind"] == "batch"]


def rows(line: dict[str, Any]) -> dict[str, int]:
    """Verdict to rows; all of one day."""
    (verdicts,) = line["rows"].values()
    return verdicts


@pytest.fixture(scope="module")
def lake(spark, bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """60 records of which 2 are bad, then 15 good ones, read in two runs."""
    made = Lake(spark, bootstrap, tmp_path_factory.mktemp("ledger"), "ledger-1")
    send(bootstrap, made.topic, [*(reading(n) for n in range(58)), "oops", reading(200_000)])
    made.ingest()
    send(bootstrap, made.topic, [reading(n) for n in range(15)])
    made.ingest()
    return made


def test_each_batch_has_an_entry_of_what_was_read_and_what_was_committed(lake: Lake) -> None:
    first, second = lake.batches()
    assert (first["read"], first["counted"], rows(first)) == (60, "as read", {"accepted": 58, "quarantined": 2})
    assert (second["read"], rows(second)) == (15, {"accepted": 15})
    assert (first["told"]["from"], first["told"]["until"], second["told"]["until"]) == ({"0": 0}, {"0": 60}, {"0": 75})
    assert first["told"]["query"] == second["told"]["query"]
    assert len(first["told"]["spec"]) == 12


def test_every_version_of_the_table_has_an_entry(lake: Lake) -> None:
    assert [line["version"] for line in lake.lines()] == list(range(DeltaTable(lake.table).version() + 1))


@pytest.mark.parametrize("damage", ["lost", "damaged"])
def test_a_lost_or_damaged_file_is_rebuilt_at_the_next_start(lake: Lake, damage: str) -> None:
    before, (file,) = lake.lines(), list(lake.ledger.iterdir())
    text = file.read_text()
    if damage == "lost":
        file.unlink()
    else:
        file.write_text(text.replace('"read":60', '"read":61')[:-20])  # a value changed, and the last line cut
    said = lake.ingest()
    assert [without_count(line) for line in lake.lines()[: len(before)]] == [without_count(line) for line in before]
    assert "again" in {line["counted"] for line in lake.batches()}
    assert "were counted again in Kafka" in said[0]


def without_count(line: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in line.items() if name not in ("counted", "sum")}


def test_other_commits_are_entries_with_the_rows_that_they_moved(spark, bootstrap: str, tmp_path: Path) -> None:
    from delta.tables import DeltaTable as SparkTable

    lake = Lake(spark, bootstrap, tmp_path, "ledger-others")
    send(bootstrap, lake.topic, [*(reading(n) for n in range(9)), "oops"])
    lake.ingest()
    table = SparkTable.forPath(spark, str(lake.table))
    table.delete("kafka_offset = 3")  # rewrites a file: the log does not say how many rows the old one had
    table.update("verdict = 'quarantined'", {"verdict": "'accepted'"})
    table.toDF().limit(0).write.format("delta").mode("append").option(
        "userMetadata", json.dumps({"headrace": "not-built-yet", "figures": {"a": 1}})
    ).option("txnAppId", "x").option("txnVersion", 0).save(str(lake.table))
    lake.ingest()
    found = {line["kind"]: line for line in lake.lines()}
    assert rows(found["DELETE"]) == {"accepted": -1}
    assert rows(found["UPDATE"]) == {"accepted": 1, "quarantined": -1}
    assert found["not-built-yet"]["told"] == {"figures": {"a": 1}}
    assert "rows" not in found["not-built-yet"]


def test_what_nobody_can_tell_any_more_is_said_and_kept_as_unknown(spark, bootstrap: str, tmp_path: Path) -> None:
    lake = Lake(spark, bootstrap, tmp_path, "ledger-gone")
    send(bootstrap, lake.topic, [*(reading(n) for n in range(9)), "oops"])
    lake.ingest()
    DeltaTable(lake.table).create_checkpoint()
    send(bootstrap, lake.topic, [reading(n) for n in range(5)])
    lake.ingest()
    for line in lake.lines():  # as after 30 days, for all that the checkpoint knows
        if line["version"] <= lake.batches()[0]["version"]:
            (lake.table / "_delta_log" / f"{line['version']:020d}.json").unlink()
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.delete_records([TopicPartition(lake.topic, 0, 12)])[TopicPartition(lake.topic, 0)].result(20)
    shutil.rmtree(lake.ledger)
    said = lake.ingest()
    unknown, batch = [line for line in lake.lines() if line["kind"] in ("unknown", "batch")]
    assert (unknown["told"]["first"], rows(unknown)) == (0, {"accepted": 9, "quarantined": 1})
    assert (batch["counted"], rows(batch)) == ("gone", {"accepted": 5})
    assert "read" not in batch
    assert "Kafka no longer holds all that 1 of them read (batch 1)" in said[1]
    assert "neither ledger nor log knows versions 0 to" in said[2]


def test_the_ledger_of_a_table_that_was_restored_from_a_copy_forgets_what_came_after(
    spark, bootstrap: str, tmp_path: Path
) -> None:
    lake = Lake(spark, bootstrap, tmp_path, "ledger-restored")
    send(bootstrap, lake.topic, [reading(n) for n in range(4)])
    lake.ingest()
    for part in ("events", "checkpoints"):
        shutil.copytree(tmp_path / "lake" / part, tmp_path / "copy" / part)
    send(bootstrap, lake.topic, [reading(n) for n in range(3)])
    lake.ingest()
    for part in ("events", "checkpoints"):
        shutil.rmtree(tmp_path / "lake" / part)
        shutil.copytree(tmp_path / "copy" / part, tmp_path / "lake" / part)
    send(bootstrap, lake.topic, [reading(n) for n in range(2)])
    said = lake.ingest()
    assert "dropped" in said[0]
    assert [batch["read"] for batch in lake.batches()] == [4, 5]


def test_full_blocks_become_one_file_and_every_entry_stays(spark, tmp_path: Path) -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    records = [Record(n, noon, "batch", {"2026-01-01": {"accepted": n}}, read=n) for n in range(10_150)]
    folder = tmp_path / "a-table"
    folder.mkdir()
    for name, text in blocks_of(records).items():
        (folder / name).write_text(text)
    before = "".join(file.read_text() for file in sorted(folder.iterdir()))
    assert compact_ledger(spark, str(tmp_path)) == 100
    merged, *left = sorted(folder.iterdir())
    assert [file.name for file in left] == ["00000000000000010000.jsonl", "00000000000000010100.jsonl"]
    assert gzip.decompress(merged.read_bytes()).decode() + "".join(file.read_text() for file in left) == before
    assert compact_ledger(spark, str(tmp_path)) == 0
