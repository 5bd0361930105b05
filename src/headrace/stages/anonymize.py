"""anonymize: after this stage nothing personal that was declared is in clear."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, StructType

from headrace.privacy.encrypt import encrypted
from headrace.privacy.generalize import generalized, network
from headrace.privacy.keys import KeyRing
from headrace.privacy.mask import masked, masked_to_domain
from headrace.privacy.nested import dropped, put, replaced, taken, type_at
from headrace.privacy.pseudonym import pseudonymized
from headrace.privacy.redact import redacted
from headrace.privacy.worker import text_function
from headrace.spec.paths import Path
from headrace.spec.protect import PATTERNS, Encrypt, Generalize, Mask, Protection, Pseudonym, Redact
from headrace.spec.stream import Stream

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


_MADE = "__made_"


def anonymize(events: DataFrame, *, stream: Stream, ring: KeyRing) -> DataFrame:
    """The same rows; what ``protect`` names is dropped or replaced, at any depth.

    Types: ``string``, but ``int`` for a year, a number for a band or a grid, ``binary`` for what is encrypted.
    """
    closed = stream.closed
    gone = [path[0] for path, protection in closed.items() if protection == "drop" and len(path) == 1]
    made = {
        path: (f"{_MADE}{number}", _in_worker(events.schema, path, protection, ring))
        for number, (path, protection) in enumerate(closed.items())
        if _needs_worker(protection)
    }
    # A worker's function can't stand inside a lambda, so what it makes is a column first.
    events = events.withColumns(dict(made.values())) if made else events
    changed: dict[str, Column] = {}
    for path, protection in closed.items():
        name, steps = path[0], path[1:]
        value = changed.get(name, F.col(name))
        if path in made:
            changed[name] = put(value, F.col(made[path][0]), steps)
        elif steps or protection != "drop":
            changed[name] = _in_place(value, steps, type_at(events.schema, path), protection)
    return (events.withColumns(changed) if changed else events).drop(*gone, *(name for name, _ in made.values()))


def _needs_worker(protection: Protection) -> bool:
    if isinstance(protection, Generalize):
        return protection.generalize == "network"
    return protection != "drop" and not isinstance(protection, Mask)


def _in_place(value: Column, steps: Path, kind: DataType, protection: Protection) -> Column:
    """The column ``value`` with what stands at the end of the steps dropped or replaced by Spark itself."""
    if isinstance(protection, Mask):
        keep = protection.mask
        return replaced(value, steps, masked_to_domain if keep == "domain" else partial(masked, keep=keep))
    if isinstance(protection, Generalize):
        return replaced(value, steps, partial(generalized, kind=kind, by=protection))
    return dropped(value, steps)


def _in_worker(schema: StructType, path: Path, protection: Protection, ring: KeyRing) -> Column:
    """What a worker makes of what stands at a path, in an array for each array on the way."""
    steps = path[1:]
    nested = isinstance(type_at(schema, path), (ArrayType, StructType))
    texts = taken(F.col(path[0]), steps, F.to_json if nested else lambda leaf: leaf.cast("string"))
    if isinstance(protection, Pseudonym):
        return pseudonymized(texts, declared=protection, ring=ring, steps=steps)
    if isinstance(protection, Encrypt):
        at = {name: F.col(f"__{name}") for name in ("topic", "partition", "offset")}
        return encrypted(texts, path=path, key=protection.encrypt, ring=ring, **at)
    if isinstance(protection, Generalize):
        return text_function(lambda: network, steps=steps)(texts)
    look_for, region = (protection.redact, protection.region) if isinstance(protection, Redact) else (PATTERNS, None)
    return text_function(lambda: partial(redacted, look_for=look_for, region=region), steps=steps)(texts)
