"""``train --continuous``: one line for each step and each decision of the gate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace.cli.console import say
from headrace.cli.models import tell_kafka

if TYPE_CHECKING:
    from threading import Event

    from pyspark.sql import SparkSession

    from headrace.spec import Pipeline
    from headrace.training.continuous.steps import Step
    from headrace.training.run import Training


def train_as_labels_arrive(
    spark: SparkSession, pipeline: Pipeline, *, until_caught_up: bool, anew: bool, trigger_seconds: float, stop: Event
) -> None:
    """Train until ``stop`` is set, or until everything that is in the tables now was looked at."""
    from headrace.connections import connect_tracking, find_broker, home_folder
    from headrace.lineage.job import TRAIN_CONTINUOUS, telling
    from headrace.training.chosen import wanted
    from headrace.training.continuous.job import train_continuously

    home = home_folder()
    tracking = connect_tracking(pipeline, home=home)
    with telling(spark, pipeline, TRAIN_CONTINUOUS, tracking_uri=tracking.uri, notify=say) as told:

        def on_step(step: Step) -> None:
            print(_progress(step), flush=True)
            told.tick()

        def on_candidate(done: Training, step: Step) -> None:
            print(_decision(done, step), flush=True)
            told.trained(done.run_id, tracking_uri=tracking.uri)
            tell_kafka(spark, pipeline)

        job = train_continuously(
            spark, pipeline, broker=find_broker(pipeline, home=home) if wanted(pipeline) else None, tracking=tracking,
            anew=anew, trigger_seconds=trigger_seconds, on_step=on_step, on_candidate=on_candidate, notify=say,
        )  # fmt: skip
        job.run(until_caught_up=until_caught_up, stop=stop)


def _progress(step: Step) -> str:
    corrected = f" ({step.corrected:,} corrected)" if step.corrected else ""
    did = f"{step.added} trees added" if step.added else "leaves moved"
    begun = f", begun from {step.started_from}" if step.number == step.chain else ""
    until = f"{step.position.as_of:%Y-%m-%d %H:%M:%S}"
    return (
        f"step {step.number}: {step.rows:,} rows{corrected} known before {until} UTC, {did}, {step.trees} in all{begun}"
    )


def _decision(done: Training, step: Step) -> str:
    said = "promoted" if done.promoted else f"refused: {done.verdict.refusals}"
    return f"version {done.version} (step {step.number}, tested on {done.test_rows:,} rows that came later): {said}"
