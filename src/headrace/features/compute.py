"""Features at a point in time, from one definition for training and for scoring.

A request at time T (its ``known_at``) sees, of every stream, only rows with ``known_at <= T``. Spark brings requests and rows
of a key together, in one shuffle per stream and key; what each request sees is found on its Python workers, in Arrow.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pyspark.sql import Window as W
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from headrace.features.aggregates import DIGITS, ROUNDED
from headrace.features.categories import NONE, Vocabularies, encoded
from headrace.features.point_in_time import BUCKET, REQUEST, TIE, TIME, InWindow, Newest, View
from headrace.spec.features import NOT_A_NUMBER, Aggregate, Features, Last, Window
from headrace.spec.section import seconds
from headrace.spec.sql import checked

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

AT = "at"
_BUCKETS = 64
"""A worker holds about this part of a partition at once: it comes to it sorted by buckets of keys."""


def lookback_seconds(features: Features) -> int:
    """How far before T the oldest row lies that a feature can see, in seconds."""
    lengths = [seconds(last.within) for last in features.last]
    lengths += [seconds(over) for window in features.windows for over in window.over]
    return max(lengths, default=0)


def compute_features(
    requests: DataFrame,
    tables: Mapping[str, DataFrame],
    *,
    features: Features,
    vocabularies: Vocabularies = NONE,
) -> DataFrame:
    """One row per request: ``id string``, ``at timestamp`` (T, UTC), then the features (``double``) in declared order.

    ``requests`` and ``tables`` (by stream name) are accepted rows as the lake keeps them. Of several requests with one id the
    first in the topic counts. Raises ParametersError where a category's vocabulary is not among ``vocabularies``.
    """
    rows = first_of_each(requests, features=features)
    keys = sorted({column for part in (*features.last, *features.windows) for column in part.by})
    rows = rows.select(
        F.col(features.id).cast("string").alias("id"),
        F.col("known_at").alias(AT),
        *(F.col(key).alias(f"__key_{key}") for key in keys),
        *(F.expr(checked(sql)).cast("double").alias(name) for name, sql in features.columns.items()),
        *(encoded(name, features=features, vocabularies=vocabularies).alias(name) for name in features.categories),
    )
    for (stream, by), parts in _grouped(features).items():
        rows = _joined(rows, tables[stream], by=by, parts=parts, own=stream == features.requests)
    return rows.select("id", AT, *features.names)


def first_of_each(requests: DataFrame, *, features: Features) -> DataFrame:
    """The requests without those that repeat the id of an earlier one."""
    unique = W.partitionBy(features.id).orderBy("known_at", "kafka_partition", "kafka_offset")
    return requests.withColumn("__nth", F.row_number().over(unique)).where("__nth = 1").drop("__nth")


def _grouped(features: Features) -> dict[tuple[str, tuple[str, ...]], list[Last | Window]]:
    """Parts that share a stream and a key share one pass."""
    groups: dict[tuple[str, tuple[str, ...]], list[Last | Window]] = {}
    for part in (*features.last, *features.windows):
        groups.setdefault((part.stream, part.by), []).append(part)
    return groups


def _joined(
    requests: DataFrame, table: DataFrame, *, by: tuple[str, ...], parts: list[Last | Window], own: bool
) -> DataFrame:  # fmt: skip
    """``own``: the rows are those of the requests' stream, so that only what was known before T counts: not the request itself."""
    keys = tuple(f"__key_{key}" for key in by)
    columns, features = _declared(parts)
    events = table.select(
        *(F.col(key).alias(name) for key, name in zip(by, keys, strict=True)),
        F.unix_micros("known_at").alias(TIME),
        F.lit(False).alias(REQUEST),
        F.xxhash64(F.lit(0), *columns.values()).alias(TIE),
        *(column.alias(name) for name, column in columns.items()),
    )
    for key in keys:  # a row without a key belongs to nobody
        events = events.where(F.col(key).isNotNull())
    asked = requests.withColumns({TIME: F.unix_micros(AT), REQUEST: F.lit(True)})
    together = asked.unionByName(events, allowMissingColumns=True).withColumn(
        BUCKET, F.pmod(F.xxhash64(*keys), F.lit(_BUCKETS)).cast("int")
    )
    view = View(keys=keys, kept=tuple(requests.columns), features=features, own=own)
    schema = StructType([together.schema[name] for name in requests.columns])
    for feature in features:
        schema = schema.add(feature.name, "double")
    found = together.repartition(*keys).sortWithinPartitions(BUCKET).mapInArrow(view, schema)
    rounded = [f.name for f in features if isinstance(f, InWindow) and f.aggregate in ROUNDED]
    return found.withColumns({name: F.round(name, DIGITS) for name in rounded})


def _declared(parts: list[Last | Window]) -> tuple[dict[str, Column], tuple[Newest | InWindow, ...]]:
    """What the parts need of a row, by column, and the features that they make of it."""
    columns: dict[str, Column] = {}
    names: dict[tuple[str, str], str] = {}

    def needed(what: str, sql: str, column: Column) -> str:
        name = names.setdefault((what, sql), f"__value_{len(names)}")
        columns[name] = column
        return name

    def number(column: str) -> str:
        return needed("number", column, F.col(column).cast("double"))

    def of_window(aggregate: Aggregate, column: str | None) -> str | None:
        if column is None:
            return None
        if aggregate == "distinct":
            return needed("text", column, F.col(column).cast("string"))
        if aggregate in NOT_A_NUMBER:
            return needed("there", column, F.when(F.col(column).isNotNull(), F.lit(True)))
        return number(column)

    features: list[Newest | InWindow] = []
    for part in parts:
        where = part.where
        holds = where and needed("holds", where, F.coalesce(F.expr(checked(where)), F.lit(False)))
        if isinstance(part, Last):
            within = _micros(part.within)
            features += [Newest(name, number(column), holds, within) for name, column in part.columns.items()]
            features += [Newest(part.age, None, holds, within)] if part.age else []
        else:
            features += [
                InWindow(
                    name=f"{name}_{over}",
                    aggregate=aggregate,
                    value=of_window(aggregate, column),
                    holds=holds,
                    over=_micros(over),
                    half_life=_micros(part.half_life or over),
                )
                for over in part.over
                for name, (aggregate, column) in part.aggregates.items()
            ]
    return columns, tuple(features)


def _micros(duration: str) -> int:
    return seconds(duration) * 1_000_000
