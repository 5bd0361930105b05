"""The keys of a pipeline: their names, and the ring that holds them.

A key never enters a Spark plan or setting: plans carry the ring's reference and a key's name and version, and the worker looks
the key up where it runs.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from headrace.errors import KeyRingError
from headrace.privacy.providers import provider_of
from headrace.privacy.ring import KEY_BYTES, Edit, KeyRing, parse_ring, ring_text
from headrace.spec.pipeline import Pipeline
from headrace.spec.protect import Encrypt, Pseudonym

__all__ = ["ERASURES", "KEY_BYTES", "SEAL", "KeyRing", "change_ring", "column_key", "ensure_keys", "needed_keys", "open_ring",
           "pseudonym_key", "worker_chain", "worker_key"]  # fmt: skip

SEAL = "seal"
"""Name of the key that seals quarantined payloads."""
ERASURES = "erasures"
"""Name of the key that signs records of erasures."""
_PSEUDONYM = "pseudonym/"


def pseudonym_key(domain: str) -> str:
    """Name of the key of a pseudonym domain."""
    return f"{_PSEUDONYM}{domain}"


def is_pseudonym_key(name: str) -> bool:
    """Whether a key makes pseudonyms, whose versions can follow each other."""
    return name.startswith(_PSEUDONYM)


def column_key(name: str) -> str:
    """Name of the key of encrypted columns."""
    return f"column/{name}"


def needed_keys(pipeline: Pipeline) -> list[str]:
    """Names of the keys that a pipeline's streams are written with."""
    names = {SEAL}
    for stream in pipeline.spec.streams.values():
        if stream.subject:
            names.add(ERASURES)
        for protection in stream.protect.values():
            if isinstance(protection, Pseudonym):
                names.add(pseudonym_key(protection.pseudonym))
            elif isinstance(protection, Encrypt):
                names.add(column_key(protection.encrypt))
    return sorted(names)


def open_ring(reference: str | Path) -> KeyRing:
    """Read a ring. Raises KeyRingError where it is absent, readable by others, or not a key ring."""
    provider = provider_of(str(reference))
    text = provider.read()
    if text is None:
        raise KeyRingError(
            f"no key ring at {provider.reference}; restore it from your backup; headrace ingest makes one for a new lake"
        )
    return parse_ring(text, provider.reference)


def change_ring(reference: str | Path, edit: Edit) -> KeyRing:
    """Put an edited ring in the place of the old one (an empty one where there was none); what it is now.

    Raises KeyRingError where it is damaged or its place can't be written.
    """
    provider = provider_of(str(reference))
    now: list[KeyRing] = []

    def edited(text: str | None) -> str | None:
        old = KeyRing(provider.reference, {}) if text is None else parse_ring(text, provider.reference)
        now[:] = [edit(old)]
        return None if now[0] == old else ring_text(now[0])

    provider.change(edited)
    return now[0]


def ensure_keys(reference: str | Path, names: Iterable[str]) -> list[str]:
    """Make a development key for each name that the ring lacks, creating the ring; the names that were made.

    Raises KeyRingError as :func:`change_ring`.
    """
    made: list[str] = []

    def with_all(ring: KeyRing) -> KeyRing:
        made[:] = [name for name in dict.fromkeys(names) if not ring.keys.get(name)]
        for name in made:
            ring = ring.with_key(name)
        return ring

    change_ring(reference, with_all)
    return made


@lru_cache(maxsize=256)
def worker_key(reference: str, name: str, version: int) -> bytes:
    """As :meth:`KeyRing.key`, on a Spark worker: read once per process."""
    return open_ring(reference).key(name, version)


@lru_cache(maxsize=256)
def worker_chain(reference: str, name: str, version: int) -> tuple[tuple[int, bytes], ...]:
    """Versions and secrets of a pseudonym key's chain, the first one first, on a Spark worker: read once per process."""
    ring = open_ring(reference)
    return tuple((number, ring.key(name, number)) for number in ring.chain(name, version))
