"""Parameters beside a running ingest: made anew as accepted rows arrive, published where something changed that matters.

The change data feeds of the events tables are the clock: a micro-batch of theirs says that rows came, were released or erased.
What is made is made of the tables themselves, at one version each. So it does not matter which changes a batch held, nor whether
one comes twice: a restart makes the same again, and publishes nothing new.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from headrace.connections import Broker
from headrace.errors import SpecError, TrainingError
from headrace.lake import delta
from headrace.lake.layout import Layout
from headrace.parameters.topic import ensure_topic
from headrace.spec.pipeline import Pipeline
from headrace.spec.section import seconds
from headrace.training.changes import Changes, known_until
from headrace.training.making import Made, declared, make, sources

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def follow(
    spark: SparkSession,
    pipeline: Pipeline,
    *,
    broker: Broker,
    on_made: Callable[[list[Made]], None] = lambda made: None,
    notify: Callable[[str], None] = lambda line: None,
) -> Changes:
    """Prepare to follow the accepted rows; ``run`` does it. ``on_made`` hears of each round.

    Raises SpecError where nothing is declared that rows could change, TrainingError where a table is absent, BrokerError.
    """
    if not declared(pipeline) or not sources(pipeline):
        raise SpecError(f"{pipeline.file} declares no parameters that are made of rows; docs/parameters.md shows some")
    for name in sources(pipeline):
        if not delta.exists(spark, Layout(pipeline.spec.lake.root).events(name)):
            raise TrainingError(f"stream {name!r} has no table yet; start headrace ingest first")
    ensure_topic(pipeline, broker=broker)

    def make_anew() -> None:
        as_of = known_until(spark, pipeline, sources(pipeline))
        if as_of is not None:
            on_made(make(spark, pipeline, broker=broker, as_of=as_of, only_material=True, notify=notify))

    return Changes(
        spark, pipeline, streams=sources(pipeline), query="parameters", work=make_anew, notify=notify,
        trigger_seconds=seconds(pipeline.spec.parameters.every),
    )  # fmt: skip
