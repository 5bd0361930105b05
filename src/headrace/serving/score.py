"""From ready requests to predictions: the same feature code as in training, and one commit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql.types import (
    BooleanType,
    DoubleType,
    IntegerType,
    LongType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from headrace.features.categories import NONE, Vocabularies
from headrace.features.compute import lookback_seconds
from headrace.features.knowledge import features_as_known, known_from
from headrace.lake.tables import read_accepted
from headrace.serving.answers import answer_columns, answer_fields
from headrace.spec.features import Features
from headrace.spec.kinds import Kind
from headrace.training.learners.boosting import Boosted
from headrace.training.learners.checked import opened
from headrace.training.learners.found import find

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

    from headrace.training.registry import RegisteredModel


@dataclass(frozen=True)
class FeatureTables:
    """The tables that features are read from, each pinned to a version."""

    paths: Mapping[str, str]
    versions: Mapping[str, int]

    def read(self, spark: SparkSession, *, after: datetime, until: datetime) -> dict[str, DataFrame]:
        """Accepted rows by stream with ``after < known_at <= until``, without those that were released to later requests."""
        accepted = {name: read_accepted(spark, path, version=self.versions[name]) for name, path in self.paths.items()}
        return {
            name: rows.where(
                (F.col("known_at") > F.lit(after))
                & (F.col("known_at") <= F.lit(until))
                & (known_from(rows) <= F.lit(until))
            )
            for name, rows in accepted.items()
        }


def predictions_schema(features: Features, kind: Kind = "binary") -> StructType:
    """Columns of the predictions table: the answer (by the kind of model), who gave it, and the feature values that it used."""
    return StructType(
        [
            StructField("id", StringType()),
            StructField("at", TimestampType()),
            *answer_fields(kind),
            StructField("model_version", IntegerType()),
            *(StructField(name, DoubleType()) for name in features.names),
            StructField("degraded", BooleanType()),
            StructField("score_batch", LongType()),
            StructField("scored_at", TimestampType()),
        ]
    )


def score(
    spark: SparkSession,
    requests: DataFrame,
    *,
    features: Features,
    tables: FeatureTables,
    model: RegisteredModel,
    span: tuple[datetime, datetime],
    degraded: bool,
    score_batch: int,
    released: Iterable[datetime] = (),
    vocabularies: Vocabularies = NONE,
) -> DataFrame:
    """One row per request, with the columns of :func:`predictions_schema`.

    ``span``: the earliest and latest T of the requests, by which the feature tables are pruned. ``released``: the moments of
    release between the two (headrace.features.knowledge). ``vocabularies``: those that the model was trained with.
    """
    first, last = span
    known = tables.read(spark, after=first - timedelta(seconds=lookback_seconds(features)), until=last)
    rows = features_as_known(
        requests, known, features=features, since=first, released=released, vocabularies=vocabularies
    )
    schema, answer = predictions_schema(features, model.task.kind), answer_fields(model.task.kind)
    answered = rows.mapInArrow(_predictor(model), StructType([*rows.schema.fields, *answer]))
    return answered.select(
        "id",
        "at",
        *(field.name for field in answer),
        F.lit(model.version).alias("model_version"),
        *features.names,
        F.lit(degraded).alias("degraded"),
        F.lit(score_batch).cast("long").alias("score_batch"),
        F.lit(datetime.now(UTC)).alias("scored_at"),
    ).to(schema)


def _predictor(model: RegisteredModel) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    content, learner = model.content, model.learner
    columns, task, names = list(model.features), model.task, [field.name for field in answer_fields(model.task.kind)]

    def answer(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        loaded = opened(find(learner), content, task=task)
        if isinstance(loaded, Boosted):
            loaded = loaded.by_one_thread()
        for batch in batches:
            table = pa.Table.from_batches([batch])
            if not table.num_rows:
                continue
            answers = loaded.predict(table, features=columns)
            for name, told in zip(names, answer_columns(answers, kind=task.kind, classes=task.classes), strict=True):
                table = table.append_column(name, told)
            yield from table.combine_chunks().to_batches()

    return answer
