"""Whether the values of an expectation can be compared with its columns: in ANSI mode Spark stops at the first that can't."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Any

from headrace.located import Key
from headrace.quality.catalogue import ROW_LEVEL
from headrace.quality.check_kwargs import Finding

EXACT = 2**53
"""Beyond it a double, which is what GX makes of a bound, no longer holds every whole number."""

_KINDS = {
    "text": ("string", "varchar", "char"),
    "number": (
        "tinyint",
        "smallint",
        "int",
        "integer",
        "bigint",
        "long",
        "float",
        "double",
        "decimal",
        "byte",
        "short",
    ),
    "date": ("date",),
    "timestamp": ("timestamp", "timestamp_ntz", "timestamp_ltz"),
    "boolean": ("boolean",),
    "binary": ("binary",),
}
_TEXT_ONLY = re.compile(r"expect_column_value_lengths|_match_(regex|like|strftime)|_be_json_parseable")


def kind_of(spark_type: str) -> str:
    """``text``, ``number``, ``date``, ``timestamp``, ``boolean``, ``binary`` or ``nested``, of a Spark simple type string."""
    plain = re.split(r"[(<]", spark_type.lower())[0].strip()
    return next((kind for kind, names in _KINDS.items() if plain in names), "nested")


def check_types(type_: str, kwargs: Mapping[str, Any], columns: Mapping[str, str]) -> Iterator[Finding]:
    """What can't be compared, in a row-level expectation whose kwargs have the right shape and whose columns exist."""
    if type_ not in ROW_LEVEL:
        return
    column = kwargs.get("column")
    if isinstance(column, str):
        kind = kind_of(columns[column])
        if _TEXT_ONLY.search(type_) and kind != "text":
            yield f"{type_} reads texts, and column {column!r} is {columns[column]}", ("column",)
        elif type_ == "expect_column_value_lengths_to_be_between":
            yield from _check_lengths(kwargs)
        elif type_ == "expect_column_values_to_be_between":
            yield from _check_bounds(kwargs, column, columns[column])
        for index, value in enumerate(kwargs.get("value_set") or ()):
            yield from _check_against(value, column, columns[column], ("value_set", index))
    if type_.startswith("expect_column_pair"):
        yield from _check_pair(kwargs, columns)
    if "column_list" in kwargs:
        yield from _check_list(type_, kwargs, columns)


def _check_bounds(kwargs: Mapping[str, Any], column: str, spark_type: str) -> Iterator[Finding]:
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    if kind_of(spark_type) not in ("number", "date", "timestamp"):
        yield f"between compares numbers, dates or timestamps, and column {column!r} is {spark_type}", ("column",)
        return
    if low is None and high is None:
        yield "give min_value, max_value or both", ()
    for name, bound in (("min_value", low), ("max_value", high)):
        if bound is not None:
            yield from _check_against(bound, column, spark_type, (name,))
    if isinstance(low, (int, float)) and isinstance(high, (int, float)) and low > high:
        yield f"min_value {low} is above max_value {high}", ("min_value",)


def _check_lengths(kwargs: Mapping[str, Any]) -> Iterator[Finding]:
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    if low is None and high is None:
        yield "give min_value, max_value or both", ()
    elif low is not None and high is not None and low > high:
        yield f"min_value {low} is above max_value {high}", ("min_value",)


def _check_pair(kwargs: Mapping[str, Any], columns: Mapping[str, str]) -> Iterator[Finding]:
    first, second = kwargs["column_A"], kwargs["column_B"]
    if "value_pairs_set" in kwargs:
        if not kwargs["value_pairs_set"]:
            yield "'value_pairs_set' is empty; give at least one pair", ("value_pairs_set",)
        for index, pair in enumerate(kwargs["value_pairs_set"]):
            for side, name in enumerate((first, second)):
                if pair[side] is not None:
                    yield from _check_against(pair[side], name, columns[name], ("value_pairs_set", index, side))
    elif not _comparable(columns[first], columns[second]):
        message = (
            f"column {first!r} is {columns[first]} and column {second!r} is {columns[second]}: they can't be compared"
        )
        yield message, ("column_B",)


def _check_list(type_: str, kwargs: Mapping[str, Any], columns: Mapping[str, str]) -> Iterator[Finding]:
    names = kwargs["column_list"]
    if len(names) < 2:
        yield "'column_list' needs at least two columns", ("column_list",)
        return
    if type_ == "expect_multicolumn_sum_to_equal":
        for index, name in enumerate(names):
            if kind_of(columns[name]) != "number":
                yield f"column {name!r} is {columns[name]}, and only numbers have a sum", ("column_list", index)
            elif _digits(columns[name]) > 30:
                yield (
                    f"column {name!r} is {columns[name]}: a sum could overflow; at most 30 digits",
                    ("column_list", index),
                )
        return
    for index, name in enumerate(names[1:], start=1):
        if not _comparable(columns[names[0]], columns[name]):
            yield (
                f"column {names[0]!r} is {columns[names[0]]} and column {name!r} is {columns[name]}: they can't be compared",
                ("column_list", index),
            )


def _check_against(value: Any, column: str, spark_type: str, key: Key) -> Iterator[Finding]:
    kind = kind_of(spark_type)
    expected = {"text": "texts", "number": "numbers", "boolean": "true and false"}
    if kind in expected:
        right = {"text": isinstance(value, str), "boolean": isinstance(value, bool), "number": _is_number(value)}[kind]
        if not right:
            yield f"column {column!r} is {spark_type} and is compared with {expected[kind]}, got {value!r}", key
        elif kind == "number" and abs(value) > EXACT and spark_type not in ("float", "double"):
            yield f"{value!r} is beyond 2^53, where Great Expectations compares inexactly; compare a text column", key
    elif kind == "date":
        if not _is_date(value):
            yield f"column {column!r} is a date and is compared with texts like '2026-01-31', got {value!r}", key
    elif kind == "timestamp":
        if not _is_date(value) and not _is_instant(value):
            message = (
                f"column {column!r} is a timestamp and is compared with texts like '2026-01-31T00:00:00Z' "
                f"(with an offset), got {value!r}"
            )
            yield message, key
    else:
        yield f"column {column!r} is {spark_type}, which can't be compared with values of a suite", key


def _comparable(first: str, second: str) -> bool:
    kinds = {kind_of(first), kind_of(second)}
    return kinds <= {"date", "timestamp"} or (len(kinds) == 1 and kinds != {"nested"})


def _digits(spark_type: str) -> int:
    found = re.match(r"decimal\((\d+)", spark_type.lower())
    return int(found[1]) if found else 0


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_date(value: object) -> bool:
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        return False
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


def _is_instant(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False
