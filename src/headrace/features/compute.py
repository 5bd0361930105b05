"""Features at a point in time, from one definition for training and for scoring.

A request at time T (its ``known_at``) sees, of every stream, only rows with ``known_at <= T``. The join is the union of
requests and rows per key, ordered by time, with window functions over it: each request picks up what lies before it, no row
is looked up twice, and no request is lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pyspark.sql import Window as W
from pyspark.sql import functions as F

from headrace.features.aggregates import aggregated, value_of
from headrace.features.categories import NONE, Vocabularies, encoded
from headrace.spec.features import Features, Last, Window
from headrace.spec.section import seconds
from headrace.spec.sql import checked

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

AT = "at"
_TIME, _REQUEST, _TIE = "__time", "__request", "__tie"


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
    values = _values(parts)
    events = table.select(
        *(F.col(key).alias(f"__key_{key}") for key in by),
        F.unix_micros("known_at").alias(_TIME),
        F.lit(False).alias(_REQUEST),
        *(column.alias(name) for name, column in values.items()),
    )
    for name in by:  # a row without a key belongs to nobody
        events = events.where(F.col(f"__key_{name}").isNotNull())
    events = events.withColumn(_TIE, F.xxhash64(*values))
    asked = requests.withColumns({_TIME: F.unix_micros(AT), _REQUEST: F.lit(True), _TIE: F.lit(0).cast("long")})
    both = asked.unionByName(events, allowMissingColumns=True)
    key = [F.col(f"__key_{name}") for name in by]
    made: dict[str, Column] = {}
    for index, part in enumerate(parts):
        made |= _last(part, index, key, own) if isinstance(part, Last) else _windows(part, index, key, own)
    found = both.withColumns(made).where(F.col(_REQUEST))
    for index, part in enumerate(parts):
        if isinstance(part, Last):
            found = found.withColumns(_unpacked(part, index))
    kept = [
        name
        for name in found.columns
        if name not in (_TIME, _REQUEST, _TIE) and not name.startswith(("__value", "__row"))
    ]
    return found.select(*kept)


def _values(parts: list[Last | Window]) -> dict[str, Column]:
    """What each part needs of a row; null where the part's condition does not hold."""
    values: dict[str, Column] = {}
    for index, part in enumerate(parts):
        holds = F.lit(True) if part.where is None else F.coalesce(F.expr(checked(part.where)), F.lit(False))
        if isinstance(part, Last):
            fields = [F.col(column).cast("double").alias(name) for name, column in part.columns.items()]
            values[f"__row_{index}"] = F.when(holds, F.struct(*fields, F.unix_micros("known_at").alias("__known")))
        else:
            for name, (aggregate, column) in part.aggregates.items():
                values[f"__value_{index}_{name}"] = F.when(holds, value_of(aggregate, column))
    return values


def _last(part: Last, index: int, key: list[Column], own: bool) -> dict[str, Column]:
    of_equal_time = F.col(_REQUEST).desc() if own else F.col(_REQUEST).asc()
    before = W.partitionBy(*key).orderBy(_TIME, of_equal_time, _TIE).rowsBetween(W.unboundedPreceding, W.currentRow)
    return {f"__row_last_{index}": F.last(f"__row_{index}", ignorenulls=True).over(before)}


def _unpacked(part: Last, index: int) -> dict[str, Column]:
    row = F.col(f"__row_last_{index}")
    age = F.col(_TIME) - row["__known"]
    fresh = age <= seconds(part.within) * 1_000_000
    columns = {name: F.when(fresh, row[name]) for name in part.columns}
    if part.age:
        columns[part.age] = F.when(fresh, age / 60_000_000)
    return columns


def _windows(part: Window, index: int, key: list[Column], own: bool) -> dict[str, Column]:
    columns: dict[str, Column] = {}
    for over in part.over:
        length = seconds(over)
        frame = W.partitionBy(*key).orderBy(_TIME).rangeBetween(1 - length * 1_000_000, -1 if own else 0)
        half_life = seconds(part.half_life) if part.half_life else length
        for name, (aggregate, _) in part.aggregates.items():
            columns[f"{name}_{over}"] = aggregated(
                aggregate,
                F.col(f"__value_{index}_{name}"),
                frame=frame,
                now=F.col(_TIME),
                over=length,
                half_life=half_life,
            )
    return columns
