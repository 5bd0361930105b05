"""What a training read and wrote, by its recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace.lineage.commits import Use, fields_of
from headrace.lineage.datasets import model, table
from headrace.training.recipe import recipe_of
from headrace.training.trained import of_run

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def training_use(spark: SparkSession, run_id: str, *, tracking_uri: str) -> Use:
    """The events tables at their versions; the training rows and the registered model. The tracking store must be open."""
    recipe, trained = recipe_of(run_id), of_run(run_id)
    read = [
        table(source.path, version=source.version, fields=fields_of(spark, source.path))
        for _, source in sorted(recipe.tables.items())
    ]
    rows = recipe.snapshot
    written = [table(rows.path, version=rows.version, fields=fields_of(spark, rows.path), rows=rows.rows)]
    if trained.model:
        written.append(model(tracking_uri, trained.model, version=trained.version))
    return Use(tuple(read), tuple(written))
