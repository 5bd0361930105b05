"""The kwargs of an expectation against GX's own JSON schema, with its findings in plain words."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jsonschema import Draft7Validator

from headrace.located import Key
from headrace.quality.catalogue import NO_ROW_CONDITION, kwargs_schema
from headrace.quality.suite import condition_sql

Finding = tuple[str, Key]
"""A message, and the keys below ``kwargs`` of the value it is about."""

_BESIDE = {"severity", "meta", "notes", "rule_id"}
_NAMES = {
    "string": "a text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "array": "a list",
    "null": "null",
}


def nearest(name: str, known: Iterable[str]) -> str:
    """``did you mean ...?`` for a misspelt name, or the list of what is known."""
    options = sorted(known)
    near = difflib.get_close_matches(name, options, n=1)
    return f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(options)}"


def check_kwargs(type_: str, kwargs: Mapping[str, Any]) -> Iterator[Finding]:
    """Unknown, missing and wrong-typed kwargs, and a row condition that GX could not read on Spark."""
    schema = kwargs_schema(type_)
    for name in kwargs:
        if name not in schema["properties"]:
            yield f"unknown key {name!r} for {type_}; {_where(name, schema['properties'])}", (name,)
    for name in schema.get("required", ()):
        if name not in kwargs:
            yield f"{type_} needs {name!r}", ()
    for name, value in kwargs.items():
        if name in schema["properties"] and name not in ("row_condition", "condition_parser"):
            yield from _check_value(name, value, schema)
    if type_ in NO_ROW_CONDITION and kwargs.get("row_condition") is not None:
        yield f"row_condition can't be used here: {NO_ROW_CONDITION[type_]}", ("row_condition",)
    yield from _check_condition(kwargs)


def _where(name: str, properties: Mapping[str, Any]) -> str:
    return f'write {name!r} beside "kwargs"' if name in _BESIDE else nearest(name, properties)


def _check_value(name: str, value: Any, schema: Mapping[str, Any]) -> Iterator[Finding]:
    if isinstance(value, dict) and "$PARAMETER" in value:
        yield f"{name!r}: suite parameters are not supported; write the value itself", (name,)
        return
    if value is None and name not in schema.get("required", ()):
        return  # GX writes its optional values as null
    part = schema["properties"][name] | {"definitions": schema.get("definitions", {})}
    error = next(Draft7Validator(part).iter_errors(value), None)
    if error is not None:
        yield f"{name!r} must be {_describe(part)}, got {_short(value)}", (name,)


def _describe(part: Mapping[str, Any]) -> str:
    options = [
        _one(option) for option in part.get("anyOf", part.get("oneOf", [part])) if option.get("type") != "object"
    ]
    return " or ".join(dict.fromkeys(options)) or "an object"


def _one(part: Mapping[str, Any]) -> str:
    if "oneOf" in part or "anyOf" in part:
        return _describe(part)
    if "enum" in part:
        return "one of " + ", ".join(str(value) for value in part["enum"])
    if part.get("type") == "array":
        items = part.get("items") or {}
        size = f" of {part['minItems']}" if part.get("minItems", 0) > 1 else ""
        inner = items.get("type") if isinstance(items, dict) else None
        kinds = {"string": "texts", "number": "numbers", "boolean": "true/false values", "array": "lists of two values"}
        least = " with at least one value" if part.get("minItems") == 1 else ""
        return f"a list{size} of {kinds[inner]}{least}" if inner in kinds else f"a list{least}"
    described = _NAMES.get(str(part.get("type")), "an object")
    if "format" in part:
        described = "a date and time as text" if part["format"] == "date-time" else "a date as text"
    if "minimum" in part and "maximum" in part:
        described += f" from {part['minimum']:g} to {part['maximum']:g}"
    elif part.get("maxLength") == 1:
        described = "a single character"
    elif part.get("minLength"):
        described += " that is not empty"
    return described


def _check_condition(kwargs: Mapping[str, Any]) -> Iterator[Finding]:
    condition, parser = kwargs.get("row_condition"), kwargs.get("condition_parser")
    if condition is None:
        return
    if isinstance(condition, str) and parser != "spark":
        message = (
            'a row_condition that is a text is read as Spark SQL: write "condition_parser": "spark" beside it '
            f"(it is {parser!r}), or write GX's condition object"
        )
        yield message, ("row_condition",) if parser is None else ("condition_parser",)
    try:
        if condition_sql(condition) is None:
            yield "row_condition is empty; remove it", ("row_condition",)
    except ValueError as error:
        yield f"row_condition can't be read: {error}", ("row_condition",)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
