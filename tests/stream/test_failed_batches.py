"""A batch that fails with a long error of Java's: Spark is told in a few words, and the job says why."""

from __future__ import annotations

from pathlib import Path

import pytest
from pipelines import make_topic, reading, send, write_pipeline

from headrace.connections import Broker
from headrace.errors import HeadraceError
from headrace.ingest import writer
from headrace.ingest.run import start_ingest

LONG = "py4j.protocol.Py4JJavaError: An error occurred while calling o1.save.\n" + "\tat a.b.C(D.java:1)\n" * 5_000


def fail(*_: object, **__: object) -> None:
    raise RuntimeError(LONG)


def is_interruption(spark, text: str) -> bool:
    """What Spark asks of a batch's error where its query was stopped meanwhile."""
    runtime = spark._jvm.org.apache.spark.sql.execution.streaming.runtime
    return runtime.StreamExecution.isInterruptionException(spark._jvm.py4j.Py4JException(text), spark._jsc.sc())


def test_spark_does_not_survive_such_an_error_of_a_query_that_was_stopped(spark) -> None:
    """If this fails, Spark has learned to read them, and may be told the error itself."""
    with pytest.raises(Exception, match="StackOverflowError"):
        is_interruption(spark, LONG)
    assert is_interruption(spark, "BatchFailed") is False


def test_spark_hears_nothing_of_it_and_the_job_does(
    spark, bootstrap: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_topic(bootstrap, "failing", partitions=1)
    send(bootstrap, "failing", [reading(1)])
    pipeline = write_pipeline(tmp_path, bootstrap=bootstrap, topic="failing")
    monkeypatch.setattr(writer, "append_once", fail)
    job = start_ingest(spark, pipeline, broker=Broker(bootstrap, {}), until_caught_up=True)
    with pytest.raises(HeadraceError, match="stream 'readings' stopped by an error in Spark; nothing was lost"):
        job.wait()
    heard = str(job._by_name["readings"].query.exception())
    assert "BatchFailed" in heard
    assert "Py4JJavaError" not in heard
