"""What was computed for a person: predictions, and rows of training snapshots, known by the ids of their requests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from headrace.lake import delta, files
from headrace.lake.erase import ERASE, erase_matching, purge
from headrace.lake.layout import Layout
from headrace.lake.lease import Lease, leased
from headrace.lake.maintain import unreferenced_files
from headrace.privacy.keys import KeyRing
from headrace.privacy.pseudonym import renewed
from headrace.small_frames import frame_of
from headrace.spec.pipeline import Pipeline
from headrace.spec.protect import Pseudonym

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_NOW = "__now"


@dataclass(frozen=True)
class Answers:
    """Tables with rows of the person's requests."""

    predictions: int = 0
    snapshots: Mapping[str, int] = field(default_factory=dict)
    """Training run to rows."""
    old: frozenset[str] = frozenset()
    """Paths of those tables whose old files still hold such rows."""
    published: frozenset[str] = field(default=frozenset(), repr=False)
    """Ids of the predictions, as their table has them or had them."""

    @property
    def anything(self) -> bool:
        return bool(self.predictions or self.snapshots or self.old)


def find_answers(spark: SparkSession, pipeline: Pipeline, ids: Iterable[str], *, ring: KeyRing) -> Answers:
    """What was computed for requests with these ids, by old versions of their pseudonyms too."""
    ids, layout = frozenset(ids), Layout(pipeline.spec.lake.root)
    if not ids or pipeline.spec.model is None:
        return Answers()
    predictions = layout.predictions(pipeline.spec.model.name)
    runs = {layout.snapshot(run): run for run in files.names(spark, layout.snapshots)}
    tables = [table for table in (predictions, *runs) if delta.exists(spark, table)]
    rows = {table: _counted(_chosen(spark, table, pipeline, ids, ring=ring)) for table in tables}
    old = {table: _in_old_files(spark, table, pipeline, ids, ring=ring) for table in tables}
    snapshots = {run: sum(rows[table].values()) for table, run in runs.items() if rows.get(table)}
    answered = rows.get(predictions, {})
    published = frozenset({*answered, *old.get(predictions, {})})
    return Answers(sum(answered.values()), snapshots, frozenset(table for table in tables if old[table]), published)


def answer_rows(
    spark: SparkSession, pipeline: Pipeline, ids: Iterable[str], answers: Answers, *, ring: KeyRing
) -> Iterator[tuple[str, int, DataFrame]]:
    """Each table's name, its version as of now, and its rows (whole) that were computed for requests with these ids."""
    layout, model = Layout(pipeline.spec.lake.root), pipeline.spec.model
    tables = {f"snapshots/{run}": layout.snapshot(run) for run in sorted(answers.snapshots)}
    if answers.predictions and model is not None:
        tables[f"serving/{model.name}/predictions"] = layout.predictions(model.name)
    for name, path in tables.items():
        version = delta.version(spark, path)
        rows = spark.read.format("delta").option("versionAsOf", version).load(path)
        yield name, version, _with_ids(spark, rows, pipeline, frozenset(ids), ring=ring)


def erase_predictions(
    spark: SparkSession, pipeline: Pipeline, ids: Iterable[str], *, ring: KeyRing, erasure: str, lease: Lease
) -> tuple[int, int]:
    """Delete predictions for these ids, and old files; how many rows and files went. Under the lease of who scores."""
    assert pipeline.spec.model is not None
    path = Layout(pipeline.spec.lake.root).predictions(pipeline.spec.model.name)
    return _erased(spark, path, pipeline, frozenset(ids), ring=ring, erasure=erasure, lease=lease)


def erase_from_snapshot(
    spark: SparkSession, pipeline: Pipeline, run: str, ids: Iterable[str], *, ring: KeyRing, erasure: str
) -> tuple[int, int]:
    """The same for a run's training rows, which nobody else may change: after it they accept no change again."""
    path = Layout(pipeline.spec.lake.root).snapshot(run)
    with leased(spark, path, what=f"snapshots/{run}") as lease:
        try:
            delta.set_property(spark, path, "delta.appendOnly", "false")
            return _erased(spark, path, pipeline, frozenset(ids), ring=ring, erasure=erasure, lease=lease)
        finally:
            delta.set_property(spark, path, "delta.appendOnly", "true")


def _erased(
    spark: SparkSession, path: str, pipeline: Pipeline, ids: frozenset[str], *, ring: KeyRing, erasure: str, lease: Lease
) -> tuple[int, int]:  # fmt: skip
    session = spark.newSession()
    chosen = _chosen(session, path, pipeline, ids, ring=ring)
    stored = _counted(chosen)
    rows = sum(stored.values())
    if rows:
        frame = frame_of(session, [(one,) for one in stored], "id string")
        told: dict[str, Any] = {"headrace": ERASE, "erasure": erasure, "rows": rows}
        erase_matching(session, path, frame, on="old.id = new.id", told=told, lease=lease)
    return rows, purge(spark, path, lease=lease)


def _counted(rows: DataFrame) -> dict[str, int]:
    """Id to rows."""
    return {row["id"]: int(row["count"]) for row in rows.groupBy("id").count().collect()}


def _in_old_files(
    spark: SparkSession, path: str, pipeline: Pipeline, ids: frozenset[str], *, ring: KeyRing
) -> dict[str, int]:  # fmt: skip
    """Id to rows, in files that the table needs no more."""
    old = unreferenced_files(spark, path)
    if not old:
        return {}
    rows = spark.read.schema("id string").option("ignoreCorruptFiles", "true").parquet(*old)
    return _counted(_with_ids(spark, rows, pipeline, ids, ring=ring))


def _chosen(spark: SparkSession, path: str, pipeline: Pipeline, ids: frozenset[str], *, ring: KeyRing) -> DataFrame:
    """The ids of such rows, as the table has them."""
    return _with_ids(spark, spark.read.format("delta").load(path).select("id"), pipeline, ids, ring=ring)


def _with_ids(
    spark: SparkSession, rows: DataFrame, pipeline: Pipeline, ids: frozenset[str], *, ring: KeyRing
) -> DataFrame:  # fmt: skip
    """Rows with one of the ids; where ids are pseudonyms, of whatever version."""
    features = pipeline.spec.features
    assert features is not None
    protection = pipeline.spec.streams[features.requests].protect.get(features.id)
    wanted = frame_of(spark, [(one,) for one in sorted(ids)], f"{_NOW} string")

    def current(name: str) -> Any:
        same = F.col(name)
        return renewed(same, domain=protection.pseudonym, ring=ring) if isinstance(protection, Pseudonym) else same

    wanted = wanted.select(current(_NOW).alias(_NOW)).distinct()
    return rows.withColumn(_NOW, current("id")).join(F.broadcast(wanted), _NOW, "left_semi").drop(_NOW)
