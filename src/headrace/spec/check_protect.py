"""``protect``: each path exists, each protection fits the type that it stands for, and no two contradict each other."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from headrace.located import Document, Key, Problem
from headrace.spec.paths import ITEMS, UNKNOWN, Path, below, fields, kind_at, leaves, parse_path, written
from headrace.spec.pipeline import Pipeline
from headrace.spec.protect import Generalize, Mask, Protection, Pseudonym, Redact
from headrace.spec.stream import Stream

_WHOLE = ("int", "bigint")
_NUMBERS = (*_WHOLE, "double", "decimal")
_NESTED = ("struct", "array")


def check_protect(stream: Stream, columns: Mapping[str, str], document: Document, key: Key) -> Iterable[Problem]:
    """``columns``: column to type, as the rules see them."""
    covering = list(stream.closed)
    for text, protection in stream.protect.items():
        path = parse_path(text)
        if path is None:
            wrong = f"{text!r} is no path; write a column, or a path such as billing.name or contacts[].email"
        else:
            wrong = _wrong(path, protection, stream, columns, covering)
        if wrong:
            yield document.problem(wrong, *key, text)


def check_domains(pipeline: Pipeline, document: Document) -> Iterable[Problem]:
    """A domain's values are compared with each other, so they must be normalized alike wherever it is named."""
    first: dict[str, tuple[Pseudonym, str]] = {}
    for name, stream in pipeline.spec.streams.items():
        for text, protection in stream.protect.items():
            if not isinstance(protection, Pseudonym):
                continue
            known, where = first.setdefault(protection.pseudonym, (protection, f"{name}.{text}"))
            if (known.kind, known.gmail_rules) != (protection.kind, protection.gmail_rules):
                said = f"domain {protection.pseudonym!r} is {_as(known)} for {where} and {_as(protection)} here"
                remedy = "so equal values would differ; declare both alike, or another domain"
                yield document.problem(f"{said}, {remedy}", "streams", name, "protect", text)


def _as(protection: Pseudonym) -> str:
    return f"{protection.kind!r}{' with gmail_rules' if protection.gmail_rules else ''}"


def _wrong(
    path: Path, protection: Protection, stream: Stream, columns: Mapping[str, str], covering: list[Path]
) -> str | None:
    kind, text = kind_at(columns, path), written(path)
    if kind is None:
        return _no_path(text, columns)
    if protection == "public":
        return None
    if text in (stream.event_time, stream.known_at):
        return f"{text!r} orders the rows and can't be protected"
    outer = below(path, covering)
    if outer is not None:
        return f"{text!r} lies inside {written(outer)!r}, which is protected as a whole; remove one of the two"
    if protection == "drop":
        return _wrong_drop(path, stream, columns)
    if kind.startswith(_NESTED):
        return _wrong_nested(text, kind, protection)
    expected = _expected(protection)
    if expected and kind != UNKNOWN and kind.split("(")[0] not in expected:
        return f"{_name(protection)}: {text!r} is a {kind}, expected {_in_words(expected)}"
    if isinstance(protection, Generalize) and protection.generalize == "band" and kind in _WHOLE:
        width = protection.width or 0
        return None if width == int(width) else f"band: {text!r} is a {kind}, so its width must be a whole number"
    return None


def _no_path(text: str, columns: Mapping[str, str]) -> str:
    known = [*columns, *(written(leaf) for leaf in leaves(columns) if len(leaf) > 1)]
    near = difflib.get_close_matches(text, known, n=1)
    return f"no column {text!r}; " + (
        f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(sorted(known))}"
    )


def _wrong_drop(path: Path, stream: Stream, columns: Mapping[str, str]) -> str | None:
    text, parent = written(path), path[:-1]
    if path[-1] == ITEMS:
        return f"the elements {text!r} can't be dropped from their array; drop {written(parent)!r}"
    if len(path) > 1:
        dropped = {p[-1] for p, protection in stream.protections.items() if p[:-1] == parent and protection == "drop"}
        if not set(fields(kind_at(columns, parent) or "")) - dropped:
            whole = parent[:-1] if parent[-1] == ITEMS else parent
            return f"nothing would be left of {written(whole)!r}; drop it instead of {text!r}"
    return None


def _wrong_nested(text: str, kind: str, protection: Protection) -> str | None:
    if not isinstance(protection, (Pseudonym, Mask, Generalize, Redact)) and protection != "redact":
        return None
    inside = next((written((text, *leaf[1:])) for leaf in leaves({text: kind})), text)
    return f"{_name(protection)}: {text!r} is {_article(kind)}; name the value inside it, such as {inside!r}, or drop or encrypt it"


def _expected(protection: Protection) -> tuple[str, ...]:
    """Types that a protection takes; empty where it takes any single value."""
    if (
        isinstance(protection, Redact)
        or protection == "redact"
        or (isinstance(protection, Mask) and protection.mask == "domain")
    ):
        return ("string",)
    if isinstance(protection, Pseudonym) and protection.kind != "exact":
        return ("string", *_WHOLE)
    if not isinstance(protection, Generalize):
        return ()
    return {
        "year": ("date", "timestamp"),
        "month": ("date", "timestamp"),
        "network": ("string",),
        "band": _NUMBERS,
        "grid": ("double", "decimal"),
        "prefix": ("string",),
    }[protection.generalize]


def _name(protection: Protection) -> str:
    if isinstance(protection, str):
        return protection
    return protection.generalize if isinstance(protection, Generalize) else type(protection).__name__.lower()


def _article(kind: str) -> str:
    return "a struct" if kind.startswith("struct") else "an array"


def _in_words(kinds: tuple[str, ...]) -> str:
    return " or ".join([", ".join(kinds[:-1]), kinds[-1]] if len(kinds) > 1 else kinds)
