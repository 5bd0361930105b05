"""``ingest``, ``train``, ``score`` and ``demo``: what moves records and makes models."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.app import PipelinePath, app
from headrace.cli.console import CONSOLE, say, stopping
from headrace.errors import GateRefused

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from headrace.connections import Broker
    from headrace.ingest.writer import BatchReport
    from headrace.monitoring.progress import Progress
    from headrace.spec import Pipeline

CaughtUp = Annotated[bool, typer.Option("--until-caught-up", help="read up to where the topics end now, then end")]
Trigger = Annotated[float, typer.Option(min=0.1, help="seconds between two micro-batches")]
Master = Annotated[str | None, typer.Option(help="Spark master (default: all cores of this machine)")]
Memory = Annotated[str, typer.Option("--driver-memory", help="memory of the Spark driver")]


@app.command()
def ingest(
    pipeline: PipelinePath,
    until_caught_up: CaughtUp = False,
    trigger: Trigger = 1.0,
    master: Master = None,
    memory: Memory = "2g",
) -> None:
    """Read every declared stream into its table: decoded, checked, anonymized, each record once.

    Example: headrace ingest conf/flights --until-caught-up
    """
    from headrace.connections import home_folder
    from headrace.ingest.run import start_ingest
    from headrace.monitoring.quality import QualityLog
    from headrace.spec import load

    loaded = load(pipeline)
    broker = _connect_to_topics(loaded)
    with stopping() as stop, _progress(loaded, broker) as progress:
        spark = _session(f"headrace ingest {loaded.name}", master, memory)
        quality = QualityLog(home_folder())

        def on_batch(report: BatchReport) -> None:
            progress.on_batch(report)
            quality.on_batch(report)

        job = start_ingest(
            spark, loaded, broker=broker, until_caught_up=until_caught_up, trigger_seconds=trigger, on_batch=on_batch,
            notify=progress.notify,
        )  # fmt: skip
        try:
            job.wait(stop=stop)
        finally:
            page = quality.write(job.suites)
    if page:
        say(f"Data Docs: {page}")
    if stop.is_set() and until_caught_up:
        raise KeyboardInterrupt


@app.command()
def train(
    pipeline: PipelinePath,
    as_of: Annotated[str, typer.Option(help="use only what was known before this date or time (UTC)")],
    master: Master = None,
    memory: Memory = "2g",
) -> None:
    """Train, log, register, and promote the model if the gate allows. Exit code 0 promoted, 10 refused.

    Example: headrace train conf/flights --as-of 2013-03-01
    """
    from headrace.connections import connect_tracking, home_folder
    from headrace.spec import load
    from headrace.training.run import train as run_training

    loaded = load(pipeline)
    when = _when(as_of)
    spark = _session(f"headrace train {loaded.name}", master, memory)
    done = run_training(spark, loaded, tracking=connect_tracking(loaded, home=home_folder()), as_of=when, notify=say)
    figures = {name: round(value, 4) for name, value in done.metrics.items()}
    print(
        json.dumps(
            {
                "run_id": done.run_id, "version": done.version, "promoted": done.promoted, "train_rows": done.train_rows,
                "test_rows": done.test_rows, "excluded": done.excluded, **figures,
            }
        )
    )  # fmt: skip
    if not done.promoted:
        raise GateRefused(f"version {done.version} was not promoted: {done.verdict.refusals}")


@app.command()
def score(
    pipeline: PipelinePath,
    until_caught_up: CaughtUp = False,
    trigger: Trigger = 1.0,
    master: Master = None,
    memory: Memory = "2g",
    start: Annotated[
        str | None,
        typer.Option("--from", help="at the very first start: only requests sent at or after this time (UTC)"),
    ] = None,
) -> None:
    """Answer requests from the live topic with the promoted model, once ingest is up to their time.

    Example: headrace score conf/flights --until-caught-up
    """
    from headrace.connections import connect_tracking, home_folder
    from headrace.serving.run import start_scoring
    from headrace.spec import load

    loaded = load(pipeline)
    broker = _connect_to_topics(loaded)
    with stopping() as stop, _progress(loaded, broker) as progress:
        spark = _session(f"headrace score {loaded.name}", master, memory)
        job = start_scoring(
            spark, loaded, broker=broker, tracking=connect_tracking(loaded, home=home_folder()),
            until_caught_up=until_caught_up, trigger_seconds=trigger, on_batch=progress.on_batch, on_score=progress.on_score,
            notify=progress.notify, starting_at=_when(start) if start else None,
        )  # fmt: skip
        job.run(stop=stop)
    if stop.is_set() and until_caught_up:
        raise KeyboardInterrupt


@app.command()
def demo(
    fresh: Annotated[bool, typer.Option(help="remove what an earlier demo left and start anew")] = False,
    home: Annotated[Path | None, typer.Option(help="folder of everything the demo makes (default: .headrace)")] = None,
    speed: Annotated[float, typer.Option(min=1, help="times real time at which March is replayed")] = 60_000,
) -> None:
    """The whole loop on real data: three months of New York's flights, from Kafka to predictions.

    Example: headrace demo --fresh
    """
    from headrace.demo import run_demo

    with stopping() as stop:
        run_demo(home=home, fresh=fresh, speed=speed, stop=stop)


def _session(app_name: str, master: str | None, memory: str) -> SparkSession:
    from headrace.session import spark_session

    return spark_session(app=app_name, master=master, driver_memory=memory, notify=say)


def _connect(pipeline: Pipeline) -> Broker:
    from headrace.connections import connect_broker, home_folder

    return connect_broker(pipeline, home=home_folder(), notify=say)


def _connect_to_topics(pipeline: Pipeline) -> Broker:
    """As :func:`_connect`; a broker that does not answer or a topic that is absent is said before Spark starts."""
    from headrace.ingest.source import stream_ends

    broker = _connect(pipeline)
    stream_ends(pipeline, broker=broker)
    return broker


def _progress(pipeline: Pipeline, broker: Broker) -> Progress:
    from headrace.ingest.source import stream_ends
    from headrace.monitoring.progress import Progress

    return Progress(end_offsets=lambda stream: stream_ends(pipeline, [stream], broker=broker)[stream], console=CONSOLE)


def _when(text: str) -> datetime:
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no date; write 2013-03-01 or 2013-03-01T05:00:00Z") from None
    return when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)
