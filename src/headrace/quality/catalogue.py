"""What Headrace does with each expectation type of Great Expectations, known without importing it (that takes seconds)."""

from __future__ import annotations

import importlib.util
import json
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from headrace.errors import PrerequisiteError

ROW_LEVEL: tuple[str, ...] = (
    "expect_column_values_to_not_be_null",
    "expect_column_values_to_be_null",
    "expect_column_values_to_be_between",
    "expect_column_values_to_be_in_set",
    "expect_column_values_to_not_be_in_set",
    "expect_column_value_lengths_to_be_between",
    "expect_column_value_lengths_to_equal",
    "expect_column_values_to_match_regex",
    "expect_column_values_to_not_match_regex",
    "expect_column_values_to_match_regex_list",
    "expect_column_values_to_not_match_regex_list",
    "expect_column_values_to_match_like_pattern",
    "expect_column_values_to_not_match_like_pattern",
    "expect_column_values_to_match_like_pattern_list",
    "expect_column_values_to_not_match_like_pattern_list",
    "expect_column_values_to_match_strftime_format",
    "expect_column_values_to_be_json_parseable",
    "expect_column_pair_values_to_be_equal",
    "expect_column_pair_values_a_to_be_greater_than_b",
    "expect_column_pair_values_to_be_in_set",
    "expect_multicolumn_sum_to_equal",
    "expect_multicolumn_values_to_be_equal",
    "expect_select_column_values_to_be_unique_within_record",
)
"""Types that give each row a verdict of its own, whatever else is in its batch."""

_OTHER_ROWS = "its verdict depends on other rows of the batch, and batch boundaries must not matter"
_FREE_SQL = "its SQL would run unchecked; write a row-level expectation with a row_condition, or a column of normalize"

REFUSED: MappingProxyType[str, str] = MappingProxyType(
    {
        "expect_column_values_to_be_unique": _OTHER_ROWS,
        "expect_compound_columns_to_be_unique": _OTHER_ROWS,
        "expect_column_value_z_scores_to_be_less_than": _OTHER_ROWS,
        "expect_column_values_to_not_be_outliers": _OTHER_ROWS,
        "expect_column_values_to_be_increasing": _OTHER_ROWS,
        "expect_column_values_to_be_decreasing": _OTHER_ROWS,
        "expect_column_values_to_match_json_schema": (
            "Great Expectations raises on a text that is no JSON, so one bad record would stop the stream; "
            "use expect_column_values_to_be_json_parseable, or declare the fields in the stream's schema"
        ),
        "expect_column_values_to_be_dateutil_parseable": (
            "Great Expectations can't compute it on Spark; use expect_column_values_to_match_strftime_format"
        ),
        "expect_table_row_count_to_equal_other_table": "Great Expectations can't compute it on Spark",
        "expect_query_results_to_match_comparison": _FREE_SQL,
        "unexpected_rows_expectation": _FREE_SQL,
    }
)
"""Types that a suite may not contain, with the reason."""

NO_ROW_CONDITION: MappingProxyType[str, str] = MappingProxyType(
    {
        "expect_column_pair_values_to_be_in_set": (
            "Great Expectations 1.24 forgets the row_condition of this type on Spark and would judge every row; "
            "add the pairs that the other rows may have, or use expect_column_values_to_be_in_set"
        ),
    }
)
"""Row-level types that may not have a row condition, with the reason."""

_WITHOUT_SCHEMA = "expect_column_values_to_not_be_null"
_BESIDE_KWARGS = frozenset(
    [
        "id",
        "meta",
        "notes",
        "severity",
        "description",
        "rendered_content",
        "metadata",
        "library_metadata",
        "windows",
        "batch_id",
        "result_format",
        "catch_exceptions",
    ]
)


@cache
def _schema_folder() -> Path:
    spec = importlib.util.find_spec("great_expectations")
    if spec is None or not spec.submodule_search_locations:
        raise PrerequisiteError("great_expectations is not installed; run pip install headrace again")
    return Path(next(iter(spec.submodule_search_locations))) / "expectations" / "core" / "schemas"


@cache
def _schema_files() -> dict[str, str]:
    index = json.loads((_schema_folder() / "index.json").read_text(encoding="utf-8"))
    shipped: dict[str, str] = {name: entry["schema_file"] for name, entry in index["expectations"].items()}
    return shipped | dict.fromkeys(index["documented_absent"], shipped[_WITHOUT_SCHEMA])


@cache
def expectation_types() -> tuple[str, ...]:
    """All expectation types that the installed Great Expectations knows, sorted by name."""
    return tuple(sorted(_schema_files()))


def table_level_types() -> tuple[str, ...]:
    """Types about a whole table (aggregates, row counts, columns): computed by GX, never the verdict of a row."""
    return tuple(name for name in expectation_types() if name not in ROW_LEVEL and name not in REFUSED)


@cache
def kwargs_schema(type_: str) -> dict[str, Any]:
    """JSON schema (draft 7) of a type's kwargs as GX ships it, without the keys that are written beside ``kwargs``.

    A ``value_set`` may also hold booleans and empty texts, which GX computes though its schema leaves them out.
    Raises KeyError when GX doesn't know the type.
    """
    schema = json.loads((_schema_folder() / _schema_files()[type_]).read_text(encoding="utf-8"))
    properties = {name: value for name, value in schema["properties"].items() if name not in _BESIDE_KWARGS}
    if "mostly" in properties:  # its multipleOf 0.01 is a hint for GX's own forms, and floats fail it by rounding
        properties["mostly"] = {"type": "number", "minimum": 0, "maximum": 1}
    if "value_set" in properties:
        kinds = [{"type": "array", "minItems": 1, "items": {"type": kind}} for kind in ("string", "number", "boolean")]
        properties["value_set"] = {"anyOf": kinds}
    return schema | {"properties": properties}
