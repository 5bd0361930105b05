"""A suite file judged without Spark and without importing Great Expectations: every mistake at once, each with its line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from headrace.errors import SpecError
from headrace.located import Document, Problem
from headrace.quality.catalogue import REFUSED, expectation_types
from headrace.quality.check_kwargs import Finding, check_kwargs, nearest
from headrace.quality.check_patterns import check_patterns
from headrace.quality.check_types import check_types
from headrace.quality.suite import (
    COLUMN_KEYS,
    SEVERITIES,
    given_rule_id,
    is_expectation,
    named_columns,
    read_document,
    severity_of,
)

_SUITE_KEYS = ("name", "expectations", "meta", "notes", "id", "suite_parameters")
_LONGEST_ID = 200
_ENTRY_KEYS = ("type", "kwargs", "severity", "meta", "notes", "id", "description", "rendered_content")


def check_suite(path: Path, *, columns: Mapping[str, str]) -> list[Problem]:
    """All problems of a suite file, in the order of its lines; none means that it will compile.

    ``columns``: the columns that the rules will see, by name, as Spark simple type strings (``decimal(10,2)``).
    What a row condition's SQL may contain is not judged here: ``row_condition_sql`` hands it out.
    """
    try:
        document = read_document(path)
    except SpecError as error:
        return [_unreadable(path, str(error))]
    problems = [*_check_head(document), *_check_rule_ids(document)]
    for index, entry in enumerate(_entries(document)):
        problems += _check_entry(document, index, entry, columns)
    return sorted(problems, key=lambda problem: problem.line)


def _unreadable(path: Path, message: str) -> Problem:
    where, _, rest = message.removeprefix(f"{path}:").partition(":")
    return Problem(path, int(where), rest.strip()) if where.isdigit() else Problem(path, 1, f"{where}{rest}".strip())


def _entries(document: Document) -> list[Any]:
    entries = document.data.get("expectations") if isinstance(document.data, dict) else None
    return entries if isinstance(entries, list) else []


def _check_head(document: Document) -> Iterator[Problem]:
    suite = document.data
    if not isinstance(suite, dict):
        yield document.problem('a suite is an object with a "name" and a list of "expectations"')
        return
    for key in suite:
        if key not in _SUITE_KEYS:
            yield document.problem(f"unknown key {key!r}; {nearest(key, _SUITE_KEYS)}", key)
    if not isinstance(suite.get("name"), str) or not suite["name"]:
        yield document.problem('a suite needs a "name" (text, not empty)', "name")
    if not isinstance(suite.get("expectations"), list):
        yield document.problem('a suite needs "expectations" (a list)', "expectations")
    if suite.get("suite_parameters"):
        yield document.problem("suite parameters are not supported; write the values themselves", "suite_parameters")


def _check_rule_ids(document: Document) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for index, entry in enumerate(_entries(document)):
        given = given_rule_id(entry) if isinstance(entry, dict) else None
        if given is None:
            continue
        key = ("expectations", index, "meta", "rule_id")
        if not isinstance(given, str) or not given.strip() or len(given) > _LONGEST_ID:
            shown = given[:40] if isinstance(given, str) else given
            yield document.problem(f"rule_id must be a text of 1 to {_LONGEST_ID} characters, got {shown!r}", *key)
        elif given in seen:
            yield document.problem(f"rule_id {given!r} is already that of line {seen[given]}; give another", *key)
        else:
            seen[given] = document.line(*key)


def _check_entry(document: Document, index: int, entry: Any, columns: Mapping[str, str]) -> Iterator[Problem]:
    key = ("expectations", index)
    if not is_expectation(entry):
        yield document.problem('an expectation is an object with a "type" (text) and "kwargs" (an object)', *key)
        return
    for name in entry:
        if name not in _ENTRY_KEYS:
            yield document.problem(f"unknown key {name!r}; {nearest(name, _ENTRY_KEYS)}", *key, name)
    if severity_of(entry) not in SEVERITIES:
        message = f"unknown severity {entry['severity']!r}; expected one of {', '.join(SEVERITIES)}"
        yield document.problem(message, *key, "severity")
    type_ = entry["type"]
    if type_ in REFUSED:
        yield document.problem(f"{type_} can't be used here: {REFUSED[type_]}", *key, "type")
    elif type_ not in expectation_types():
        yield document.problem(f"unknown expectation type {type_!r}; {_near_type(type_)}", *key, "type")
    else:
        for message, below in _check_values(type_, entry.get("kwargs", {}), columns):
            yield document.problem(message, *key, "kwargs", *below)


def _check_values(type_: str, kwargs: Mapping[str, Any], columns: Mapping[str, str]) -> list[Finding]:
    """Each step looks only at what the step before found sound."""
    found = [*check_kwargs(type_, kwargs), *check_patterns(type_, kwargs)]
    absent = list(_check_columns(type_, kwargs, columns))
    return found + absent if found or absent else list(check_types(type_, kwargs, columns))


def _check_columns(type_: str, kwargs: Mapping[str, Any], columns: Mapping[str, str]) -> Iterator[Finding]:
    if type_.startswith(("expect_table_", "expect_column_to_exist")):
        return  # these ask whether a column is there
    listed = kwargs.get("column_list")
    places: list[tuple[object, tuple[str | int, ...]]] = [(kwargs.get(key), (key,)) for key in COLUMN_KEYS]
    places += [(name, ("column_list", at)) for at, name in enumerate(listed if isinstance(listed, list) else ())]
    known = set(named_columns(kwargs)) - set(columns)
    for name, place in places:
        if isinstance(name, str) and name in known:
            yield f"no column {name!r}; {nearest(name, columns)}", place
    yield from (
        (f"row_condition: no column {name!r}; {nearest(name, columns)}", ("row_condition",))
        for name in _condition_columns(kwargs.get("row_condition"))
        if name not in columns
    )


def _condition_columns(condition: Any) -> Iterator[str]:
    """Column names of a condition object; a condition in SQL is left to who checks SQL."""
    if isinstance(condition, dict):
        column = condition.get("column")
        if isinstance(column, dict) and isinstance(column.get("name"), str):
            yield column["name"]
        for part in condition.get("conditions") or ():
            yield from _condition_columns(part)


def _near_type(type_: str) -> str:
    return nearest(type_, expectation_types()).replace("expected one of", "known are") if type_ else "it is empty"
