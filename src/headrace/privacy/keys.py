"""The key ring: versioned secrets for pseudonyms and for sealed payloads.

A key never enters a Spark plan or setting: plans carry the ring's path and a key's name and version, and the worker looks
the key up where it runs.
"""

from __future__ import annotations

import json
import os
import secrets
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from filelock import FileLock

from headrace.errors import KeyRingError

SEAL = "seal"
"""Name of the key that seals quarantined payloads."""
KEY_BYTES = 32


def pseudonym_key(domain: str) -> str:
    """Name of the key of a pseudonym domain."""
    return f"pseudonym/{domain}"


@dataclass(frozen=True, repr=False)
class KeyRing:
    """Keys by name and version. Its text form shows names and versions only."""

    path: str
    keys: dict[str, dict[int, bytes]]

    def current(self, name: str) -> int:
        """The newest version of a key. Raises KeyRingError where the ring lacks it."""
        versions = self.keys.get(name)
        if not versions:
            raise KeyRingError(
                f"key ring {self.path} has no key {name!r}; headrace ingest makes the keys that a pipeline file needs"
            )
        return max(versions)

    def key(self, name: str, version: int) -> bytes:
        """The key's 32 bytes. Raises KeyRingError where the ring lacks this version."""
        try:
            return self.keys[name][version]
        except KeyError:
            raise KeyRingError(
                f"key ring {self.path} lacks version {version} of key {name!r}; restore the ring that wrote these rows"
            ) from None

    def __repr__(self) -> str:
        shown = {name: sorted(versions) for name, versions in self.keys.items()}
        return f"KeyRing({self.path!r}, {shown})"


def open_ring(path: str | Path) -> KeyRing:
    """Read a ring. Raises KeyRingError where it is absent, readable by others, or not a key ring."""
    file = Path(path)
    try:
        mode = file.stat().st_mode
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise KeyRingError(
            f"no key ring at {file}; restore it from your backup; headrace ingest makes one for a new lake"
        ) from None
    except OSError as error:
        raise KeyRingError(f"key ring {file} can't be read: {error.strerror}; check its owner") from None
    except UnicodeDecodeError:
        raise KeyRingError(f"{file} is not a key ring; restore it from your backup") from None
    if stat.S_IMODE(mode) & 0o077:
        raise KeyRingError(
            f"key ring {file} can be read by others (mode {stat.S_IMODE(mode):o}); run: chmod 600 {file}"
        )
    return KeyRing(str(file.absolute()), _parse(file, text))


def ensure_keys(path: str | Path, names: Iterable[str]) -> list[str]:
    """Make a development key for each name that the ring lacks, creating the ring (mode 0600); the names that were made.

    Raises KeyRingError where the ring is damaged or its folder can't be written.
    """
    file = Path(path)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{file}.lock", mode=0o600):
            keys = dict(open_ring(file).keys) if file.exists() else {}
            made = [name for name in dict.fromkeys(names) if not keys.get(name)]
            for name in made:
                keys[name] = {1: secrets.token_bytes(KEY_BYTES)}
            if made:
                _write(file, keys)
    except OSError as error:
        raise KeyRingError(
            f"key ring {file} can't be written: {error.strerror}; choose another path in keys.ring"
        ) from None
    return made


@lru_cache(maxsize=256)
def worker_key(path: str, name: str, version: int) -> bytes:
    """As :meth:`KeyRing.key`, on a Spark worker: read once per process."""
    return open_ring(path).key(name, version)


def _parse(file: Path, text: str) -> dict[str, dict[int, bytes]]:
    try:
        entries = json.loads(text)["keys"]
        keys = {
            str(name): {int(version): bytes.fromhex(entry["key"]) for version, entry in versions.items()}
            for name, versions in entries.items()
        }
    except (ValueError, TypeError, KeyError, AttributeError):
        raise KeyRingError(f"{file} is not a key ring; restore it from your backup") from None
    for name, versions in keys.items():
        if any(len(key) != KEY_BYTES for key in versions.values()):
            raise KeyRingError(
                f"key {name!r} in {file} is not {KEY_BYTES} bytes long; restore the ring from your backup"
            )
    return keys


def _write(file: Path, keys: dict[str, dict[int, bytes]]) -> None:
    created = datetime.now(UTC).isoformat(timespec="seconds")
    content = {
        "keys": {
            name: {str(version): {"key": key.hex(), "written": created} for version, key in versions.items()}
            for name, versions in keys.items()
        }
    }
    temporary = file.with_name(f"{file.name}.{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
        json.dump(content, handle, indent=1)
        handle.flush()
        os.fsync(handle.fileno())
    temporary.replace(file)
