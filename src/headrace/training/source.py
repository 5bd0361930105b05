"""The training rows computed anew, from the versions of the events tables that a run read."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException

from headrace.errors import NotReproducible, SpecError
from headrace.lake import delta
from headrace.lake.layout import Layout
from headrace.parameters.used import Used, fetch, vocabularies
from headrace.spec.pipeline import Pipeline
from headrace.training.dataset import build_dataset
from headrace.training.recipe import Recipe

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def rows_from_tables(spark: SparkSession, recipe: Recipe, pipeline: Pipeline | None) -> DataFrame:
    """The rows by the recorded features and label, whatever the pipeline file declares now.

    Raises SpecError without a pipeline, NotReproducible where a version can't be read any more, ParametersError where the
    vocabularies are gone.
    """
    if pipeline is None:
        raise SpecError(
            "rows are computed from the tables of a pipeline; name it: headrace reproduce PIPELINE RUN --from-source"
        )
    layout = Layout(pipeline.spec.lake.root)
    for stream, table in sorted(recipe.tables.items()):
        _require(spark, layout.events(stream), table.version, stream=stream, kept=pipeline.spec.lake.keep_versions)
    declared = {"features": recipe.declared_features, "label": recipe.declared_label}
    as_recorded = replace(pipeline, spec=pipeline.spec.model_copy(update=declared))
    versions = {stream: table.version for stream, table in recipe.tables.items()}
    used = {name: Used(one.version, one.sha256) for name, one in recipe.parameters.items()}
    words = vocabularies(fetch(spark, pipeline, used, broker=None, what=f"run {recipe.run_id}"))
    try:
        return build_dataset(spark, as_recorded, as_of=recipe.as_of, versions=versions, vocabularies=words).frame
    except (PySparkException, Py4JJavaError) as error:
        raise _gone("a recorded version of a table", pipeline.spec.lake.keep_versions, error) from None


def _require(spark: SparkSession, path: str, version: int, *, stream: str, kept: str) -> None:
    """Read each file of a version once: the log may still name files that are gone."""
    what = f"version {version} of events/{stream}"
    if not delta.exists(spark, path):
        raise NotReproducible(
            f"{what} can't be read: there is no table at {path}; restore the lake, or name the pipeline of it"
        )
    try:
        rows = spark.read.format("delta").option("versionAsOf", version).load(path)
        rows.select("kafka_offset").write.format("noop").mode("overwrite").save()
    except (PySparkException, Py4JJavaError) as error:
        raise _gone(what, kept, error) from None


def _gone(what: str, kept: str, error: Exception) -> NotReproducible:
    text = str(error)
    if "DELTA" not in text and "FileNotFound" not in text and "FILE_NOT_EXIST" not in text and "NOT_FOUND" not in text:
        raise error
    return NotReproducible(
        f"{what} can't be read any more: it is older than lake.keep_versions ({kept}), or an erasure removed its files; rebuild "
        "from the snapshot (without --from-source), and raise lake.keep_versions for the runs to come"
    )
