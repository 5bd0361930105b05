"""YAML and JSON files whose every value knows its line, so that a mistake is reported where it was written."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from headrace.errors import SpecError

Key = tuple[str | int, ...]
_MOST_VALUES = 100_000
"""More than any pipeline needs: a few aliases of aliases can stand for billions."""


@dataclass(frozen=True)
class Problem:
    """One mistake in one place. ``str(problem)`` is ``file:line: message``."""

    file: Path
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


@dataclass(frozen=True)
class Document:
    """A file's values (``data``: dicts, lists, scalars) and the line of each, by its path of keys."""

    file: Path
    data: Any
    lines: dict[Key, int] = field(repr=False)

    def line(self, *key: str | int) -> int:
        """Line (from 1) of the value at ``key``, or of the nearest value above it that was written."""
        for end in range(len(key), -1, -1):
            if key[:end] in self.lines:
                return self.lines[key[:end]]
        return 1

    def problem(self, message: str, *key: str | int) -> Problem:
        return Problem(self.file, self.line(*key), message)


class _Loader(yaml.SafeLoader):
    """YAML 1.2's idea of booleans (so that ``on`` and ``no`` stay strings) and no implicit dates."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag not in ("tag:yaml.org,2002:timestamp",)]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    if first == "" or first not in "oOyYnN"
} | {
    first: [(t, r) for t, r in yaml.SafeLoader.yaml_implicit_resolvers.get(first, []) if t.endswith(":null")]
    for first in "nN"
}


def read(path: Path) -> Document:
    """Read a YAML or JSON file.

    Raises SpecError, with file and line, when it is absent, unreadable, no valid YAML/JSON, or repeats a key.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SpecError(f"{path}: no such file; create it or correct the path that names it") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: can't be read as UTF-8 text ({error})") from None
    return parse(text, path)


def parse(text: str, path: Path) -> Document:
    """As :func:`read`, for text that is already in memory; ``path`` is what problems name."""
    json_data = _json_data(text, path) if path.suffix == ".json" else None
    if path.suffix == ".json":  # its lines are found as YAML's, which forbids some tabs and the escape \/
        text = re.sub(r"\\(.)", lambda pair: "/" if pair[1] == "/" else pair[0], text.replace("\t", " "))
    try:
        loader = _Loader(text)
    except yaml.YAMLError as error:  # a character that no text file holds
        raise SpecError(f"{path}:1: not valid {_kind(path)}: {_first_line(error)}") from None
    lines: dict[Key, int] = {}
    try:
        node = loader.get_single_node()
        data = None if node is None else _build(loader, node, (), lines, path)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SpecError(f"{path}:{line}: not valid {_kind(path)}: {error.problem}") from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise SpecError(f"{path}:1: not valid {_kind(path)}: {_first_line(error)}") from None
    except RecursionError:
        raise SpecError(f"{path}:1: values are nested too deeply, or an alias holds itself") from None
    finally:
        loader.dispose()
    return Document(path, data if json_data is None else json_data, lines)


def _json_data(text: str, path: Path) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise SpecError(f"{path}:{error.lineno}: not valid JSON: {error.msg}") from None
    except RecursionError:
        raise SpecError(f"{path}:1: values are nested too deeply") from None


def _kind(path: Path) -> str:
    return "JSON" if path.suffix == ".json" else "YAML"


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]


def _build(loader: _Loader, node: yaml.Node, key: Key, lines: dict[Key, int], path: Path) -> Any:
    lines.setdefault(key, node.start_mark.line + 1)
    if len(lines) > _MOST_VALUES:
        raise SpecError(f"{path}:{node.start_mark.line + 1}: more than {_MOST_VALUES:,} values; use fewer aliases")
    if isinstance(node, yaml.MappingNode):
        built: dict[str, Any] = {}
        for name_node, value_node in node.value:
            name = str(loader.construct_object(name_node))  # pyright: ignore[reportUnknownMemberType]
            if name in built:
                raise SpecError(f"{path}:{name_node.start_mark.line + 1}: key {name!r} is given twice; remove one")
            lines[(*key, name)] = name_node.start_mark.line + 1
            built[name] = _build(loader, value_node, (*key, name), lines, path)
        return built
    if isinstance(node, yaml.SequenceNode):
        return [_build(loader, child, (*key, index), lines, path) for index, child in enumerate(node.value)]
    return loader.construct_object(node)  # pyright: ignore[reportUnknownMemberType]
