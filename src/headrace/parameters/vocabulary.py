"""Vocabularies: the frequent values of a column, each with an index that it keeps in all later versions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from headrace.spec.parameters import Vocabulary

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def vocabulary(rows: DataFrame, *, spec: Vocabulary, before: Mapping[str, Any] | None) -> dict[str, Any]:
    """The value of a vocabulary over accepted rows. ``before``: that of the version that it continues.

    Values of that version keep their indices, whatever their counts are now; behind them come, most frequent first, those that
    were seen ``minimum_count`` times, as long as there is room. A rarer value gets no index and is not named.
    """
    kept: list[str] = list(before["values"]) if before and _same_column(before, spec) else []
    value = F.col(spec.column).cast("string")
    counted = rows.groupBy(value.alias("value")).count()
    enough = (F.col("count") >= spec.minimum_count) | F.col("value").isin(kept)
    named = {row["value"]: row["count"] for row in counted.where(F.col("value").isNotNull() & enough).collect()}
    new = sorted((word for word in named if word not in set(kept)), key=lambda word: (-named[word], word))
    values = [*kept, *new[: max(spec.largest - len(kept), 0)]]
    totals = counted.agg(
        F.sum("count").alias("rows"), F.sum(F.when(F.col("value").isNull(), F.col("count"))).alias("missing")
    ).first()
    total, missing = (int(totals["rows"] or 0), int(totals["missing"] or 0)) if totals else (0, 0)
    counts = [named.get(word, 0) for word in values]
    return {
        "stream": spec.stream, "column": spec.column, "values": values, "counts": counts,
        "minimum_count": spec.minimum_count, "rare": total - missing - sum(counts), "missing": missing,
    }  # fmt: skip


def _same_column(before: Mapping[str, Any], spec: Vocabulary) -> bool:
    return (before["stream"], before["column"]) == (spec.stream, spec.column)
