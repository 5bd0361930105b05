"""A stop finishes the batch that runs, or abandons it cleanly: nothing is lost, nothing is written twice, nothing is printed."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from oracle import judge
from pipelines import make_topic, reading, send, write_pipeline

from headrace.connections import Broker
from headrace.ingest import run
from headrace.ingest.abandon import abandoning
from headrace.ingest.run import start_ingest


@pytest.fixture(scope="module")
def topic(bootstrap: str) -> str:
    make_topic(bootstrap, "stopping")
    send(bootstrap, "stopping", [reading(n) for n in range(30_000)])
    return "stopping"


def test_a_batch_that_takes_too_long_is_abandoned_and_read_again(
    spark, bootstrap: str, topic: str, tmp_path: Path, monkeypatch, capfd
) -> None:
    def impatient(spark, *, once):
        return abandoning(spark, once=once, grace=0.0)

    monkeypatch.setattr(run, "abandoning", impatient)
    pipeline = write_pipeline(tmp_path, bootstrap=bootstrap, topic=topic)
    stop, steps = threading.Event(), []

    def at(step: str) -> None:
        steps.append(step)
        if step == "planned":
            stop.set()

    job = start_ingest(spark, pipeline, broker=Broker(bootstrap, {}), until_caught_up=False, on_step=at)
    capfd.readouterr()
    job.wait(stop=stop)
    assert capfd.readouterr().err == ""
    assert "committed" not in steps  # it was cut, not finished
    monkeypatch.undo()
    start_ingest(spark, pipeline, broker=Broker(bootstrap, {}), until_caught_up=True).wait()
    assert judge(bootstrap, topic=topic, table=str(tmp_path / "lake/events/readings")).clean


def test_what_ends_in_time_is_not_abandoned_and_its_own_error_is_told(spark) -> None:
    asked = threading.Event()
    asked.set()
    with pytest.raises(ZeroDivisionError), abandoning(spark, once=asked, grace=30.0) as abandoned:
        raise ZeroDivisionError
    assert not abandoned.is_set()


def test_what_is_never_asked_to_stop_is_never_cancelled(spark) -> None:
    with abandoning(spark, once=threading.Event(), grace=0.0) as abandoned:
        time.sleep(0.5)
        assert spark.range(10).count() == 10
    assert not abandoned.is_set()
