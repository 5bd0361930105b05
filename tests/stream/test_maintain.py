"""Maintenance: rows go by day and verdict, small files are joined, old files and commits go; nothing else changes.

Days are made by giving the writer another clock; ages of files by setting their times back.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from conftest import run_headrace
from deltalake import DeltaTable
from pipelines import make_topic, reading, send, write_pipeline
from told import declare_lineage, named, told_by

from headrace.audit import audit_stream
from headrace.connections import Broker
from headrace.errors import CheckpointError, SpecError
from headrace.ingest import writer
from headrace.ingest.maintain import first_needed, maintain
from headrace.ingest.position import table_position
from headrace.ingest.run import start_ingest
from headrace.lake import delta
from headrace.lake.layout import Layout
from headrace.lake.log import log_versions
from headrace.lake.maintain import clean_log, log_cleanup, removable_commits, vacuum
from headrace.spec import Pipeline, load

TOPIC = "maintained"
EXTRA = "max_offsets_per_trigger: 6\n    retention: {accepted: 30d, quarantined: 5d}"
WEEK = timedelta(days=7)
ALL = list(range(36))
GONE = [n for n in ALL if n < 12 or (n < 24 and n % 6 == 5)]
"""Those of 40 days ago, and the quarantined ones of 10 days ago."""


def ingest(spark, pipeline: Pipeline, bootstrap: str) -> None:
    start_ingest(spark, pipeline, broker=Broker(bootstrap, {}), until_caught_up=True).wait()


def some(first: int, count: int = 12) -> list[str]:
    return [reading(n, **({"reading": -n} if n % 6 == 5 else {})) for n in range(first, first + count)]


@pytest.fixture(scope="module")
def often(spark) -> Iterator[None]:
    """New tables write a checkpoint of their log every third commit."""
    interval = "spark.databricks.delta.properties.defaults.checkpointInterval"
    before = spark.conf.get(interval)
    spark.conf.set(interval, "3")
    yield
    spark.conf.set(interval, before)


@pytest.fixture(scope="module")
def aged(spark, often, bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 records of 40 days ago, of 10 days ago and of today, in two batches each; every sixth is quarantined."""
    folder = tmp_path_factory.mktemp("aged")
    make_topic(bootstrap, TOPIC, partitions=1)
    pipeline = write_pipeline(folder, bootstrap=bootstrap, topic=TOPIC, extra=EXTRA)
    for number, days in enumerate((40, 10, 0)):
        when = datetime.now(UTC) - timedelta(days=days)

        class Then(datetime):
            @classmethod
            def now(cls, tz=None, when=when):
                return when

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(writer, "datetime", Then)
            send(bootstrap, TOPIC, some(12 * number))
            ingest(spark, pipeline, bootstrap)
    return folder


@pytest.fixture
def copy(aged: Path, bootstrap: str, tmp_path: Path) -> Pipeline:
    """The same lake, to be maintained."""
    shutil.copytree(aged / "lake", tmp_path / "lake")
    shutil.copy(aged / "keys.json", tmp_path / "keys.json")
    return write_pipeline(tmp_path, bootstrap=bootstrap, topic=TOPIC, extra=EXTRA)


def table_of(pipeline: Pipeline) -> Path:
    return pipeline.folder / "lake" / "events" / "readings"


def rows(pipeline: Pipeline) -> dict[int, dict]:
    """By offset, as delta-rs reads them."""
    found = DeltaTable(str(table_of(pipeline))).to_pyarrow_table().to_pylist()
    assert len({row["kafka_offset"] for row in found}) == len(found)
    return {row["kafka_offset"]: row for row in found}


def done(spark, pipeline: Pipeline, **options) -> dict:
    (first, *_) = maintain(spark, pipeline, stop=threading.Event(), **options)
    assert first.table == "events/readings"
    return {name: value for name, value in first.as_json().items() if name != "table"}


def set_back(folder: Path, age: timedelta) -> None:
    """Make the files of a folder as old as that, a minute apart in the order of their names."""
    for number, file in enumerate(sorted(folder.rglob("*"))):
        if file.is_file():
            when = time.time() - age.total_seconds() + 60 * number
            os.utime(file, (when, when))


def test_rows_go_by_day_and_verdict_and_files_of_closed_days_are_joined(spark, bootstrap: str, copy: Pipeline) -> None:
    before, version = rows(copy), delta.version(spark, str(table_of(copy)))
    planned = done(spark, copy, dry_run=True)
    assert planned == {"expired": {"accepted": 10, "quarantined": 4}, "compacted": 8, "files": 0, "commits": 0}
    assert delta.version(spark, str(table_of(copy))) == version
    assert done(spark, copy) == {**planned, "compacted": 2}  # of what was left
    assert rows(copy) == {n: before[n] for n in ALL if n not in GONE}
    files = [Path(uri).parent.relative_to(table_of(copy)) for uri in DeltaTable(str(table_of(copy))).file_uris()]
    day = f"ingest_date={before[12]['ingest_date']}"
    assert [str(path) for path in files if str(path).startswith(day)] == [f"{day}/verdict=accepted"]
    changes = (
        spark.read.format("delta").option("readChangeFeed", "true").option("startingVersion", version + 1)
        .load(str(table_of(copy))).groupBy("_change_type").count().collect()
    )  # fmt: skip
    assert {row["_change_type"]: row["count"] for row in changes} == {"delete": len(GONE)}
    assert done(spark, copy) == {"expired": {}, "compacted": 0, "files": 0, "commits": 0}
    account = audit_stream(copy, "readings", broker=Broker(bootstrap, {}), window=None, deeply=None)
    assert account.adds_up
    assert account.as_json()["removed_by_retention"] == len(GONE)
    ingest(spark, copy, bootstrap)


def test_a_running_ingest_carries_it_out_beside_its_batches(spark, bootstrap: str, copy: Pipeline) -> None:
    said: list[str] = []
    events = declare_lineage(copy.folder)
    job = start_ingest(
        spark, copy, broker=Broker(bootstrap, {}), until_caught_up=False, trigger_seconds=0.1, notify=said.append
    )
    try:
        ran = run_headrace("maintain", str(copy.folder), "--json", environment={})
    finally:
        job.close()
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout.splitlines()[0])
    assert (told["table"], told["expired"]) == ("events/readings", {"accepted": 10, "quarantined": 4})
    assert "maintain of events/readings, asked by a command: carried out beside the batches" in said
    assert sorted(rows(copy)) == [n for n in ALL if n not in GONE]
    ((start, end),) = told_by(events, "maintain")
    assert (start["eventType"], end["eventType"]) == ("START", "COMPLETE")
    assert str(table_of(copy)) in named(end["outputs"])


def test_files_that_no_kept_version_needs_go_and_no_other(spark, copy: Pipeline) -> None:
    table = table_of(copy)
    data = next(file for file in table.rglob("*.parquet") if "_delta_log" not in file.parts)
    orphans = [data.with_name("part-00000-left-by-a-killed-batch.parquet"), data.with_name("part-00001-of-now.parquet")]
    for orphan in orphans:
        shutil.copy(data, orphan)
    set_back(data.parent, timedelta(days=8))
    os.utime(orphans[1])
    before = rows(copy)
    assert done(spark, copy, dry_run=True)["files"] == 1
    assert vacuum(spark, str(table), keep=WEEK) == 1
    assert [orphan.exists() for orphan in orphans] == [False, True]
    assert rows(copy) == before


def test_the_log_keeps_what_a_start_and_a_reader_need(
    spark, bootstrap: str, copy: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, before = str(table_of(copy)), rows(copy)
    monkeypatch.setattr(log_cleanup, "NEWEST", 4)
    for _ in range(6):  # each start commits its lease: the last batch is now further back than what is kept at least
        ingest(spark, copy, bootstrap)
    set_back(Path(table) / "_delta_log", timedelta(days=1))
    position = table_position(spark, table)
    ledger = Layout(copy.spec.lake.root).ledger("readings")
    needed = first_needed(spark, table, ledger=ledger)
    assert position is not None
    assert removable_commits(spark, table, keep=WEEK, needed=3) == range(3)
    shutil.copytree(table, copy.folder / "careless")
    assert clean_log(spark, table, keep=WEEK, needed=needed) > 0
    assert table_position(spark, table) == position
    assert rows(copy) == before
    careless = str(copy.folder / "careless")  # the planted fault: nobody says what a start needs
    clean_log(spark, careless, keep=WEEK, needed=delta.version(spark, careless))
    assert table_position(spark, careless) is None
    shutil.rmtree(copy.folder / "lake" / "checkpoints")
    with pytest.raises(CheckpointError, match=r"its checkpoint .* is gone"):
        ingest(spark, copy, bootstrap)
    shutil.rmtree(ledger)  # as of a table that an older Headrace filled
    assert first_needed(spark, table, ledger=ledger) == 0


def test_a_job_keeps_the_log_of_its_table_short(
    spark, often, bootstrap: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_topic(bootstrap, "short-log", partitions=1)
    pipeline = write_pipeline(tmp_path, bootstrap=bootstrap, topic="short-log")
    for number in range(3):
        send(bootstrap, "short-log", [reading(number)])
        ingest(spark, pipeline, bootstrap)
    table = str(table_of(pipeline))
    set_back(Path(table) / "_delta_log", timedelta(days=1))
    assert log_versions(spark, table)[0] == 0
    monkeypatch.setattr(log_cleanup, "NEWEST", 2)
    send(bootstrap, "short-log", [reading(3)])
    ingest(spark, pipeline, bootstrap)
    assert log_versions(spark, table)[0] > 0
    assert sorted(rows(pipeline)) == [0, 1, 2, 3]
    assert audit_stream(pipeline, "readings", broker=Broker(bootstrap, {}), window=None, deeply=None).adds_up


def test_an_object_store_keeps_commits_by_age(spark, copy: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    table = str(table_of(copy))
    newest = delta.version(spark, table)
    monkeypatch.setattr(log_cleanup, "NEWEST", 2)
    monkeypatch.setattr(log_cleanup, "_WHOLE_FOLDERS", ())
    assert removable_commits(spark, table, keep=WEEK, needed=newest) == range(0)
    log = Path(table) / "_delta_log"
    for version in range(4):
        old = time.time() - timedelta(days=8).total_seconds()
        os.utime(log / f"{version:020d}.json", (old, old))
    assert removable_commits(spark, table, keep=WEEK, needed=newest) == range(4)


def test_without_a_table_there_is_nothing_to_do(bootstrap: str, tmp_path: Path) -> None:
    write_pipeline(tmp_path, bootstrap=bootstrap, topic=TOPIC)
    ran = run_headrace("maintain", str(tmp_path), environment={})
    assert (ran.returncode, ran.stdout) == (0, "no table is there yet; run: headrace ingest PIPELINE\n")


def test_rows_are_not_kept_shorter_than_their_copies_are_looked_for(bootstrap: str, tmp_path: Path) -> None:
    wrong = "duplicates: {by: [id], within: 2d}\n    retention: {accepted: 1d}"
    with pytest.raises(SpecError, match=r"retention.accepted: 1d is shorter than duplicates.within: 2d"):
        write_pipeline(tmp_path, bootstrap=bootstrap, topic=TOPIC, extra=wrong)
    assert load(write_pipeline(tmp_path, bootstrap=bootstrap, topic=TOPIC, extra=wrong.replace("1d", "3d")).folder)
