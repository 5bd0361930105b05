"""The life of a key: made, rotated, retired."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from headrace.errors import KeyRingError
from headrace.privacy.keys import change_ring, is_pseudonym_key
from headrace.privacy.ring import KeyRing


@dataclass(frozen=True)
class Listed:
    """One version of a key, without its secret."""

    name: str
    version: int
    state: str
    """``current``: writes; ``link``: a later version is applied to its pseudonyms; ``old``: reads; ``retired``: destroyed."""
    made: str
    follows: int | None
    retired: str | None


def listed(ring: KeyRing) -> list[Listed]:
    """All versions of all keys, by name."""
    return [
        Listed(name, version, _state(ring, name, version), known.made, known.follows, known.retired)
        for name, versions in sorted(ring.about.items())
        for version, known in sorted(versions.items())
    ]


def rotate(reference: str, names: Iterable[str], *, fresh: bool) -> KeyRing:
    """One more version of each key, current from the next micro-batch on.

    A pseudonym key's new version follows the one before, so that old pseudonyms can be brought to it; ``fresh``: it does not,
    and old pseudonyms can never be joined with new ones. Raises KeyRingError for a key that the ring lacks.
    """
    names = list(names)

    def rotated(ring: KeyRing) -> KeyRing:
        for name in names:
            before = ring.current(name)
            ring = ring.with_key(name, follows=before if is_pseudonym_key(name) and not fresh else None)
        return ring

    return change_ring(reference, rotated)


def require_retirable(ring: KeyRing, name: str, version: int) -> None:
    """Raise KeyRingError where a version is still needed to write: it is the current one, or a link that leads to it."""
    ring.key(name, version)
    current = ring.current(name)
    if version == current:
        raise KeyRingError(f"version {version} of key {name!r} is the current one; run headrace keys rotate first")
    if is_pseudonym_key(name) and version in ring.chain(name, current):
        raise KeyRingError(
            f"version {version} of key {name!r} is a link of the chain that makes version {current}; new pseudonyms need it, "
            "unless you rotate with --fresh"
        )


def retire(reference: str, name: str, version: int) -> KeyRing:
    """Destroy a version's secret; the ring remembers that it existed. Raises as :func:`require_retirable`."""

    def without(ring: KeyRing) -> KeyRing:
        require_retirable(ring, name, version)
        return ring.without_secret(name, version)

    return change_ring(reference, without)


def _state(ring: KeyRing, name: str, version: int) -> str:
    if ring.about[name][version].retired:
        return "retired"
    current = ring.current(name)
    if version == current:
        return "current"
    return "link" if is_pseudonym_key(name) and version in ring.chain(name, current) else "old"
