"""LIKE on Spark for Great Expectations, which knows these four conditions only for SQL databases.

Importing this module registers them through GX's own extension point, so that GX computes them like its other
column conditions (counts, index lists). The escape character is a backslash unless the expectation names one.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

from great_expectations.execution_engine import SparkDFExecutionEngine
from great_expectations.expectations.metrics.map_metric_provider import (
    ColumnMapMetricProvider,
    column_condition_partial,
)
from pyspark.sql import Column
from pyspark.sql import functions as F


def _like(column: Column, pattern: str, escape: str | None) -> Column:
    return F.like(column, F.lit(pattern), F.lit(escape)) if escape else F.like(column, F.lit(pattern))


def _matches(column: Column, patterns: Sequence[str], escape: str | None) -> list[Column]:
    return [_like(column, pattern, escape) for pattern in patterns]


class SparkLikePattern(ColumnMapMetricProvider):
    """The text matches the pattern."""

    condition_metric_name = "column_values.match_like_pattern"
    condition_value_keys = ("like_pattern", "escape")

    @column_condition_partial(engine=SparkDFExecutionEngine)
    def _spark(cls, column: Column, like_pattern: str, escape: str | None = None, **_: Any) -> Column:
        return _like(column, like_pattern, escape)


class SparkNotLikePattern(ColumnMapMetricProvider):
    """The text doesn't match the pattern."""

    condition_metric_name = "column_values.not_match_like_pattern"
    condition_value_keys = ("like_pattern", "escape")

    @column_condition_partial(engine=SparkDFExecutionEngine)
    def _spark(cls, column: Column, like_pattern: str, escape: str | None = None, **_: Any) -> Column:
        return ~_like(column, like_pattern, escape)


class SparkLikePatternList(ColumnMapMetricProvider):
    """The text matches one of the patterns (``match_on`` any) or each of them (all)."""

    condition_metric_name = "column_values.match_like_pattern_list"
    condition_value_keys = ("like_pattern_list", "match_on", "escape")

    @column_condition_partial(engine=SparkDFExecutionEngine)
    def _spark(
        cls,
        column: Column,
        like_pattern_list: Sequence[str],
        match_on: str | None = None,
        escape: str | None = None,
        **_: Any,
    ) -> Column:
        matches = _matches(column, like_pattern_list, escape)
        return reduce(lambda a, b: a & b, matches) if match_on == "all" else reduce(lambda a, b: a | b, matches)


class SparkNotLikePatternList(ColumnMapMetricProvider):
    """The text matches none of the patterns."""

    condition_metric_name = "column_values.not_match_like_pattern_list"
    condition_value_keys = ("like_pattern_list", "escape")

    @column_condition_partial(engine=SparkDFExecutionEngine)
    def _spark(cls, column: Column, like_pattern_list: Sequence[str], escape: str | None = None, **_: Any) -> Column:
        return ~reduce(lambda a, b: a | b, _matches(column, like_pattern_list, escape))
