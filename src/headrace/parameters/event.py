"""One version of some parameters, and the pointer to the current one, as values and as JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

FORMAT, POINTER_FORMAT = "headrace.parameters/1", "headrace.parameters.pointer/1"
STATISTICS, CLASS_WEIGHTS, MONOTONIC, HYPERPARAMETERS = "statistics", "class_weights", "monotonic", "hyperparameters"
VOCABULARY = "vocabulary."
"""What the name of a vocabulary begins with; its own name follows."""
CURRENT = "current"


@dataclass(frozen=True)
class Parameters:
    """One version. It never changes."""

    pipeline: str
    name: str
    version: int
    """From 1, without a gap."""
    as_of: datetime
    """The cut-off in knowledge time (UTC): made only of rows that were known before it."""
    made_at: datetime
    sources: Mapping[str, int]
    """Version of each events table that was read, by stream."""
    value: Mapping[str, Any]
    sequence: int
    """Which change of this name it came with: versions and pointers are counted together."""

    @property
    def key(self) -> str:
        """Key of its record, such as ``statistics/3``."""
        return f"{self.name}/{self.version}"

    @cached_property
    def sha256(self) -> str:
        """Of what it is and what it was made from; two with the same hash are the same parameters."""
        said = {
            "pipeline": self.pipeline, "name": self.name, "as_of": _written(self.as_of), "sources": dict(self.sources),
            "value": self.value,
        }  # fmt: skip
        return hashlib.sha256(canonical(said).encode()).hexdigest()

    def as_json(self) -> str:
        """The record's value. The same parameters give the same text."""
        return canonical(
            {
                "format": FORMAT, "pipeline": self.pipeline, "name": self.name, "version": self.version,
                "as_of": _written(self.as_of), "made_at": _written(self.made_at), "sources": dict(self.sources),
                "value": self.value, "sequence": self.sequence, "sha256": self.sha256,
            }
        )  # fmt: skip


@dataclass(frozen=True)
class Pointer:
    """Which version of a name is current, from this change on."""

    pipeline: str
    name: str
    version: int
    sequence: int
    at: datetime
    pinned: bool
    """Whether a person holds it there: newer versions don't move it."""
    why: str | None

    @property
    def key(self) -> str:
        """Key of its record, such as ``statistics/current``."""
        return f"{self.name}/{CURRENT}"

    def as_json(self) -> str:
        """The record's value."""
        return canonical(
            {
                "format": POINTER_FORMAT, "pipeline": self.pipeline, "name": self.name, "version": self.version,
                "sequence": self.sequence, "at": _written(self.at), "pinned": self.pinned, "why": self.why,
            }
        )  # fmt: skip


Event = Parameters | Pointer


def canonical(value: object) -> str:
    """JSON with sorted keys and nothing between. Raises ValueError for NaN and infinity, TypeError for what JSON can't hold."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _written(when: datetime) -> str:
    return when.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
