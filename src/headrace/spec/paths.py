"""Paths to nested fields, such as ``billing.name`` and ``contacts[].email``, and Spark's simple types along them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

ITEMS = "[]"
"""The step from an array to its elements."""
Path = tuple[str, ...]
"""Column, then fields and ``ITEMS``."""
UNKNOWN = "unknown"
"""Type of a derived column that does not end in a cast: nothing is checked against it."""

_PATH = re.compile(r"[A-Za-z_]\w*(\[\])*(\.[A-Za-z_]\w*(\[\])*)*", re.ASCII)


def parse_path(text: str) -> Path | None:
    """The steps of a path, or None where the text is no path."""
    if not _PATH.fullmatch(text):
        return None
    return tuple(re.findall(r"\w+|\[\]", text))


def written(path: Path) -> str:
    """A path as it is written in a pipeline file."""
    return ".".join(path).replace(f".{ITEMS}", ITEMS)


def kind_at(columns: Mapping[str, str], path: Path) -> str | None:
    """The type at a path, or None where there is nothing. Below an unknown type everything is unknown."""
    kind = columns.get(path[0])
    for step in path[1:]:
        if kind is None or kind == UNKNOWN:
            return kind
        kind = dict(_inner(kind)).get(step)
    return kind


def leaves(columns: Mapping[str, str]) -> dict[Path, str]:
    """Every path that ends in a value (no struct, no array), with its type."""
    found: dict[Path, str] = {}
    for name, kind in columns.items():
        found |= _leaves((name,), kind)
    return found


def fields(kind: str) -> dict[str, str]:
    """Name to type of a struct's fields; empty for any other type."""
    return {} if _element(kind) is not None else dict(_inner(kind))


def with_kind(kind: str, steps: Path, new: str | None) -> str:
    """The type with ``new`` at the end of the steps below it; None removes the field that stands there."""
    if not steps:
        return new or UNKNOWN
    head, rest = steps[0], steps[1:]
    element = _element(kind)
    if element is not None:
        return f"array<{with_kind(element, rest, new)}>" if head == ITEMS else kind
    parts = {name: with_kind(part, rest, new) if name == head else part for name, part in _inner(kind)}
    if not rest and new is None:
        parts.pop(head, None)
    return f"struct<{','.join(f'{name}:{part}' for name, part in parts.items())}>" if parts else kind


def below(path: Path, others: Iterable[Path]) -> Path | None:
    """The first of the other paths that is a proper beginning of this one, or None."""
    return next((other for other in others if len(other) < len(path) and path[: len(other)] == other), None)


def _leaves(path: Path, kind: str) -> dict[Path, str]:
    inner = list(_inner(kind))
    if not inner:
        return {path: kind}
    found: dict[Path, str] = {}
    for name, part in inner:
        found |= _leaves((*path, name), part)
    return found


def _element(kind: str) -> str | None:
    return kind[len("array<") : -1] if kind.startswith("array<") and kind.endswith(">") else None


def _inner(kind: str) -> Iterator[tuple[str, str]]:
    """What one step below a type leads to: an array's elements, a struct's fields."""
    element = _element(kind)
    if element is not None:
        yield ITEMS, element
    elif kind.startswith("struct<") and kind.endswith(">"):
        for part in _split(kind[len("struct<") : -1]):
            name, _, inner = part.partition(":")
            yield name, inner


def _split(text: str) -> Iterator[str]:
    """Parts at the commas that stand outside of all brackets."""
    depth = start = 0
    for at, character in enumerate(text):
        depth += (character in "<(") - (character in ">)")
        if character == "," and depth == 0:
            yield text[start:at]
            start = at + 1
    yield text[start:]
