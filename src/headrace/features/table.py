"""The features of all requests as a table that is kept up to date: only requests that a change touches are computed again.

A row that became known at t changes what requests of its key see with T from t to t + lookback; a request that is new, or whose
first row changed, is computed itself. What a retention deletes changes nothing: features stay as they were when computed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from headrace.errors import SpecError, TrainingError
from headrace.features.compute import AT, lookback_seconds
from headrace.features.knowledge import features_as_known, known_from, releases
from headrace.lake import delta, files
from headrace.lake.commit import carry_metadata
from headrace.lake.files import storage_error
from headrace.lake.layout import Layout
from headrace.lake.lease import leased
from headrace.lake.log import newest_first
from headrace.lake.tables import ACCEPTED, create_table, read_accepted
from headrace.spec.features import Features
from headrace.spec.pipeline import Pipeline

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

BUILT = "features"
"""What the commits of such a table say that they are."""


@dataclass(frozen=True)
class Built:
    """One build of a feature table."""

    path: str
    version: int
    """Of the table now."""
    requests: int
    """Rows in the table."""
    computed: int
    """Requests that were computed now."""
    whole: str | None
    """Why all of them were, or None where only touched ones were."""
    versions: Mapping[str, int]
    """Version of each events table that it was built from, by stream."""


def build_features(
    spark: SparkSession, pipeline: Pipeline, *, anew: bool = False, notify: Callable[[str], None] = lambda line: None
) -> Built:
    """Bring the feature table of a pipeline up to its events tables; with ``anew``, compute all of it again.

    Raises SpecError where no features are declared, TrainingError where a stream has no table, CheckpointError where another
    job builds it, StorageError as ingest does.
    """
    if pipeline.spec.features is None:
        raise SpecError(f"{pipeline.file} has no section 'features'; add one to build their table")
    features = in_table(pipeline.spec.features)
    spark = spark.newSession()  # the metadata of a commit is a session's setting
    layout = Layout(pipeline.spec.lake.root)
    path, streams = layout.features(features.requests), sorted({features.requests, *features.streams})
    sources = {name: layout.events(name) for name in streams}
    for name, source in sources.items():
        if not delta.exists(spark, source):
            raise TrainingError(f"stream {name!r} has no table yet; run: headrace ingest --until-caught-up")
    versions = {name: delta.version(spark, source) for name, source in sources.items()}
    accepted = {name: read_accepted(spark, source, version=versions[name]) for name, source in sources.items()}
    _create(spark, path, features)
    if not anew and _is_of(_last_build(spark, path), features, versions):
        return _built(spark, path, 0, None, versions)
    with leased(spark, path, what=f"features/{features.requests}", notify=notify) as lease:
        told = _last_build(spark, path)
        whole = "asked for" if anew else _why_whole(told, definition(features), sources, spark)
        notify(f"computing all features: {whole}" if whole else "looking for what changed since the last build")
        asked = accepted[features.requests]
        if told is not None and whole is None:
            changes = {
                name: _changes(spark, source, after=told["versions"][name], until=versions[name])
                for name, source in sources.items()
            }
            asked = _touched(asked, changes, features=features)
        rows = _computed(asked, accepted, features=features).persist()
        try:
            computed = rows.count()
            lease.require()
            metadata = {
                "headrace": BUILT,
                "definition": definition(features),
                "versions": versions,
                "computed": computed,
            }
            _merge(spark, path, rows, metadata=metadata, whole=whole is not None)
        finally:
            rows.unpersist()
        return _built(spark, path, computed, whole, versions)


def in_table(features: Features) -> Features:
    """What the table holds: everything but the categories, whose numbers depend on a vocabulary and so on a model."""
    return features.model_copy(update={"categories": {}})


def built_by(spark: SparkSession, path: str, features: Features) -> bool:
    """Whether there is a feature table that was built by this declaration."""
    told = _last_build(spark, path) if delta.exists(spark, path) else None
    return told is not None and told["definition"] == definition(in_table(features))


def forget_features(spark: SparkSession, path: str, *, what: str) -> bool:
    """Remove a feature table, files and all, since it can be built anew; whether there was one."""
    if not delta.exists(spark, path):
        return False
    with leased(spark, path, what=what):
        files.delete(spark, path)
    files.delete(spark, path)  # with what the lease said when it ended
    return True


def _last_build(spark: SparkSession, path: str) -> Mapping[str, Any] | None:
    return next((e.metadata for e in newest_first(spark, path) if e.metadata.get("headrace") == BUILT), None)


def definition(features: Features) -> str:
    """SHA-256 of the declaration: what was computed by another one is computed anew."""
    return hashlib.sha256(features.model_dump_json().encode()).hexdigest()


def _is_of(told: Mapping[str, Any] | None, features: Features, versions: Mapping[str, int]) -> bool:
    return told is not None and told["definition"] == definition(features) and told["versions"] == versions


def _create(spark: SparkSession, path: str, features: Features) -> None:
    from pyspark.sql.types import DoubleType, StringType, StructField, StructType, TimestampType

    columns = [StructField("id", StringType()), StructField(AT, TimestampType())]
    columns += [StructField(name, DoubleType()) for name in features.names]
    create_table(spark, path, schema=StructType(columns), statistics=[AT])


def _why_whole(
    told: Mapping[str, Any] | None, now: str, sources: Mapping[str, str], spark: SparkSession
) -> str | None:  # fmt: skip
    """Why a build can't go on from the last one."""
    if told is None:
        return "the table is new"
    if told["definition"] != now:
        return "their declaration changed"
    for name, source in sources.items():
        if delta.version(spark, source) < told["versions"].get(name, 0):
            return f"the table of stream {name!r} was restored or made anew"
    return None


def _changes(spark: SparkSession, path: str, *, after: int, until: int) -> DataFrame | None:
    """Accepted rows that came, were released or were changed in the versions behind ``after``; None where there are no versions."""
    if until <= after:
        return None
    reader = spark.read.format("delta").option("readChangeFeed", "true")
    changed = reader.option("startingVersion", after + 1).option("endingVersion", until).load(path)
    return changed.where(f"verdict = '{ACCEPTED}' and _change_type in ('insert', 'update_postimage')")


def _touched(requests: DataFrame, changes: Mapping[str, DataFrame | None], *, features: Features) -> DataFrame:
    """The rows of all requests that a change may have given other features."""
    own = changes[features.requests]
    ids = [] if own is None else [own.select(F.col(features.id).alias("__id"))]
    lookback = timedelta(seconds=lookback_seconds(features))
    for stream, by in sorted({(part.stream, part.by) for part in (*features.last, *features.windows)}):
        changed = changes[stream]
        if changed is None:
            continue
        known = known_from(changed)
        spans = changed.groupBy(*by).agg(
            F.min("known_at").alias("__from"), F.max(F.greatest(known, "known_at")).alias("__to")
        )
        near = requests.join(spans, list(by)).where(
            (F.col("known_at") >= F.col("__from")) & (F.col("known_at") <= F.col("__to") + F.lit(lookback))
        )
        ids.append(near.select(F.col(features.id).alias("__id")))
    if not ids:
        return requests.limit(0)
    some = reduce(lambda one, other: one.union(other), ids).distinct()
    return requests.join(some, F.col(features.id) == F.col("__id"), "left_semi")


def _computed(requests: DataFrame, accepted: Mapping[str, DataFrame], *, features: Features) -> DataFrame:
    tables = {name: accepted[name] for name in features.streams}
    released = {moment for rows in tables.values() for moment in releases(rows)}
    span = requests.agg(F.min("known_at")).first()
    if span is not None and span[0] is not None:
        oldest: datetime = span[0] - timedelta(seconds=lookback_seconds(features))
        tables = {name: rows.where(F.col("known_at") >= F.lit(oldest)) for name, rows in tables.items()}
    return features_as_known(requests, tables, features=features, since=None, released=released)


def _merge(spark: SparkSession, path: str, rows: DataFrame, *, metadata: Mapping[str, Any], whole: bool) -> None:
    """One commit: the rows replace those of the same requests, or all of them."""
    from delta.tables import DeltaTable

    carry_metadata(spark, metadata)
    try:
        if whole:
            rows.write.format("delta").mode("overwrite").option("overwriteSchema", "true").save(path)
            return
        table = DeltaTable.forPath(spark, path).alias("old")
        merge = table.merge(rows.alias("new"), "old.id = new.id")
        merge.whenMatchedUpdateAll().whenNotMatchedInsertAll().execute()
    except Exception as error:
        raise storage_error(error, path) or error from None


def _built(spark: SparkSession, path: str, computed: int, whole: str | None, versions: Mapping[str, int]) -> Built:
    rows = spark.read.format("delta").load(path).count()
    return Built(path, delta.version(spark, path), rows, computed, whole, versions)
