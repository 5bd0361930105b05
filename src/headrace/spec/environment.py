"""``${NAME}`` and ``${NAME:-default}`` in the values of a pipeline file.

A file that somebody else wrote must not carry off what else stands in the environment. So it may take only variables that are
named for this (by how their names begin, or by who runs it), and one that is named as a secret only where secrets belong.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from headrace.located import Document, Key, Problem

MORE = "HEADRACE_VARIABLES"
"""The variable that lists (separated by commas) the names of further ones that a pipeline file may take."""
PREFIXES = ("HEADRACE_", "KAFKA_", "MLFLOW_")
_SECRET = re.compile(r"PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|CREDENTIAL|PRIVATE|(API|ACCESS)_?KEY")
_SECRET_PLACES = (
    ("kafka", "options"),
    ("mlflow", "tracking_uri"),
    ("model", "search", "storage"),
    ("lineage", "api_key"),
)
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
            refusal = _refusal(name, key, environment)
            if refusal:
                problems.append(document.problem(refusal, *key))
                return ""
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
        made = _REFERENCE.sub(resolve, value)
        if "${" in made and "${" not in _REFERENCE.sub("", value):  # put together from parts
            problems.append(document.problem(f"{value!r} makes a ${{ of its parts; write it without", *key))
        return made

    return replaced(document.data, ()), problems


def _refusal(name: str, key: Key, environment: Mapping[str, str]) -> str | None:
    more = {one.strip() for one in environment.get(MORE, "").split(",")}
    if not name.startswith(PREFIXES) and name not in more:
        return (
            f"a pipeline file may not take the variable {name}; only those that begin with {', '.join(PREFIXES)}, or that "
            f"{MORE} lists"
        )
    if _SECRET.search(name.upper()) and not any(key[: len(place)] == place for place in _SECRET_PLACES):
        return (
            f"the variable {name} is named as a secret, which belongs under kafka.options, into mlflow.tracking_uri, "
            "model.search.storage or lineage.api_key only"
        )
    return None


def has_reference(value: str) -> bool:
    """Whether a value, as written, takes (part of) itself from the environment, without a default in clear."""
    found = list(_REFERENCE.finditer(value))
    return bool(found) and not any(match["default"] for match in found)
