"""What a window makes of the rows in it: one number, the same for any order and partitioning of the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from headrace.spec.features import Aggregate

if TYPE_CHECKING:
    from pyspark.sql import Column, WindowSpec

_DIGITS = 9
"""What is summed is rounded to this many decimals, since floating-point sums depend on the order of rows of equal time."""
_MICROS_PER_MINUTE = 60_000_000


def value_of(aggregate: Aggregate, column: str | None) -> Column:
    """What the aggregate needs of a row; null where the row has none."""
    if aggregate == "since":
        return (
            F.unix_micros("known_at")
            if column is None
            else F.when(F.col(column).isNotNull(), F.unix_micros("known_at"))
        )
    if aggregate == "distinct":
        return F.col(column or "").cast("string")
    if aggregate in ("decayed_sum", "decayed_mean"):
        number = F.lit(1.0) if column is None else F.col(column).cast("double")
        return F.when(number.isNotNull(), F.struct(F.unix_micros("known_at").alias("at"), number.alias("value")))
    return F.lit(1.0) if column is None else F.col(column).cast("double")


def aggregated(
    aggregate: Aggregate, value: Column, *, frame: WindowSpec, now: Column, over: int, half_life: int
) -> Column:
    """The feature (``double``): of the values in the frame, seen at ``now`` (microseconds since 1970).

    ``over`` and ``half_life`` in seconds. Quantiles interpolate linearly between the two nearest ranks (type 7 of Hyndman and
    Fan, Sample Quantiles in Statistical Packages, 1996). A decayed value weighs a row of age a by 2^(-a / half_life).
    """
    if aggregate == "distinct":
        return F.size(F.collect_set(value).over(frame)).cast("double")
    if aggregate == "rate":
        return F.count(value).over(frame) * 3600.0 / over
    if aggregate == "since":
        return (now - F.max(value).over(frame)) / _MICROS_PER_MINUTE
    if aggregate in ("decayed_sum", "decayed_mean"):
        return F.round(_decayed(aggregate, F.collect_list(value).over(frame), now=now, half_life=half_life), _DIGITS)
    if aggregate.startswith("p"):
        return _quantile(F.sort_array(F.collect_list(value).over(frame)), int(aggregate[1:]) / 100)
    plain = {"count": F.count, "sum": F.sum, "mean": F.mean, "min": F.min, "max": F.max, "std": F.stddev_samp}[
        aggregate
    ]
    found = plain(value).over(frame).cast("double")
    return F.round(found, _DIGITS) if aggregate in ("sum", "mean", "std") else found


def _decayed(aggregate: str, rows: Column, *, now: Column, half_life: int) -> Column:
    def weight(row: Column) -> Column:
        return F.pow(F.lit(2.0), (row["at"] - now) / (half_life * 1e6))

    def total(of: Column) -> Column:
        return F.aggregate(of, F.lit(0.0), lambda sum_, term: sum_ + term)

    weighted = total(F.transform(rows, lambda row: row["value"] * weight(row)))
    divisor = total(F.transform(rows, weight)) if aggregate == "decayed_mean" else F.lit(1.0)
    return F.when(F.size(rows) > 0, weighted / divisor)


def _quantile(ranked: Column, share: float) -> Column:
    place = (F.size(ranked) - 1) * F.lit(share)
    below = F.floor(place).cast("int")
    low, high = F.get(ranked, below), F.get(ranked, F.ceil(place).cast("int"))
    return low + (high - low) * (place - below)
