"""The steps of the demo: history first, then March as it streams."""

from __future__ import annotations

import threading
import time
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from headrace.demo.run import Demo
from headrace.errors import GateRefused, HeadraceError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from headrace.connections import Broker
    from headrace.ingest.run import Ingest
    from headrace.ingest.writer import BatchReport
    from headrace.monitoring.progress import Progress
    from headrace.serving.scoring import Scoring
    from headrace.spec import Pipeline

HISTORY = (date(2013, 1, 1), date(2013, 2, 28))
LIVE = (date(2013, 3, 1), date(2013, 3, 31))
CUT = datetime(2013, 3, 1, 5, tzinfo=UTC)
"""Midnight in New York between the two."""
MAY_WAIT_S = 120.0


def history(demo: Demo, spark: SparkSession, pipeline: Pipeline, broker: Broker) -> None:
    """January and February: feed, ingest until caught up, train, gate."""
    from headrace.connections import connect_tracking
    from headrace.feed import flights_of
    from headrace.feed.progress import feed_with_progress
    from headrace.monitoring.progress import Progress
    from headrace.serving.announce import announce
    from headrace.training.run import train

    demo.step("feeding January and February 2013 into Kafka")
    made = feed_with_progress(flights_of(*HISTORY), broker=broker, stop=demo.stop)
    demo.produced += made.records
    demo.step(
        f"{made.records:,} records in Kafka after {made.seconds:.1f} s; ingesting: decode, check, anonymize, one commit"
    )
    with Progress(console=demo.console) as progress:
        _ingest(demo, spark, pipeline, broker, progress, until_caught_up=True).wait(stop=demo.stop)
    demo.step("training on what was known before 1 March")
    done = train(
        spark, pipeline, tracking=connect_tracking(pipeline, home=demo.home), as_of=CUT, notify=lambda line: demo.step(line)
    )  # fmt: skip
    announce(spark, pipeline, broker=broker)
    if not done.promoted:
        raise GateRefused(f"the gate refused version {done.version}: {done.verdict.refusals}")
    demo.step(
        f"model version {done.version} passed the gate (AUC {done.metrics['auc']:.3f} on late February) and is champion"
    )


def live(demo: Demo, spark: SparkSession, pipeline: Pipeline, broker: Broker) -> None:
    """March as it streams: feed, ingest and score side by side."""
    from headrace.connections import connect_tracking
    from headrace.feed import feed_flights
    from headrace.monitoring.progress import Progress
    from headrace.serving.run import start_scoring

    demo.step(f"March streams in at {demo.speed:,.0f} times real time; each flight is scored an hour before it leaves")
    fed, failed = threading.Event(), list[BaseException]()

    def feed() -> None:
        try:
            made = feed_flights(
                bootstrap=broker.bootstrap, start=LIVE[0], end=LIVE[1], speed=demo.speed, kafka_options=broker.options,
                stop=demo.stop,
            )  # fmt: skip
            demo.produced += made.records
        except BaseException as error:
            failed.append(error)
        finally:
            fed.set()

    with Progress(console=demo.console) as progress:
        ingest = _ingest(demo, spark, pipeline, broker, progress, until_caught_up=False)
        feeder = threading.Thread(target=feed, name="feed", daemon=True)
        try:
            scoring: Scoring = start_scoring(
                spark, pipeline, broker=broker, tracking=connect_tracking(pipeline, home=demo.home), until_caught_up=False,
                starting_at=CUT, on_score=progress.on_score, notify=progress.notify,
            )  # fmt: skip
            feeder.start()
            scoring.run(stop=demo.stop, finish=fed)
            _caught_up(ingest, pipeline, broker, stop=demo.stop)
        finally:
            ingest.close()
            if feeder.is_alive():
                demo.stop.set()
                feeder.join()
    if failed:
        raise failed[0]
    if demo.stop.is_set():
        raise KeyboardInterrupt


def _ingest(
    demo: Demo, spark: SparkSession, pipeline: Pipeline, broker: Broker, progress: Progress, *, until_caught_up: bool
) -> Ingest:
    from headrace.ingest.run import start_ingest
    from headrace.monitoring.quality import QualityLog

    quality = QualityLog(demo.home)

    def on_batch(report: BatchReport) -> None:
        progress.on_batch(report)
        quality.on_batch(report)
        demo.on_batch(report)

    return start_ingest(
        spark, pipeline, broker=broker, until_caught_up=until_caught_up, on_batch=on_batch, notify=progress.notify,
        on_alert=progress.on_alert, on_close=quality.write,
    )  # fmt: skip


def _caught_up(ingest: Ingest, pipeline: Pipeline, broker: Broker, *, stop: threading.Event) -> None:
    """Wait until every stream is ingested to where its topic ends."""
    from headrace.ingest.source import stream_ends

    ends = stream_ends(pipeline, broker=broker)
    deadline = time.monotonic() + MAY_WAIT_S
    while not stop.is_set():
        ingest.raise_error()
        if all(ingest.reached(name, end) for name, end in ends.items()):
            return
        if time.monotonic() > deadline:
            raise HeadraceError(f"ingest did not catch up within {MAY_WAIT_S:.0f} s; run headrace demo again")
        time.sleep(0.3)
