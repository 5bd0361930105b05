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
_MOST_BYTES = 4 * 1024 * 1024
_PLAIN_TAGS = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")


@dataclass(frozen=True)
class Problem:
    """One mistake in one place. ``str(problem)`` is ``file:line: message``, on one line whatever the file holds."""

    file: Path
    line: int
    message: str

    def __str__(self) -> str:
        return printable(f"{self.file}:{self.line}: {self.message}")


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


def printable(text: str) -> str:
    """A text from a record or a file, with everything that could steer a terminal written as an escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


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

    Raises SpecError, with file and line, when it is absent, unreadable, no valid YAML/JSON, larger than 4 MiB, or repeats a key.
    """
    shown = printable(str(path))
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for without end
            raise SpecError(f"{shown}: can't be read: it is a folder, a pipe or a device, no file")
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        text = content.decode("utf-8")
    except FileNotFoundError:
        raise SpecError(f"{shown}: no such file; create it or correct the path that names it") from None
    except (OSError, ValueError) as error:  # ValueError: no UTF-8, or a path with a null byte
        raise SpecError(f"{shown}: can't be read as UTF-8 text ({printable(str(error))})") from None
    if len(content) > _MOST_BYTES:
        raise SpecError(f"{shown}: is larger than {_MOST_BYTES // 1024**2} MiB; split it")
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
        data = json.loads(text)
        if not _is_text(json.dumps(data, ensure_ascii=False)):
            raise SpecError(f"{path}:1: a text holds half a surrogate pair, which is no character")
        return data
    except json.JSONDecodeError as error:
        raise SpecError(f"{path}:{error.lineno}: not valid JSON: {error.msg}") from None
    except ValueError:
        raise SpecError(f"{path}:1: not valid JSON: a number has too many digits") from None
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
    if isinstance(node, yaml.ScalarNode):
        return _scalar(loader, node, path)
    if node.tag not in _PLAIN_TAGS:
        raise SpecError(f"{path}:{node.start_mark.line + 1}: the tag {_tag(node)} is not allowed; remove it")
    if isinstance(node, yaml.MappingNode):
        built: dict[str, Any] = {}
        for name_node, value_node in node.value:
            if not isinstance(name_node, yaml.ScalarNode):
                raise SpecError(
                    f"{path}:{name_node.start_mark.line + 1}: a key must be a text, not a list or a mapping"
                )
            name = str(_scalar(loader, name_node, path))
            if name in built:
                raise SpecError(f"{path}:{name_node.start_mark.line + 1}: key {name!r} is given twice; remove one")
            lines[(*key, name)] = name_node.start_mark.line + 1
            built[name] = _build(loader, value_node, (*key, name), lines, path)
        return built
    return [_build(loader, child, (*key, index), lines, path) for index, child in enumerate(node.value)]


def _scalar(loader: _Loader, node: yaml.ScalarNode, path: Path) -> Any:
    where = f"{path}:{node.start_mark.line + 1}"
    if node.tag == "tag:yaml.org,2002:merge":
        raise SpecError(f"{where}: '<<' (merging) is not supported; write the keys themselves")
    if node.tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float") and len(node.value) > 400:
        raise SpecError(f"{where}: a number has too many digits")
    value = loader.construct_object(node)  # pyright: ignore[reportUnknownMemberType]
    if not isinstance(value, (str, int, float, bool, type(None))):
        raise SpecError(f"{where}: the tag {_tag(node)} is not allowed; remove it")
    if isinstance(value, int) and abs(value) >= 2**63:
        raise SpecError(f"{where}: the number {node.value[:20]}... is too large")
    if isinstance(value, str) and path.suffix != ".json" and not _is_text(value):
        raise SpecError(f"{where}: a text holds half a surrogate pair, which is no character")
    return value


def _is_text(value: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _tag(node: yaml.Node) -> str:
    return printable(node.tag.replace("tag:yaml.org,2002:", "!!"))[:60]
