"""``${NAME}`` and ``${NAME:-default}`` in the values of a pipeline file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from headrace.located import Document, Key, Problem

_REFERENCE = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}")


def substitute(document: Document, environment: Mapping[str, str]) -> tuple[Any, list[Problem]]:
    """The document's data with every reference replaced, and a problem for each name that is set nowhere."""
    problems: list[Problem] = []

    def replaced(value: Any, key: Key) -> Any:
        if isinstance(value, dict):
            return {name: replaced(inner, (*key, name)) for name, inner in value.items()}
        if isinstance(value, list):
            return [replaced(inner, (*key, index)) for index, inner in enumerate(value)]
        if not isinstance(value, str):
            return value

        def resolve(match: re.Match[str]) -> str:
            name, default = match["name"], match["default"]
            if name in environment:
                return environment[name]
            if default is not None:
                return default
            problems.append(
                document.problem(
                    f"environment variable {name} is not set; set it, or give a default: ${{{name}:-...}}", *key
                )
            )
            return ""

        if "${" in _REFERENCE.sub("", value):
            problems.append(
                document.problem(
                    f"{value!r} holds a ${{ that is no reference; write ${{NAME}} or ${{NAME:-default}}", *key
                )
            )
        return _REFERENCE.sub(resolve, value)

    return replaced(document.data, ()), problems


def has_reference(value: str) -> bool:
    """Whether a value, as written, takes (part of) itself from the environment, without a default in clear."""
    found = list(_REFERENCE.finditer(value))
    return bool(found) and not any(match["default"] for match in found)
