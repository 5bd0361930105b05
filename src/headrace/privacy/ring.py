"""The key ring as a value: versioned secrets by name, and what is known of each. Its text form is JSON.

{"keys": {"pseudonym/email": {"1": {"key": "<64 hex digits>", "made": "2026-01-01T00:00:00+00:00"},
                              "2": {"key": "...", "made": "...", "follows": 1}}}}
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from headrace.errors import KeyRingError

KEY_BYTES = 32


@dataclass(frozen=True)
class About:
    """What is known of a key's version, its secret apart."""

    made: str
    """When (ISO 8601, UTC)."""
    follows: int | None = None
    """Of a pseudonym key: the version whose pseudonyms this one is applied to (see privacy/pseudonym.py), or None."""
    retired: str | None = None
    """When its secret was destroyed, or None."""


@dataclass(frozen=True, repr=False)
class KeyRing:
    """Keys by name and version. Its text form shows names and versions only."""

    path: str
    """Where it is: a file, or another provider's reference."""
    keys: dict[str, dict[int, bytes]]
    about: dict[str, dict[int, About]] = field(default_factory=dict)

    def current(self, name: str) -> int:
        """The newest version of a key. Raises KeyRingError where the ring lacks it."""
        versions = self.keys.get(name)
        if not versions:
            raise KeyRingError(
                f"key ring {self.path} has no key {name!r}; headrace keys new makes the keys that a pipeline file needs"
            )
        return max(versions)

    def key(self, name: str, version: int) -> bytes:
        """The key's 32 bytes. Raises KeyRingError where the ring lacks this version."""
        try:
            return self.keys[name][version]
        except KeyError:
            pass
        known = self.about.get(name, {}).get(version)
        if known is not None and known.retired:
            raise KeyRingError(
                f"version {version} of key {name!r} was retired on {known.retired[:10]}: what it protects stays closed"
            )
        raise KeyRingError(
            f"key ring {self.path} lacks version {version} of key {name!r}; restore the ring that wrote these rows"
        )

    def chain(self, name: str, version: int) -> list[int]:
        """The versions that a pseudonym of this version went through, the first one first."""
        found = [version]
        while (before := self.about.get(name, {}).get(found[0], About("")).follows) is not None:
            found.insert(0, before)
        return found

    def with_key(self, name: str, *, follows: int | None = None) -> KeyRing:
        """The ring with one more version of a key."""
        version = max([*self.about.get(name, {}), *self.keys.get(name, {})], default=0) + 1
        made = About(datetime.now(UTC).isoformat(timespec="seconds"), follows)
        secret = secrets.token_bytes(KEY_BYTES)
        return self._with(
            name, {**self.keys.get(name, {}), version: secret}, {**self.about.get(name, {}), version: made}
        )

    def without_secret(self, name: str, version: int) -> KeyRing:
        """The ring in which a version's secret is destroyed; that it existed stays known."""
        known = replace(self.about[name][version], retired=datetime.now(UTC).isoformat(timespec="seconds"))
        kept = {number: secret for number, secret in self.keys[name].items() if number != version}
        return self._with(name, kept, {**self.about[name], version: known})

    def _with(self, name: str, keys: dict[int, bytes], about: dict[int, About]) -> KeyRing:
        return replace(self, keys={**self.keys, name: keys}, about={**self.about, name: about})

    def __repr__(self) -> str:
        shown = {name: sorted(versions) for name, versions in self.keys.items()}
        return f"KeyRing({self.path!r}, {shown})"


def parse_ring(text: str, path: str) -> KeyRing:
    """The ring that a text holds. Raises KeyRingError where it is none."""
    keys: dict[str, dict[int, bytes]] = {}
    about: dict[str, dict[int, About]] = {}
    try:
        for name, versions in json.loads(text)["keys"].items():
            entries = {int(version): entry for version, entry in versions.items()}
            keys[str(name)] = {
                number: bytes.fromhex(entry["key"]) for number, entry in entries.items() if not entry.get("retired")
            }
            about[str(name)] = {number: _about(entry) for number, entry in entries.items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        raise KeyRingError(f"{path} is not a key ring; restore it from your backup") from None
    for name, secrets_by_version in keys.items():
        if any(len(key) != KEY_BYTES for key in secrets_by_version.values()):
            raise KeyRingError(
                f"key {name!r} in {path} is not {KEY_BYTES} bytes long; restore the ring from your backup"
            )
    return KeyRing(path, keys, about)


def ring_text(ring: KeyRing) -> str:
    """The ring as its text, secrets in it."""
    entries = {
        name: {str(version): _entry(known, ring.keys[name].get(version)) for version, known in sorted(versions.items())}
        for name, versions in ring.about.items()
    }
    return json.dumps({"keys": entries}, indent=1)


Edit = Callable[[KeyRing], KeyRing]


def _about(entry: dict[str, Any]) -> About:
    follows = entry.get("follows")
    return About(
        str(entry.get("made") or entry.get("written", "")),
        None if follows is None else int(follows),
        entry.get("retired"),
    )


def _entry(known: About, secret: bytes | None) -> dict[str, Any]:
    told = {
        "key": secret.hex() if secret is not None else None,
        "made": known.made,
        "follows": known.follows,
        "retired": known.retired,
    }
    return {name: value for name, value in told.items() if value is not None}
