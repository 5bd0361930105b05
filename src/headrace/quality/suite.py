"""A suite of expectations as it stands in its file: GX's own ExpectationSuite JSON, each entry with its line."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from headrace.errors import SpecError
from headrace.located import Document, read

Severity = Literal["critical", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("critical", "warning", "info")
COLUMN_KEYS = ("column", "column_A", "column_B")


@dataclass(frozen=True)
class Expectation:
    """One entry of a suite. ``rule_id`` is what a row that fails it carries in ``failed_rules``."""

    type: str
    kwargs: Mapping[str, Any]
    severity: Severity
    rule_id: str
    row_condition: str | None
    line: int
    notes: str | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it is about, as written (a row condition may name others)."""
        return named_columns(self.kwargs)


@dataclass(frozen=True)
class Suite:
    """A suite file. ``source`` is its JSON value, which GX itself loads when the suite is compiled."""

    name: str
    file: Path
    expectations: tuple[Expectation, ...]
    source: Mapping[str, Any] = field(repr=False)


def read_suite(path: Path) -> Suite:
    """Read a suite file.

    Raises SpecError, with file and line, when it is no JSON or no suite. What its expectations say is not judged here:
    ``check_suite`` does.
    """
    document = read_document(path)
    suite = document.data
    if not isinstance(suite, dict) or not isinstance(suite.get("name"), str) or not suite["name"]:
        raise SpecError(
            str(document.problem('a suite is an object with a "name" and a list of "expectations"', "name"))
        )
    entries = suite.get("expectations")
    if not isinstance(entries, list):
        raise SpecError(str(document.problem('"expectations" must be a list', "expectations")))
    for index, entry in enumerate(entries):
        if not is_expectation(entry):
            message = 'an expectation is an object with a "type" (text) and "kwargs" (an object)'
            raise SpecError(str(document.problem(message, "expectations", index)))
        if severity_of(entry) not in SEVERITIES:
            message = f"unknown severity {entry['severity']!r}; expected one of {', '.join(SEVERITIES)}"
            raise SpecError(str(document.problem(message, "expectations", index, "severity")))
    ids = rule_ids(entries)
    expectations = tuple(
        _expectation(entry, rule_id=ids[index], line=document.line("expectations", index))
        for index, entry in enumerate(entries)
    )
    return Suite(suite["name"], path, expectations, suite)


def read_document(path: Path) -> Document:
    """The file's JSON value and its lines. Raises SpecError, with file and line, when it is absent or no JSON."""
    lines = read(path)
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise SpecError(f"{path}:{error.lineno}: not valid JSON: {error.msg}") from None
    return Document(path, value, lines.lines)


def is_expectation(entry: object) -> bool:
    """Whether a value has the shape of an expectation: an object with a type (text) and kwargs (an object)."""
    if not isinstance(entry, dict):
        return False
    value = cast(dict[str, Any], entry)
    return isinstance(value.get("type"), str) and isinstance(value.get("kwargs", {}), dict)


def severity_of(entry: Mapping[str, Any]) -> object:
    """The severity as written; critical, GX's own default, where none is."""
    return entry.get("severity") or "critical"


def given_rule_id(entry: Mapping[str, Any]) -> object:
    """``meta.rule_id`` as written, or None."""
    meta = entry.get("meta")
    return cast(dict[str, Any], meta).get("rule_id") if isinstance(meta, dict) else None


def named_columns(kwargs: Mapping[str, Any]) -> tuple[str, ...]:
    """The texts under ``column``, ``column_A``, ``column_B`` and ``column_list``."""
    found = [kwargs[key] for key in COLUMN_KEYS if key in kwargs]
    listed = kwargs.get("column_list")
    found += listed if isinstance(listed, list) else []
    return tuple(name for name in found if isinstance(name, str))


def rule_ids(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """One id per entry: ``meta.rule_id``, or a name made of type and columns, numbered where it would repeat."""
    taken = {given for entry in entries if isinstance(given := given_rule_id(entry), str)}
    ids: list[str] = []
    for entry in entries:
        given = given_rule_id(entry)
        if isinstance(given, str) and given:
            ids.append(given)
            continue
        short = entry["type"].removeprefix("expect_column_values_").removeprefix("expect_")
        columns = ",".join(named_columns(entry.get("kwargs", {})))
        name = plain = f"{short}:{columns}" if columns else short
        number = 2
        while name in taken:
            name, number = f"{plain}#{number}", number + 1
        taken.add(name)
        ids.append(name)
    return ids


def row_condition_sql(expectation: Expectation) -> str | None:
    """The Spark SQL of an expectation's row condition, or None where it has none: what GX will hand to Spark."""
    return expectation.row_condition


def condition_sql(condition: object) -> str | None:
    """Spark SQL of a ``row_condition`` value: a text as it stands, or GX's condition object written as GX writes it.

    Raises ValueError when the value is neither.
    """
    if condition is None or isinstance(condition, str):
        return condition or None
    if not isinstance(condition, dict):
        raise ValueError("it is neither a text nor an object")
    value = cast(dict[str, Any], condition)
    match value.get("type"):
        case "pass_through" if isinstance(value.get("pass_through_filter"), str):
            return value["pass_through_filter"]
        case "nullity" if isinstance(value.get("is_null"), bool):
            return f"{_column(value)} IS {'NULL' if value['is_null'] else 'NOT NULL'}"
        case "comparison" if value.get("parameter") is not None:
            return _comparison(value)
        case "and" | "or" if isinstance(value.get("conditions"), list) and value["conditions"]:
            parts = [condition_sql(part) or "" for part in value["conditions"]]
            return "(" + f" {value['type'].upper()} ".join(parts) + ")"
        case _:
            raise ValueError(
                "it is none of GX's conditions (comparison, nullity, and, or, pass_through), or lacks a key"
            )


def _comparison(value: Mapping[str, Any]) -> str:
    operator, parameter = value.get("operator"), value["parameter"]
    if operator in ("IN", "NOT_IN") and isinstance(parameter, list) and parameter:
        return f"{_column(value)} {operator.replace('_', ' ')} ({', '.join(map(repr, parameter))})"
    if operator in ("==", "!=", "<", "<=", ">", ">=") and isinstance(parameter, (str, int, float)):
        return f"{_column(value)} {operator} {parameter!r}"
    raise ValueError(f"operator {operator!r} doesn't fit its parameter")


def _column(value: Mapping[str, Any]) -> str:
    column = value.get("column")
    name = cast(dict[str, Any], column).get("name") if isinstance(column, dict) else None
    if not isinstance(name, str) or not name:
        raise ValueError('it lacks "column": {"name": ...}')
    return "`" + name.replace("`", "``") + "`"


def _expectation(entry: Mapping[str, Any], *, rule_id: str, line: int) -> Expectation:
    kwargs = entry.get("kwargs", {})
    try:
        condition = condition_sql(kwargs.get("row_condition"))
    except ValueError as error:
        raise SpecError(f"expectation {rule_id!r}: row_condition can't be read: {error}") from None
    notes = entry.get("notes")
    text = "\n".join(str(note) for note in notes) if isinstance(notes, list) else notes
    return Expectation(
        type=entry["type"],
        kwargs=kwargs,
        severity=cast(Severity, severity_of(entry)),
        rule_id=rule_id,
        row_condition=condition,
        line=line,
        notes=text if isinstance(text, str) else None,
    )
