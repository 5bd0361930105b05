"""Data files that no version within the kept time refers to."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from headrace.lake import delta

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def removable_files(spark: SparkSession, path: str, *, keep: timedelta) -> int:
    """How many files VACUUM would remove."""
    with _quiet(spark):
        return _session(spark).sql(f"{_statement(path, keep)} DRY RUN").count()


def vacuum(spark: SparkSession, path: str, *, keep: timedelta) -> int:
    """Remove them; how many went. Safe beside a writer, as long as no batch takes longer than ``keep`` (a day or more)."""
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
    jvm: Any = spark._jvm  # pyright: ignore[reportPrivateUsage]
    console = getattr(getattr(jvm, "scala.Console$"), "MODULE$")
    before = console.out()
    console.setOutDirect(jvm.java.io.PrintStream(jvm.java.io.OutputStream.nullOutputStream()))
    try:
        yield
    finally:
        console.setOutDirect(before)


def _session(spark: SparkSession) -> SparkSession:
    """Delta refuses less than the table's own duration of 7 days; the pipeline file says how long, and no less than a day."""
    session = spark.newSession()
    session.conf.set("spark.databricks.delta.retentionDurationCheck.enabled", "false")
    return session


def _statement(path: str, keep: timedelta) -> str:
    return f"VACUUM {delta.identifier(path)} RETAIN {keep // timedelta(hours=1)} HOURS"
