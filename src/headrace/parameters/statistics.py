"""Statistics of features, in one pass: how many are missing, moments, bounds, and a sketch for quantiles."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from headrace.parameters.sketch import (
    GAMMA,
    MIDDLE,
    OFFSET,
    SHARES,
    SMALLEST,
    UNITS,
    Bucket,
    as_json,
    moments,
    quantile,
)

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

_DIGITS = 12
"""Significant digits of what is written."""


def statistics(rows: DataFrame, *, features: Sequence[str]) -> dict[str, Any]:
    """The value of ``statistics``: of each feature (``double``) over all rows. NaN is missing; infinite values are only counted.

    The same rows give the same value, however they are partitioned: all that Spark adds up are whole numbers.
    """
    value = F.col("value")
    middle = F.when(value == 0, 0.0).otherwise(F.signum(value) * F.pow(F.lit(GAMMA), F.abs("bucket") - OFFSET) * MIDDLE)
    distance = F.when(F.col("bucket") == 0, F.lit(0.0)).otherwise(value / middle - 1)
    named = [F.struct(F.lit(name).alias("feature"), F.col(name).alias("value")) for name in features]
    melted = rows.select(F.explode(F.array(*named)).alias("one")).select("one.*").withColumn("bucket", _bucket(value))
    counted = melted.groupBy("feature", "bucket", _kind(value).alias("kind")).agg(
        F.count(F.lit(1)).alias("count"),
        *(
            F.sum((F.pow(distance, F.lit(power)) * unit).cast("long")).alias(f"sum_{power}")
            for power, unit in enumerate(UNITS, start=1)
        ),
        F.min("value").alias("lowest"),
        F.max("value").alias("highest"),
    )
    found: dict[str, list[Any]] = defaultdict(list)
    for row in counted.collect():
        found[row["feature"]].append(row)
    described = {name: _described(found[name]) for name in features}
    any_one = next(iter(described.values()), {"count": 0, "missing": 0, "infinite": 0})
    return {"rows": sum(any_one[part] for part in ("count", "missing", "infinite")), "features": described}


def _kind(value: Column) -> Column:
    missing = value.isNull() | F.isnan(value)
    infinite = F.abs(value) == math.inf
    return F.when(missing, F.lit("missing")).when(infinite, F.lit("infinite")).otherwise(F.lit("finite"))


def _bucket(value: Column) -> Column:
    number = F.ceil(F.log(F.abs(value)) / math.log(GAMMA)).cast("int") + OFFSET
    outside = value.isNull() | F.isnan(value) | (F.abs(value) == math.inf)
    return F.when(outside, None).otherwise(
        F.when(F.abs(value) < SMALLEST, 0).otherwise((F.signum(value) * number).cast("int"))
    )


def _described(rows: Sequence[Any]) -> dict[str, Any]:
    counts = dict.fromkeys(("finite", "missing", "infinite"), 0)
    for row in rows:
        counts[row["kind"]] += row["count"]
    buckets = sorted(
        (
            Bucket(
                row["bucket"], row["count"], (int(row["sum_1"]), int(row["sum_2"]), int(row["sum_3"])),
                row["lowest"], row["highest"],
            )
            for row in rows
            if row["kind"] == "finite"
        ),
        key=lambda bucket: bucket.number,
    )  # fmt: skip
    total = sum(counts.values())
    told: dict[str, Any] = {
        "count": counts["finite"],
        "missing": counts["missing"],
        "infinite": counts["infinite"],
        "missing_rate": _rounded(counts["missing"] / total) if total else 0.0,
        "sketch": as_json(buckets),
    }
    if not buckets:
        names = ("mean", "standard_deviation", "skewness", "minimum", "maximum")
        return {**told, **dict.fromkeys(names), "quantiles": {}}
    mean, deviation, skewness = moments(buckets)
    return {
        **told,
        "mean": _rounded(mean),
        "standard_deviation": _rounded(deviation),
        "skewness": None if skewness is None else _rounded(skewness),
        "minimum": buckets[0].lowest + 0.0,  # -0.0 and 0.0 are one value
        "maximum": buckets[-1].highest + 0.0,
        "quantiles": {str(share): _rounded(quantile(buckets, share)) for share in SHARES},
    }


def _rounded(number: float) -> float:
    return float(f"{number:.{_DIGITS}g}")
