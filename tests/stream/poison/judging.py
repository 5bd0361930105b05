"""What must become of a record, judged in plain Python by the words of docs/decode-reasons.md: no Spark, no code of ours.

The grammar is judged by Python's own reader, made strict. Where the words leave it open (a decimal that is written with an
exponent, a repeated field whose first value does not fit), the oracle says so, and the record only has to be accounted for.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from fitting import Document, Number, Undecided, Unfit, struct

LIMIT = 1_048_576
"""Bytes that a record may have."""
DEEPEST = 1_000
"""Levels of objects and arrays that a record may have."""
_LONGEST_NUMBER = 990
"""Digits up to which a number is surely not too long (the limit is 1,000, however they are counted)."""
_HALF = re.compile("[\ud800-\udfff]")


class Verdict(Enum):
    ACCEPTED = "accepted"
    REFUSED = "quarantined"
    OPEN = "open"


@dataclass(frozen=True)
class Judgement:
    """The verdict, why, and, where it is accepted, each column's value before it is protected."""

    verdict: Verdict
    why: str = ""
    columns: dict[str, Any] = field(default_factory=dict)


def judge(value: bytes | None, schema: dict[str, Any], *, strict: bool) -> Judgement:
    """The judgement on a record of a stream. ``schema``: Spark's schema JSON. ``strict``: no unknown or repeated field."""
    try:
        document = read(value)
        names = [name for name, _ in document.fields]
        if strict and (_has_unknown(document, schema) or len(set(names)) < len(names)):
            return Judgement(Verdict.REFUSED, "an unknown or repeated field")
        columns = struct(document, schema, top=True)
    except Unfit as reason:
        return Judgement(Verdict.REFUSED, str(reason))
    except Undecided as reason:
        return Judgement(Verdict.OPEN, str(reason))
    return Judgement(Verdict.ACCEPTED, columns=columns)


def _has_unknown(value: Any, kind: Any) -> bool:
    """Whether an object lacks a field's declaration, at any depth that the type knows."""
    if isinstance(kind, dict) and kind["type"] == "array":
        return isinstance(value, list) and any(_has_unknown(item, kind["elementType"]) for item in value)
    if not isinstance(kind, dict) or not isinstance(value, Document):
        return False
    kinds = {entry["name"]: entry["type"] for entry in kind["fields"]}
    return any(name not in kinds or _has_unknown(inner, kinds[name]) for name, inner in value.fields)


def read(value: bytes | None) -> Document:
    """The one JSON object that a record must be."""
    if value is None or len(value) > LIMIT:
        raise Unfit("no value, or a large one")
    try:
        with _deeper():
            found = json.loads(
                value.decode("utf-8"), parse_constant=_no_constant, parse_int=_number, parse_float=_number,
                object_pairs_hook=Document,
            )  # fmt: skip
    except RecursionError:
        raise Unfit("too deep") from None
    except ValueError as error:
        raise Unfit(f"not JSON: {error}") from None
    if not isinstance(found, Document):
        raise Unfit("not an object")
    for part, depth in _parts(found):
        if depth > DEEPEST:
            raise Unfit("too deep")
        if isinstance(part, str) and _HALF.search(part):
            raise Unfit("half of a pair")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _number(text: str) -> Number:
    if len(text) > _LONGEST_NUMBER:
        raise (ValueError(text) if len(text) > 1_010 else Undecided("a number of about 1,000 digits"))
    return Number(text)


def _parts(document: Document) -> Iterator[tuple[Any, int]]:
    """Names and values at any depth, each with the number of objects and arrays that it lies in, itself included."""
    parts: list[tuple[Any, int]] = [(document, 1)]
    while parts:
        part, depth = parts.pop()
        yield part, depth
        inner = [one for field in part.fields for one in field] if isinstance(part, Document) else part
        if isinstance(inner, list):
            parts += [(one, depth + isinstance(one, (Document, list))) for one in inner]


@contextmanager
def _deeper() -> Iterator[None]:
    """Python's own limit of nesting, raised well above ours."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(4 * DEEPEST)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)
