"""Data files that no version within the kept time refers to."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from headrace.java_classes import java_class
from headrace.lake import delta

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def removable_files(spark: SparkSession, path: str, *, keep: timedelta) -> int:
    """How many files VACUUM would remove."""
    with _quiet(spark):
        return _session(spark).sql(f"{_statement(path, keep)} DRY RUN").count()


def unreferenced_files(spark: SparkSession, path: str) -> list[str]:
    """Data files and files of the change data feed that the table's newest version does not need; a batch that is being
    written is among them.
    """  # fmt: skip
    with _quiet(spark):
        found = _session(spark).sql(f"{_statement(path, timedelta(0))} DRY RUN").collect()
    return sorted(row["path"] for row in found if row["path"].endswith(".parquet"))


def vacuum(spark: SparkSession, path: str, *, keep: timedelta) -> int:
    """Remove them; how many went. Safe beside a writer, as long as no batch takes longer than ``keep`` (a day or more); less
    only for who holds the table's lease, between two batches.
    """  # fmt: skip
    from delta.tables import DeltaTable

    session = _session(spark)
    with _quiet(spark):
        session.sql(_statement(path, keep))
    last = DeltaTable.forPath(session, path).history(1).select("operation", "operationMetrics").first()
    metrics = last["operationMetrics"] if last and last["operation"] == "VACUUM END" else {}
    return int(metrics.get("numDeletedFiles", 0))


@contextmanager
def _quiet(spark: SparkSession) -> Generator[None]:
    """Delta prints a sentence on standard output, which belongs to the command."""
    console = getattr(java_class(spark, "scala.Console$"), "MODULE$")
    before = console.out()
    nowhere = java_class(spark, "java.io.OutputStream").nullOutputStream()
    console.setOutDirect(java_class(spark, "java.io.PrintStream")(nowhere))
    try:
        yield
    finally:
        console.setOutDirect(before)


def _session(spark: SparkSession) -> SparkSession:
    """Delta refuses less than the table's own duration of 7 days; the pipeline file says how long, and no less than a day.

    It lists folders in as many tasks as Spark would discover partitions in: 10,000, which take seconds where there are few cores.
    """
    session = spark.newSession()
    session.conf.set(
        "spark.sql.sources.parallelPartitionDiscovery.parallelism", 2 * spark.sparkContext.defaultParallelism
    )
    session.conf.set("spark.databricks.delta.retentionDurationCheck.enabled", "false")
    return session


def _statement(path: str, keep: timedelta) -> str:
    return f"VACUUM {delta.identifier(path)} RETAIN {keep // timedelta(hours=1)} HOURS"
