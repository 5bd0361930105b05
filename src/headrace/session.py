"""The Spark session: pinned jars, Delta, UTC, and quiet logs."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from headrace.embedded.class_archive import jvm_options
from headrace.embedded.jars import SPARK, fetch
from headrace.embedded.java import find_java
from headrace.errors import PrerequisiteError
from headrace.java_classes import remember_those_of_pyspark

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

REDACTED = (
    r"(?i)secret|password|passwd|token|jaas|credential|access[._]?key|api[._]?key|keystore[.]key|truststore[.]key"
)
"""Names of settings that Spark must never show (its own default misses several of these)."""

_ALWAYS = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.variable.substitute": "false",  # no ${env:NAME} in any SQL, if one ever got so far
    "spark.redaction.regex": REDACTED,
    "spark.sql.redaction.options.regex": REDACTED,
    "spark.databricks.delta.properties.defaults.checkpointInterval": "50",
    "spark.sql.codegen.cache.maxEntries": "1000",  # a job of a few streams has more than 100, and compiled them again and again
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.python.sql.dataFrameDebugging.enabled": "false",  # four calls to the JVM for each column
    # Spark's default (INT96, in nanoseconds) can't be read outside 1677 to 2262 by most others: one odd time hides a whole file.
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    # A declared expression that does not fit a value (a division by 0, a text that is no number) gives null: in ANSI mode it
    # would end the query, and one record could stop a stream.
    "spark.sql.ansi.enabled": "false",
    # Workers that train together and find too few slots are refused after 3 checks, 15 s apart; Spark's own number is 40.
    "spark.scheduler.barrier.maxConcurrentTasksCheck.maxFailures": "3",
}
_LOCAL = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.databricks.delta.snapshotPartitions": "1",
    "spark.sql.streaming.metricsEnabled": "false",
}
_GREETING = b"WARNING: Using incubator modules"
_LOOPBACK = {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}


def spark_session(
    *,
    app: str,
    master: str | None = None,
    driver_memory: str = "2g",
    settings: Mapping[str, str] | None = None,
    notify: Callable[[str], None] | None = None,
) -> SparkSession:
    """A session that reads Kafka and writes Delta.

    Under ``spark-submit`` the cluster's own settings and jars are used; elsewhere the pinned jars are fetched once and
    Spark runs in this process (``local[*]`` unless ``master`` says otherwise).

    Raises PrerequisiteError where Java is missing or, under ``spark-submit``, the Delta or Kafka jars are.
    """
    java, local = None, (master or "local").startswith("local")
    if "PYSPARK_GATEWAY_PORT" not in os.environ:
        java = find_java()
        os.environ.setdefault("JAVA_HOME", str(java.path.parent.parent))
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        if local:
            os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.appName(app)
    for name, value in _ALWAYS.items():
        builder = builder.config(name, value)
    if java is not None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 2
        builder = builder.master(master or f"local[{cores}]").config("spark.sql.shuffle.partitions", str(cores))
        builder = builder.config("spark.driver.memory", driver_memory)
        jars, options = fetch(SPARK, notify=notify), f"-Dlog4j2.configurationFile={_log_settings()}"
        if local:  # one JVM: nothing is to be sent to others
            builder = builder.config("spark.driver.extraClassPath", os.pathsep.join(map(str, jars)))
            builder = builder.config("spark.driver.extraJavaOptions", f"{options} {jvm_options(java, jars)}")
        else:
            builder = builder.config("spark.jars", ",".join(map(str, jars)))
            builder = builder.config("spark.driver.extraJavaOptions", options)
        loopback = _LOOPBACK if local else {}
        for name, value in {**_LOCAL, **loopback}.items():
            builder = builder.config(name, value)
    for name, value in (settings or {}).items():
        builder = builder.config(name, value)
    with _own_signal_handling(), _without_greeting():
        session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    for name in ("SQLQueryContextLogger", "DataFrameQueryContextLogger"):  # they print whole plans, values included
        logging.getLogger(name).setLevel(logging.CRITICAL)
    _require_jars(session)
    remember_those_of_pyspark(session)
    return session


@contextmanager
def _own_signal_handling() -> Generator[None]:
    """PySpark takes over Ctrl-C to cancel whatever runs, which would cut a micro-batch; the caller's handler stays instead."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, before)


@contextmanager
def _without_greeting() -> Generator[None]:
    """The JVM says on every start that it uses an incubator module, which no setting silences; all else it says goes through."""
    reading, writing = os.pipe()
    stderr = os.dup(2)
    os.dup2(writing, 2)
    os.close(writing)

    def forward() -> None:
        with os.fdopen(reading, "rb") as lines:
            for line in lines:
                if not line.startswith(_GREETING):
                    os.write(stderr, line)

    threading.Thread(target=forward, name="jvm-stderr", daemon=True).start()
    try:
        yield
    finally:
        os.dup2(stderr, 2)


def _log_settings() -> str:
    return str(files("headrace").joinpath("log4j2.properties"))


def _require_jars(session: SparkSession) -> None:
    jvm: Any = session._jvm  # pyright: ignore[reportPrivateUsage]
    for name, jar in (
        ("io.delta.sql.DeltaSparkSessionExtension", "delta-spark"),
        ("org.apache.spark.sql.kafka010.KafkaSourceProvider", "spark-sql-kafka"),
    ):
        try:
            jvm.java.lang.Class.forName(name, False, jvm.Thread.currentThread().getContextClassLoader())
        except Exception:
            raise PrerequisiteError(
                f"this Spark has no {jar} jar; start the job with: spark-submit --jars $(headrace jars) ..."
            ) from None
