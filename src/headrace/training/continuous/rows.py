"""Which labelled rows a step trains on: those that can be known now, without those that could be known at the step before.

What was consumed is not kept row by row: it is what the events tables, at the versions of the step before, say was known before
its cut-off. So a row that came late or was released is new, a row that came twice is not, and nobody's id is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import functions as F

from headrace.features.categories import Vocabularies
from headrace.features.compute import AT, lookback_seconds
from headrace.features.knowledge import features_as_known, known_from, releases
from headrace.lake.layout import Layout
from headrace.lake.tables import read_accepted
from headrace.spec.features import Features, Label
from headrace.spec.pipeline import Pipeline
from headrace.training.dataset import LABEL, LABEL_KNOWN_AT, outcomes
from headrace.training.witness import require_sent_in_time

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

CORRECTED = "corrected"


@dataclass(frozen=True)
class Position:
    """How far the events tables are consumed."""

    versions: Mapping[str, int]
    """Version of each events table, by stream."""
    as_of: datetime
    """Only what was known before this (UTC)."""


def sections(pipeline: Pipeline) -> tuple[Features, Label]:
    """What the pipeline file says of features and outcomes; it has both."""
    features, label = pipeline.spec.features, pipeline.spec.label
    assert features is not None
    assert label is not None
    return features, label


def streams(pipeline: Pipeline) -> list[str]:
    """The streams from which labelled rows are made."""
    features, label = sections(pipeline)
    return sorted({features.requests, label.stream, *features.streams})


def known(spark: SparkSession, pipeline: Pipeline, stream: str, at: Position) -> DataFrame:
    """The accepted rows of a stream that can be known at a position."""
    rows = read_accepted(spark, Layout(pipeline.spec.lake.root).events(stream), version=at.versions.get(stream))
    return rows.where((F.col("known_at") < F.lit(at.as_of)) & (known_from(rows) < F.lit(at.as_of)))


def labelled(spark: SparkSession, pipeline: Pipeline, at: Position) -> DataFrame:
    """The requests with an outcome: ``id string``, ``at timestamp`` (T), ``label int``, ``label_known_at timestamp``."""
    features, label = sections(pipeline)
    asked = known(spark, pipeline, features.requests, at)
    asked = asked.groupBy(F.col(features.id).cast("string").alias("id")).agg(F.min("known_at").alias(AT))
    told = outcomes(known(spark, pipeline, label.stream, at), label=label).where(F.col(LABEL).isNotNull())
    for name in label.excluded:
        told = told.where(~F.col(f"__excluded_{name}"))
    return asked.join(told.select("id", LABEL, LABEL_KNOWN_AT), "id")


def fresh(
    spark: SparkSession, pipeline: Pipeline, *, before: Position | None, now: Position, notify: Callable[[str], None]
) -> DataFrame:
    """What a step has to consume, cached: ``id``, ``label``, ``label_known_at``, ``corrected boolean`` (consumed before with
    another outcome). ``before``: None where nothing was consumed yet.

    Where the versions before are gone (an erasure, the retention), what was known by the cut-off before counts as consumed.
    """  # fmt: skip
    current = labelled(spark, pipeline, now)
    if before is None:
        return current.withColumn(CORRECTED, F.lit(False)).drop(AT).cache()
    try:
        return _counted(_without(current, labelled(spark, pipeline, before)))
    except (PySparkException, Py4JJavaError) as error:
        if not any(word in str(error) for word in ("DELTA", "FileNotFound", "FILE_NOT_EXIST", "NOT_FOUND")):
            raise
    notify(
        "the tables as the step before saw them are gone (an erasure, or lake.keep_versions): what was known before its cut-off "
        "counts as trained on, so rows that came later than that with an earlier time are left out"
    )
    return _counted(_without(current, labelled(spark, pipeline, Position(now.versions, before.as_of))))


def with_features(
    spark: SparkSession, pipeline: Pipeline, rows: DataFrame, *, now: Position, vocabularies: Vocabularies
) -> DataFrame:
    """The rows of :func:`fresh` with ``at`` and their features at T, computed as in :func:`build_dataset`."""
    features, _ = sections(pipeline)
    tables = {name: known(spark, pipeline, name, now) for name in streams(pipeline)}
    for name, table in tables.items():
        require_sent_in_time(table, name=name, within=pipeline.spec.streams[name].sent_within)
    own = tables[features.requests]
    asked = own.join(
        rows.select(F.col("id").alias("__id")), F.col(features.id).cast("string") == F.col("__id"), "left_semi"
    )
    first = asked.agg(F.min("known_at")).first()
    assert first is not None
    oldest = first[0] - timedelta(seconds=lookback_seconds(features))
    seen = {name: tables[name].where(F.col("known_at") >= F.lit(oldest)) for name in features.streams}
    released = {moment for table in seen.values() for moment in releases(table)}
    computed = features_as_known(
        asked, seen, features=features, since=None, released=released, vocabularies=vocabularies
    )  # fmt: skip
    return computed.join(rows, "id")


def _without(current: DataFrame, consumed: DataFrame) -> DataFrame:
    before = consumed.select("id", F.col(LABEL).alias("__before"))
    changed = F.col("__before").isNull() | (F.col("__before") != F.col(LABEL))
    found = current.drop(AT).join(before, "id", "left").where(changed)
    return found.withColumn(CORRECTED, F.col("__before").isNotNull()).drop("__before")


def _counted(rows: DataFrame) -> DataFrame:
    rows = rows.cache()
    try:
        rows.count()
    except BaseException:
        rows.unpersist()
        raise
    return rows
