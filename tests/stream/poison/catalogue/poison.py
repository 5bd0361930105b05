"""One hostile record and what must become of it, and the short words in which the catalogue is written.

Two streams take the catalogue: ``plain`` has flat columns and ignores unknown fields; ``strict`` has structs and arrays and
quarantines records with unknown fields, at any depth, or repeated ones. Both protect ``owner`` (a pseudonym); ``plain`` also
``phone`` (a mask that leaves two digits) and ``secret`` (dropped). Both trim texts, as streams do unless they say otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

CANARY = "Quibblethwaite"
"""A name that stands in every well-formed record's protected column and must be found in no file."""
GOOD = f'"id":"a","at":"2013-01-01T00:00:00Z","owner":"{CANARY}"'
"""The fields that a good record has."""
MIDNIGHT = datetime(2013, 1, 1, tzinfo=UTC)
DEFAULTS: Mapping[str, Any] = {"id": "a", "at": MIDNIGHT, "owner": CANARY}

Headers = tuple[tuple[str, bytes | None], ...]
Stream = Literal["plain", "strict"]


@dataclass(frozen=True)
class Poison:
    """A record as it is sent, and its verdict: accepted with these columns, or quarantined for exactly these reasons."""

    value: bytes | None
    reasons: tuple[str, ...] = ()
    columns: Mapping[str, Any] = field(default_factory=dict)
    """Of an accepted record: the columns that hold something, protected ones in clear. All others are null."""
    stream: Stream = "plain"
    key: bytes | None = b"k"
    headers: Headers = ()
    timestamp: int = 1_356_998_400_000

    @property
    def accepted(self) -> bool:
        return not self.reasons

    def __str__(self) -> str:
        """What tells it from the others, for the name of its test."""
        value = self.value if self.value is None else self.value.replace(GOOD.encode(), b"..")
        shown = repr(value)[:70] if value is None or len(value) < 10_000 else f"{len(value)} bytes"
        told = [shown, f"key {self.key!r}"[:30], *(f"header {name!r}"[:30] for name, _ in self.headers[:1])]
        return " ".join(part for part in told if part != "key b'k'")


def kept(value: str | bytes, **columns: Any) -> Poison:
    """An accepted record. ``columns``: what the row holds beside, or in place of, :data:`DEFAULTS`."""
    return Poison(as_bytes(value), columns={**DEFAULTS, **columns})


def kept_beside(field: str, **columns: Any) -> Poison:
    """An accepted record that has this field beside the good ones."""
    return kept(f"{{{GOOD},{field}}}", **columns)


def refused(reasons: str | tuple[str, ...], *values: str | bytes | None) -> list[Poison]:
    """Quarantined records, one per value."""
    named = (reasons,) if isinstance(reasons, str) else reasons
    return [Poison(as_bytes(value), named) for value in values]


def refused_beside(reasons: str | tuple[str, ...], *fields: str) -> list[Poison]:
    """Quarantined records that have one of these fields each beside the good ones."""
    return refused(reasons, *(f"{{{GOOD},{field}}}" for field in fields))


def strict(*records: Poison | list[Poison]) -> list[Poison]:
    """The records, sent to the strict stream."""
    return [replace(record, stream="strict") for record in flat(*records)]


def flat(*records: Poison | list[Poison]) -> list[Poison]:
    """Records and lists of records as one list."""
    return [one for some in records for one in (some if isinstance(some, list) else [some])]


def as_bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
