"""Rows that were written under old key versions, as the newest versions would have written them."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from headrace.privacy.encrypt import renewed_values
from headrace.privacy.keys import SEAL, KeyRing, column_key, pseudonym_key
from headrace.privacy.nested import anywhere, put, taken
from headrace.privacy.pseudonym import renewed
from headrace.privacy.seal import resealed
from headrace.spec.paths import Path
from headrace.spec.protect import Encrypt, Protection, Pseudonym
from headrace.spec.stream import Stream

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

_RENEWED = "__renewed_"
_PAYLOAD: Path = ("payload",)


def renew(rows: DataFrame, *, stream: Stream, ring: KeyRing) -> DataFrame:
    """The same rows of a stream's table; pseudonyms, encrypted values and payloads are of the newest key versions.

    A pseudonym from which no chain leads to the newest version stays as it is. A value that does not open fails.
    """
    place = {name: F.col(f"kafka_{name}") for name in ("topic", "partition", "offset")}
    made: dict[str, Column] = {}
    found = _keyed(stream, rows.columns)
    for number, (path, protection) in enumerate(found.items()):
        values = taken(F.col(path[0]), path[1:], lambda leaf: leaf)
        if isinstance(protection, Pseudonym):
            new = renewed(values, domain=protection.pseudonym, ring=ring, steps=path[1:])
        elif isinstance(protection, Encrypt):
            new = renewed_values(values, path=path, key=protection.encrypt, ring=ring, **place)
        else:
            new = resealed(payload=values, ring=ring, **place)
        made[f"{_RENEWED}{number}"] = new
    columns = rows.columns
    rows = rows.withColumns(made)
    changed: dict[str, Column] = {}
    for name, path in zip(made, found, strict=True):
        changed[path[0]] = put(changed.get(path[0], F.col(path[0])), F.col(name), path[1:])
    return rows.withColumns(changed).select(*columns)


def is_stale(rows: DataFrame, *, stream: Stream, ring: KeyRing) -> Column:
    """Whether a row has a value of an older version that :func:`renew` would change (never null)."""
    stale: list[Column] = []
    for path, protection in _keyed(stream, rows.columns).items():
        name = _key_name(protection)
        newest = ring.current(name)
        older = set(ring.chain(name, newest)) if isinstance(protection, Pseudonym) else set(ring.keys[name])
        stale += [_holds(path, protection, version) for version in sorted(older - {newest})]
    return reduce(or_, stale, F.lit(False))


def holds_version(rows: DataFrame, *, stream: Stream, name: str, version: int) -> Column:
    """Whether a row has a value that a version of a key made (never null)."""
    found = _keyed(stream, rows.columns).items()
    return reduce(or_, [_holds(p, what, version) for p, what in found if _key_name(what) == name], F.lit(False))


def _keyed(stream: Stream, columns: list[str]) -> dict[Path, Protection | None]:
    """Paths of what keys have made, and the payload (None), as far as the table has them."""
    found: dict[Path, Protection | None] = {
        path: protection
        for path, protection in stream.protections.items()
        if isinstance(protection, (Pseudonym, Encrypt)) and path[0] in columns
    }
    return {**found, **({_PAYLOAD: None} if _PAYLOAD[0] in columns else {})}


def _key_name(protection: Protection | None) -> str:
    if isinstance(protection, Pseudonym):
        return pseudonym_key(protection.pseudonym)
    return column_key(protection.encrypt) if isinstance(protection, Encrypt) else SEAL


def _holds(path: Path, protection: Protection | None, version: int) -> Column:
    """Whether a value at the path begins as that version writes it: ``v2.``, or format and version in three bytes."""

    def is_of_version(value: Column) -> Column:
        if isinstance(protection, Pseudonym):
            return F.coalesce(value.startswith(f"v{version}."), F.lit(False))
        return F.coalesce(F.hex(F.substring(value, 2, 2)) == f"{version:04X}", F.lit(False))

    return anywhere(F.col(path[0]), path[1:], is_of_version)
