"""What a value, as Python's reader found it, is in its declared type: the table "What fits a type" in plain Python."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal
from typing import Any

_TIME = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[T ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?(?:Z|([+-])([0-9]{2}):?([0-9]{2}))"
)
_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_PLAIN = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")
_EXACTLY = Context(prec=2_000)


class Unfit(Exception):
    """A value that must not be accepted."""


class Undecided(Exception):
    """A value of which the documents don't say what becomes of it."""


@dataclass(frozen=True)
class Number:
    """A number as it stands in the document."""

    text: str


@dataclass(frozen=True)
class Spelled:
    """A text that a fraction became; only its value is promised."""

    value: float


@dataclass(frozen=True)
class Document:
    """An object's fields in order, repeated ones too."""

    fields: list[tuple[str, Any]]


def struct(document: Document, schema: dict[str, Any], *, top: bool = False) -> dict[str, Any]:
    """The fields that the schema knows; of a repeated one the last counts."""
    found: dict[str, Any] = {}
    for entry in schema["fields"]:
        told = [inner for name, inner in document.fields if name == entry["name"]]
        for early in told[:-1]:
            try:
                fitting(early, entry["type"])
            except Unfit as reason:
                raise Undecided(f"a value that does not count does not fit: {reason}") from None
        fitted = fitting(told[-1], entry["type"]) if told else None
        if top and isinstance(fitted, str):
            fitted = fitted.strip() or None
        if fitted is None and not entry["nullable"]:
            raise Unfit(f"no {entry['name']}")
        found[entry["name"]] = fitted
    return found


def fitting(value: Any, kind: Any) -> Any:
    """The value in its type, null as None. Raises Unfit where it must not be accepted."""
    if value is None:
        return None
    if isinstance(kind, dict) and kind["type"] == "struct":
        if not isinstance(value, Document):
            raise Unfit("no object")
        return struct(value, kind)
    if isinstance(kind, dict):
        if not isinstance(value, list):
            raise Unfit("no array")
        if None in value and not kind["containsNull"]:
            raise Unfit("a null in an array without nulls")
        return [fitting(item, kind["elementType"]) for item in value]
    name, _, _ = kind.partition("(")
    return _SIMPLE[name](value, kind)


def _text(value: Any, kind: str) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Number):
        if _is_whole(value):
            return value.text if value.text != "-0" else Spelled(0.0)
        return Spelled(_finite(value))
    if not isinstance(value, str):
        raise Unfit("no text")
    return value


def _whole(bits: int) -> Callable[[Any, str], int]:
    def fit(value: Any, kind: str) -> int:
        if (
            not isinstance(value, Number)
            or not _is_whole(value)
            or not -(2 ** (bits - 1)) <= int(value.text) < 2 ** (bits - 1)
        ):
            raise Unfit(f"no {kind}")
        return int(value.text)

    return fit


def _double(value: Any, kind: str) -> float:
    if not isinstance(value, Number):
        raise Unfit("no number")
    return _finite(value)


def _boolean(value: Any, kind: str) -> bool:
    if not isinstance(value, bool):
        raise Unfit("no boolean")
    return value


def _decimal(value: Any, kind: str) -> Decimal:
    text = value.text if isinstance(value, Number) else value
    precision, scale = map(int, re.findall(r"\d+", kind))
    if not isinstance(text, str):
        raise Unfit("no decimal")
    if not _PLAIN.fullmatch(text):
        raise Undecided("a decimal in another form") if re.fullmatch(r"[-+0-9.eE]+", text) else Unfit("no decimal")
    exact = Decimal(text)
    held = (
        exact.quantize(Decimal(1).scaleb(-scale), context=_EXACTLY)
        if abs(exact) < Decimal(10) ** (precision - scale)
        else None
    )
    if held is None or held != exact:
        raise Unfit("a decimal that would be rounded")
    if len(text.strip("-").replace(".", "")) > 38:
        raise Undecided("a decimal of many digits")
    return held


def _timestamp(value: Any, kind: str) -> datetime:
    found = _TIME.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise Unfit("no time")
    *parts, fraction, sign, hours, minutes = found.groups()
    try:
        local = datetime(*map(int, parts), int((fraction or "0").ljust(9, "0")[:6]), tzinfo=UTC)  # type: ignore[arg-type]
        offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
        if int(minutes or 0) > 59 or offset > timedelta(hours=18):
            raise Unfit("no such offset")
        return local + offset if sign == "-" else local - offset
    except (ValueError, OverflowError):
        raise Unfit("no such time") from None


def _date(value: Any, kind: str) -> date:
    found = _DATE.fullmatch(value) if isinstance(value, str) else None
    try:
        return date(*map(int, found.groups())) if found else _fail()
    except ValueError:
        raise Unfit("no such date") from None


def _fail() -> date:
    raise Unfit("no date")


def _is_whole(number: Number) -> bool:
    return re.fullmatch(r"-?[0-9]+", number.text) is not None


def _finite(number: Number) -> float:
    found = float(int(number.text)) if number.text == "-0" else float(number.text)  # a whole number has one zero
    if found in (float("inf"), float("-inf")):
        raise Unfit("beyond a double")
    return found


_SIMPLE: dict[str, Callable[[Any, str], Any]] = {
    "string": _text, "integer": _whole(32), "long": _whole(64), "double": _double, "boolean": _boolean, "decimal": _decimal,
    "timestamp": _timestamp, "date": _date,
}  # fmt: skip
