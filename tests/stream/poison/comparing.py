"""Whether a row of a table is what a record said: value by value, protected columns by the rules of docs/privacy.md."""

from __future__ import annotations

import hashlib
import hmac
import math
from typing import Any

from fitting import Spelled

from headrace.privacy.keys import KeyRing

SPELLED_AND_PROTECTED = object()
"""Stands for the protected form of a number whose spelling as a text is not promised."""


def as_protected(name: str, value: Any, ring: KeyRing) -> Any:
    """What the table holds of a column's clear value."""
    if value is None or name not in ("owner", "phone"):
        return value
    if isinstance(value, Spelled):
        return SPELLED_AND_PROTECTED
    if name == "owner":
        return "v1." + hmac.new(ring.keys["pseudonym/owners"][1], value.encode(), hashlib.sha256).hexdigest()[:32]
    return "*" * (len(value) - 2) + value[-2:] if len(value) > 2 else "*" * len(value)


def alike(found: Any, expected: Any) -> bool:
    """Whether two values are equal, of one type, and, if they are zero, of one sign."""
    if expected is SPELLED_AND_PROTECTED:
        return isinstance(found, str)
    if isinstance(expected, Spelled):
        return isinstance(found, str) and float(found) == expected.value
    if type(found) is not type(expected):
        return False
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(alike(found[name], expected[name]) for name in expected)
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(alike, found, expected))
    return found == expected and (not isinstance(found, float) or math.copysign(1, found) == math.copysign(1, expected))
