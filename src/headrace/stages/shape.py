"""The shape of a JSON document: which fields it has, and of which kinds, as Spark's ``schema_of_variant`` writes it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

Path = tuple[str, ...]
"""Names from the document down; ``[]`` stands for what an array holds."""
ELEMENT = "[]"
_TOKEN = re.compile(r"`(?P<quoted>(?:[^`]|``)*)`|(?P<word>[\w.]+)|(?P<mark>[<>:,()])|(?P<space>\s+)", re.DOTALL)


@dataclass(frozen=True)
class Shape:
    """A value's kind (``object``, ``array``, ``string``, ``bigint``, ``decimal``, ``double``, ``boolean``, ``void`` for null,
    ``variant`` for several) and what it holds.
    """

    kind: str
    fields: Mapping[str, Shape] = field(default_factory=dict)
    element: Shape | None = None
    scale: int = 0
    """Of a decimal: digits after the point."""

    def walk(self, at: Path = ()) -> Iterator[tuple[Path, Shape]]:
        """Every part below this one with its path, parents first."""
        parts = dict(self.fields)
        if self.element is not None:
            parts[ELEMENT] = self.element
        for name, part in parts.items():
            yield (*at, name), part
            yield from part.walk((*at, name))


def read_shape(text: str) -> Shape:
    """The shape that a text such as ``OBJECT<a: BIGINT, `b c`: ARRAY<STRING>>`` says. Raises ValueError for another text."""
    tokens = _Tokens(text)
    shape = tokens.shape()
    if tokens.peek() is not None:
        raise ValueError("a shape is followed by something else")
    return shape


class _Tokens:
    """The words of a shape's text; a word is (is it quoted, its text)."""

    def __init__(self, text: str) -> None:
        self._words = list(_words(text))
        self._at = 0

    def peek(self) -> tuple[bool, str] | None:
        return self._words[self._at] if self._at < len(self._words) else None

    def next(self) -> tuple[bool, str]:
        word = self.peek()
        if word is None:
            raise ValueError("a shape ends too early")
        self._at += 1
        return word

    def expect(self, mark: str) -> None:
        if self.next() != (False, mark):
            raise ValueError(f"expected {mark!r} in a shape")

    def takes(self, mark: str) -> bool:
        if self.peek() != (False, mark):
            return False
        self._at += 1
        return True

    def shape(self) -> Shape:
        kind = self.next()[1].lower()
        if kind == "object":
            return Shape(kind, fields=self._fields())
        if kind == "array":
            self.expect("<")
            element = self.shape()
            self.expect(">")
            return Shape(kind, element=element)
        if kind == "decimal":
            self.expect("(")
            self.next()
            self.expect(",")
            scale = int(self.next()[1])
            self.expect(")")
            return Shape(kind, scale=scale)
        return Shape(kind)

    def _fields(self) -> dict[str, Shape]:
        self.expect("<")
        found: dict[str, Shape] = {}
        while not self.takes(">"):
            name = self.next()[1]
            self.expect(":")
            found[name] = self.shape()
            self.takes(",")
        return found


def _words(text: str) -> Iterator[tuple[bool, str]]:
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise ValueError("a shape holds a sign that it should not")
        at = found.end()
        if found["quoted"] is not None:
            yield True, found["quoted"].replace("``", "`")
        elif found["space"] is None:
            yield False, found[0]
