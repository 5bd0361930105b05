"""A repeated or a second writer's batch is recognized although Delta no longer goes through the table's files for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from deltalake import DeltaTable
from pyspark.sql.types import LongType, StructField, StructType

from headrace.lake import delta
from headrace.lake.commit import append_once
from headrace.lake.tables import create_table
from headrace.lake.transactions import EXPIRY, recall_transactions

SCHEMA = StructType([StructField("n", LongType())])


@pytest.fixture
def table(spark, tmp_path: Path) -> str:
    path = str(tmp_path / "table")
    create_table(spark, path, schema=SCHEMA, statistics=["n"])
    return path


def append(spark, path: str, number: int, *, version: int) -> None:
    append_once(spark.range(number, number + 1).toDF("n"), path, app_id="q/s", version=version, metadata={})


def numbers(path: str) -> list[int]:
    return sorted(DeltaTable(path).to_pyarrow_table().column("n").to_pylist())


def jobs_of(spark, action) -> int:
    """How many Spark jobs an action starts."""
    before = spark.sparkContext._jsc.sc().dagScheduler().nextJobId()
    action()
    return spark.sparkContext._jsc.sc().dagScheduler().nextJobId() - before


def test_an_append_starts_one_job_and_not_those_that_go_through_the_tables_files(spark, table: str) -> None:
    append(spark, table, 0, version=0)
    assert recall_transactions(spark, table)
    assert jobs_of(spark, lambda: append(spark, table, 1, version=1)) == 1
    delta.set_property(spark, table, EXPIRY, "interval 1 days")  # then the checksum can't be asked
    assert not recall_transactions(spark, table)
    assert jobs_of(spark, lambda: append(spark, table, 2, version=2)) > 1
    assert numbers(table) == [0, 1, 2]


def test_what_was_committed_before_is_skipped(spark, table: str) -> None:
    for version in range(3):
        append(spark, table, version, version=version)
    newest = DeltaTable(table).version()
    for version in (2, 0):
        append(spark, table, 100 + version, version=version)
    append_once(spark.range(7, 8).toDF("n"), table, app_id="another/s", version=0, metadata={})
    assert numbers(table) == [0, 1, 2, 7]
    assert DeltaTable(table).version() == newest + 1
    assert DeltaTable(table).transaction_version("q/s") == 2


def test_a_second_writer_of_the_same_batch_fails_even_where_both_began_before_either_committed(
    spark, table: str, tmp_path: Path
) -> None:
    append(spark, table, 0, version=0)
    begun, go = tmp_path / "begun", tmp_path / "go"

    def waiting(batches: Iterator) -> Iterator:
        begun.touch()
        while not go.exists():
            time.sleep(0.02)
        yield from batches

    slow = spark.range(1, 2, 1, 1).toDF("n").mapInArrow(waiting, SCHEMA)
    caught: list[BaseException] = []

    def first() -> None:
        try:
            append_once(slow, table, app_id="q/s", version=1, metadata={})
        except Exception as error:
            caught.append(error)

    writer = threading.Thread(target=first)
    writer.start()
    while not begun.exists():
        time.sleep(0.02)
    append(spark, table, 1, version=1)
    go.touch()
    writer.join()
    assert "DELTA_CONCURRENT_TRANSACTION" in str(caught[0])
    assert numbers(table) == [0, 1]
