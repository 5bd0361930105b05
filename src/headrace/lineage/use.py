"""What a training, or the making of parameters, read and wrote: by what they record of themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace.lake.layout import Layout
from headrace.lineage.commits import Use, fields_of
from headrace.lineage.datasets import model, table, topic
from headrace.training.grown import Grown, made_from
from headrace.training.trained import of_run

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyspark.sql import SparkSession

    from headrace.lineage.datasets import Dataset
    from headrace.parameters.event import Parameters
    from headrace.spec.pipeline import Pipeline


def training_use(spark: SparkSession, run_id: str, *, tracking_uri: str) -> Use:
    """The events tables at their versions; the training rows and the registered model. The tracking store must be open.

    Of a candidate of continuous training also the table of its steps.
    """
    recipe, trained = made_from(run_id), of_run(run_id)
    read = [_read(spark, source.path, source.version) for _, source in sorted(recipe.tables.items())]
    if isinstance(recipe, Grown):
        read.append(table(recipe.step.table, fields=fields_of(spark, recipe.step.table)))
    rows = recipe.snapshot
    written = [table(rows.path, version=rows.version, fields=fields_of(spark, rows.path), rows=rows.rows)]
    if trained.model:
        written.append(model(tracking_uri, trained.model, version=trained.version))
    return Use(tuple(read), tuple(written))


def parameters_use(spark: SparkSession, pipeline: Pipeline, made: Iterable[Parameters], *, bootstrap: str) -> Use:
    """The events tables that published parameters were made of, at their versions; the topic and the table they went to."""
    layout = Layout(pipeline.spec.lake.root)
    versions = sorted({(stream, version) for one in made for stream, version in one.sources.items()})
    kept = table(layout.parameters, fields=fields_of(spark, layout.parameters))
    read = tuple(_read(spark, layout.events(stream), version) for stream, version in versions)
    return Use(read, (kept, topic(bootstrap, pipeline.parameters_topic)))


def _read(spark: SparkSession, path: str, version: int) -> Dataset:
    return table(path, version=version, fields=fields_of(spark, path))
