"""The labelled rows of a training run: features at T, and the outcome that was known by the cut-off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from pyspark.sql import Window as W
from pyspark.sql import functions as F

from headrace.errors import TrainingError
from headrace.features.categories import NONE, Vocabularies
from headrace.features.knowledge import features_as_known, known_from, releases
from headrace.lake import delta
from headrace.lake.layout import Layout
from headrace.lake.tables import read_accepted
from headrace.spec.features import Label
from headrace.spec.pipeline import Pipeline
from headrace.spec.sql import checked
from headrace.training.witness import require_sent_in_time

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, Row, SparkSession

LABEL, LABEL_KNOWN_AT, GROUP = "label", "label_known_at", "label_group"
_TEXTS = ("string", "varchar", "char")


@dataclass(frozen=True)
class Dataset:
    """Labelled rows and where they come from."""

    frame: DataFrame
    """``id string``, ``at timestamp``, the features (``double``), ``label``, ``label_known_at timestamp``, and, where groups are
    declared, ``label_group string``. ``label`` is an ``int`` (0 or 1) of a condition, a ``double`` or a ``string`` of a value.
    """  # fmt: skip
    features: tuple[str, ...]
    excluded: dict[str, int]
    """Requests before the cut-off that are not in ``frame``, by reason."""
    versions: dict[str, int]
    """Version of each events table that was read, by stream."""
    as_of: datetime
    vocabularies: Vocabularies = field(default_factory=dict[str, tuple[str, ...]])
    """By which categories were encoded."""


def build_dataset(
    spark: SparkSession,
    pipeline: Pipeline,
    *,
    as_of: datetime,
    versions: Mapping[str, int] | None = None,
    vocabularies: Vocabularies = NONE,
) -> Dataset:
    """Everything that was known before ``as_of`` (UTC): requests, rows of the feature streams, and outcomes.

    ``versions``: of the events tables, by stream; the newest ones where there are none. ``vocabularies``: those of the declared
    categories. Raises TrainingError where a table is absent, no request has an outcome yet, or rows claim to have been known
    before they were sent.
    """
    features, label = pipeline.spec.features, pipeline.spec.label
    if features is None or label is None:
        raise TrainingError(f"{pipeline.file} declares no features and label; add both sections to train a model")
    layout = Layout(pipeline.spec.lake.root)
    streams = sorted({features.requests, label.stream, *features.streams})
    if versions is None:
        versions = {name: _version(spark, layout.events(name), name) for name in streams}
    accepted = {name: read_accepted(spark, layout.events(name), version=versions[name]) for name in streams}
    known = {
        name: rows.where((F.col("known_at") < F.lit(as_of)) & (known_from(rows) < F.lit(as_of)))
        for name, rows in accepted.items()
    }
    for name in streams:
        require_sent_in_time(known[name], name=name, within=pipeline.spec.streams[name].sent_within)
    released = {moment for name in features.streams for moment in releases(known[name])}
    rows = features_as_known(
        known[features.requests], known, features=features, since=None, released=released, vocabularies=vocabularies
    )
    outcome = outcomes(known[label.stream], label=label)
    joined = rows.join(outcome, "id", "left").withColumn("__why", _why(label))
    counted = {
        row["__why"]: row["count"] for row in outcome_counts(known[features.requests], features.id, outcome, label)
    }
    frame = joined.where("__why is null").drop("__why", *(f"__excluded_{name}" for name in label.excluded))
    if not counted.get(None):
        raise TrainingError(
            f"no request before {as_of:%Y-%m-%d %H:%M} UTC has a known outcome; ingest more data or choose a later --as-of"
        )
    excluded = {reason: n for reason, n in sorted(counted.items(), key=str) if reason is not None}
    return Dataset(frame, features.names, excluded, dict(versions), as_of, vocabularies)


def outcomes(rows: DataFrame, *, label: Label) -> DataFrame:
    """One row per request that has an outcome or is excluded: ``id``, ``label``, ``label_known_at``, ``label_group`` where groups
    are declared, the exclusions.

    Of several rows that tell the outcome, the newest known counts (a correction).
    """  # fmt: skip
    holds = F.lit(True) if label.where is None else F.coalesce(F.expr(checked(label.where)), F.lit(False))
    exclusions = {
        f"__excluded_{name}": F.max(F.coalesce(F.expr(checked(sql)), F.lit(False))).over(W.partitionBy(label.by))
        for name, sql in label.excluded.items()
    }
    newest_first = (
        F.col("__told").desc(),
        F.col("known_at").desc(),
        F.col("kafka_partition"),
        F.col("kafka_offset").desc(),
    )
    newest = W.partitionBy(label.by).orderBy(*newest_first)
    group = [] if label.group is None else [F.col(label.group).cast("string").alias(GROUP)]
    usable = holds if label.group is None else holds & F.col(label.group).isNotNull()
    told = F.when(usable, _told(rows, label))
    return (
        rows.withColumns({**exclusions, "__told": holds, LABEL: told})
        .withColumn("__nth", F.row_number().over(newest))
        .where("__nth = 1")
        .select(
            F.col(label.by).cast("string").alias("id"),
            LABEL,
            F.when(F.col("__told"), known_from(rows)).alias(LABEL_KNOWN_AT),
            *group,
            *exclusions,
        )
    )


def _told(rows: DataFrame, label: Label) -> Column:
    """The outcome that a row tells: 0 or 1, or a value as ``double`` or ``string``, by the type of its expression."""
    if label.positive is not None:
        return F.expr(checked(label.positive)).cast("int")
    value = F.expr(checked(label.value or ""))
    kind = rows.select(value.alias(LABEL)).schema[LABEL].dataType.typeName()
    return value.cast("string") if kind in _TEXTS else value.cast("double")


def outcome_counts(requests: DataFrame, id_column: str, outcome: DataFrame, label: Label) -> list[Row]:
    """How many requests are usable (``__why`` null), or excluded and why, without computing features."""
    ids = requests.select(F.col(id_column).cast("string").alias("id")).distinct()
    return ids.join(outcome, "id", "left").groupBy(_why(label).alias("__why")).count().collect()


def _why(label: Label) -> Column:
    """Why a request can't be used, or null where it can."""
    reason = F.lit(None).cast("string")
    for name in reversed(label.excluded):
        reason = F.when(F.col(f"__excluded_{name}"), F.lit(name)).otherwise(reason)
    return F.when(F.col(LABEL).isNotNull() & reason.isNull(), F.lit(None)).otherwise(
        F.coalesce(
            reason, F.when(F.col(LABEL_KNOWN_AT).isNull(), F.lit("outcome_not_known")).otherwise(F.lit("no_outcome"))
        )
    )


def _version(spark: SparkSession, path: str, name: str) -> int:
    if not delta.exists(spark, path):
        raise TrainingError(f"stream {name!r} has no table yet; run: headrace ingest --until-caught-up")
    return delta.version(spark, path)
