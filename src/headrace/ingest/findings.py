"""What quarantined rows are found to be when they are judged again: counts by rule and day, no values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from pyspark.sql import Window
from pyspark.sql import functions as F

from headrace.errors import KeyRingError
from headrace.lake.tables import ACCEPTED, QUARANTINED
from headrace.stages.reopen import DAY, PROBLEM, WAS

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

MOST_RULES = 100
"""So many rules are told of; the rows of all others are counted as ``OTHERS``."""
OTHERS = "(other rules)"
_NAMED = ("decode:unknown:",)
"""Reasons that quote a producer's text. A commit outlives its rows, so there only their kind is told."""


@dataclass(frozen=True)
class Findings:
    """Rows of a quarantine, judged by the pipeline file as it is now. A row may fail several rules."""

    chosen: int
    passing: int
    by_rule: Mapping[str, int]
    """Rule that the passing rows had failed: how many of them."""
    still_failing: Mapping[str, int]
    """Rule that the others fail now: how many of them."""
    changed_days: tuple[date, ...]
    """Each ``ingest_date`` of a passing row or a copy."""
    days: Mapping[str, int]
    """``ingest_date``: passing rows."""
    copies: int
    """Rows that would pass, but are copies of accepted ones or of passing ones: duplicates from now on."""

    @property
    def by_rule_in_log(self) -> dict[str, int]:
        """``by_rule`` as a commit may tell it for ever."""
        told: Counter[str] = Counter()
        for rule, rows in self.by_rule.items():
            kind = next((prefix.rstrip(":") for prefix in _NAMED if rule.startswith(prefix)), rule)
            told[kind] += rows
        return dict(told)


def findings(rows: DataFrame) -> Findings:
    """Count rows that :func:`headrace.stages.reopen.judged_again` gave, copies among them marked.

    Raises KeyRingError where a payload did not open: the sentence of one, and how many.
    """
    passes, fails = F.col("verdict") == ACCEPTED, F.col("verdict") == QUARANTINED
    by_day = rows.groupBy(DAY).agg(
        F.count("*").alias("rows"),
        F.count(F.when(passes, 1)).alias("passing"),
        F.count(F.when(fails, 1)).alias("failing"),
        F.count(PROBLEM).alias("shut"),
        F.min(PROBLEM).alias("why"),
    )
    counted: list[Any] = by_day.orderBy(DAY).collect()
    shut = sum(row["shut"] for row in counted)
    if shut:
        others = f" ({shut:,} rows in all)" if shut > 1 else ""
        raise KeyRingError(f"nothing was released: {min(row['why'] for row in counted if row['why'])}{others}")
    days = {row[DAY]: row["passing"] for row in counted if row["passing"]}
    by_rule, still_failing = _by_rule(rows, passes, fails)
    chosen, passing = sum(row["rows"] for row in counted), sum(days.values())
    return Findings(
        chosen=chosen,
        passing=passing,
        by_rule=by_rule,
        still_failing=still_failing,
        changed_days=tuple(row[DAY] for row in counted if row["rows"] > row["failing"]),
        days={day.isoformat(): count for day, count in days.items()},
        copies=chosen - passing - sum(row["failing"] for row in counted),
    )


def _by_rule(rows: DataFrame, passes: Column, fails: Column) -> tuple[dict[str, int], dict[str, int]]:
    """Rules that passing rows had failed, and rules that rows still fail; most frequent first."""
    rules = F.when(passes, F.col(WAS)).when(fails, F.col("failed_rules"))
    counted = rows.select(passes.alias("passes"), F.explode(rules).alias("rule")).groupBy("passes", "rule").count()
    place = F.row_number().over(Window.partitionBy("passes").orderBy(F.desc("count"), "rule"))
    told = F.when(place <= MOST_RULES, F.col("rule")).otherwise(OTHERS).alias("rule")
    found: tuple[dict[str, int], dict[str, int]] = ({}, {})
    ranked = counted.select("passes", told, "count", place.alias("place"))
    most = ranked.groupBy("passes", "rule").agg(F.sum("count").alias("rows"), F.min("place").alias("place"))
    for row in most.orderBy("place").collect():
        found[not row["passes"]][row["rule"]] = row["rows"]
    return found
