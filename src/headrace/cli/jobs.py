"""``ingest``, ``train``, ``score`` and ``demo``: what moves records and makes models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.app import PipelinePath, app
from headrace.cli.console import CONSOLE, say, stopping
from headrace.cli.models import tell_kafka
from headrace.cli.start import Master, Memory, connect_to_topics, moment, spark_for
from headrace.errors import GateRefused

if TYPE_CHECKING:
    from datetime import datetime

    from pyspark.sql import SparkSession

    from headrace.connections import Broker
    from headrace.ingest.writer import BatchReport
    from headrace.monitoring.progress import Progress
    from headrace.serving.scoring import ScoreReport
    from headrace.spec import Pipeline

CaughtUp = Annotated[bool, typer.Option("--until-caught-up", help="read up to where the topics end now, then end")]
Trigger = Annotated[float, typer.Option(min=0.1, help="seconds between two micro-batches")]


@app.command()
def ingest(
    pipeline: PipelinePath,
    until_caught_up: CaughtUp = False,
    trigger: Trigger = 1.0,
    master: Master = None,
    memory: Memory = "2g",
    accept_loss: Annotated[
        bool,
        typer.Option(
            "--accept-loss", help="go on although Kafka deleted records that were not read; the gap is recorded"
        ),
    ] = False,
) -> None:
    """Read every declared stream into its table: decoded, checked, anonymized, each record once.

    Example: headrace ingest conf/flights --until-caught-up
    """
    from headrace.connections import home_folder
    from headrace.ingest.run import start_ingest
    from headrace.lineage.job import telling
    from headrace.monitoring.quality import QualityLog
    from headrace.spec import load

    loaded = load(pipeline)
    broker = connect_to_topics(loaded)
    with stopping() as stop, _progress(loaded, broker) as progress:
        spark = spark_for(f"headrace ingest {loaded.name}", master, memory)
        quality = QualityLog(home_folder())
        with telling(spark, loaded, "ingest", bootstrap=broker.bootstrap, notify=progress.notify) as told:

            def on_batch(report: BatchReport) -> None:
                progress.on_batch(report)
                quality.on_batch(report)
                told.tick()

            job = start_ingest(
                spark, loaded, broker=broker, until_caught_up=until_caught_up, trigger_seconds=trigger, on_batch=on_batch,
                on_alert=progress.on_alert, notify=progress.notify, accept_loss=accept_loss,
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
    as_of: Annotated[str | None, typer.Option(help="use only what was known before this date or time (UTC)")] = None,
    continuous: Annotated[
        bool, typer.Option("--continuous", help="go on as labels arrive: add trees, bring candidates to the gate")
    ] = False,
    until_caught_up: Annotated[
        bool, typer.Option("--until-caught-up", help="with --continuous: end once all that is there was looked at")
    ] = False,
    anew: Annotated[
        bool, typer.Option("--anew", help="with --continuous: begin another Booster, from the champion if there is one")
    ] = False,
    trigger: Annotated[float, typer.Option(min=0.1, help="with --continuous: seconds between two looks")] = 30.0,
    master: Master = None,
    memory: Memory = "2g",
) -> None:
    """Train, log, register, and promote the model if the gate allows. Exit code 0 promoted, 10 refused.

    With --continuous it goes on until it is stopped, and what the gate refuses does not end it.

    Example: headrace train conf/flights --as-of 2013-03-01

    Example: headrace train conf/flights --continuous --until-caught-up
    """
    from headrace.spec import load

    if (as_of is None) != continuous or ((until_caught_up or anew) and not continuous):
        raise typer.BadParameter(
            "say either --as-of TIME or --continuous; --until-caught-up and --anew go with the latter"
        )
    loaded = load(pipeline)
    if as_of is not None:
        when = moment(as_of)
        train_and_tell(spark_for(f"headrace train {loaded.name}", master, memory), loaded, as_of=when)
        return
    from headrace.cli.continuous import train_as_labels_arrive

    with stopping("stopping after the step that runs; Ctrl-C again ends at once (nothing is lost either way)") as stop:
        spark = spark_for(f"headrace train {loaded.name}", master, memory)
        train_as_labels_arrive(
            spark, loaded, until_caught_up=until_caught_up, anew=anew, trigger_seconds=trigger, stop=stop
        )  # fmt: skip
    if stop.is_set() and until_caught_up:
        raise KeyboardInterrupt


def train_and_tell(spark: SparkSession, pipeline: Pipeline, *, as_of: datetime) -> None:
    """Train and print the result as one JSON object. Raises GateRefused where the model was not promoted."""
    from headrace.connections import connect_tracking, find_broker, home_folder
    from headrace.lineage.job import telling
    from headrace.training.chosen import wanted
    from headrace.training.run import train as run_training

    tracking = connect_tracking(pipeline, home=home_folder())
    broker = find_broker(pipeline, home=home_folder()) if wanted(pipeline) else None
    with telling(spark, pipeline, "train", notify=say) as told:
        done = run_training(spark, pipeline, tracking=tracking, as_of=as_of, broker=broker, notify=say)
        told.trained(done.run_id, tracking_uri=tracking.uri)
    figures = {name: round(value, 4) for name, value in done.metrics.items()}
    print(
        json.dumps(
            {
                "run_id": done.run_id, "version": done.version, "promoted": done.promoted, "train_rows": done.train_rows,
                "test_rows": done.test_rows, "excluded": done.excluded, **figures,
            }
        )
    )  # fmt: skip
    tell_kafka(spark, pipeline)
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
    from headrace.lineage.job import telling
    from headrace.serving.run import start_scoring
    from headrace.spec import load

    loaded = load(pipeline)
    broker, tracking = connect_to_topics(loaded), connect_tracking(loaded, home=home_folder())
    with stopping() as stop, _progress(loaded, broker) as progress:
        spark = spark_for(f"headrace score {loaded.name}", master, memory)
        with telling(
            spark, loaded, "score", bootstrap=broker.bootstrap, tracking_uri=tracking.uri, notify=progress.notify
        ) as told:

            def on_score(report: ScoreReport) -> None:
                progress.on_score(report)
                told.tick()

            job = start_scoring(
                spark, loaded, broker=broker, tracking=tracking, until_caught_up=until_caught_up, trigger_seconds=trigger,
                on_batch=progress.on_batch, on_score=on_score, notify=progress.notify,
                starting_at=moment(start) if start else None,
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


def _progress(pipeline: Pipeline, broker: Broker) -> Progress:
    from headrace.ingest.source import stream_ends
    from headrace.monitoring.progress import Progress

    return Progress(end_offsets=lambda stream: stream_ends(pipeline, [stream], broker=broker)[stream], console=CONSOLE)
