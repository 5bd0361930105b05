"""Requests that were read and are not all answered yet."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass
class WaitingBatch:
    """A micro-batch of requests of which not all are answered."""

    version: int
    """Of the requests table, with its commit."""
    fence: dict[str, dict[int, int]]
    since: float
    answered_before: datetime | None = None
    """All of its requests with T before this were answered."""

    def is_new_at(self, watermark: datetime | None) -> bool:
        """Whether the watermark may have made more of it ready."""
        return watermark is not None and (self.answered_before is None or watermark > self.answered_before)


@dataclass
class Reading:
    """How far the log of the requests table was read, and what waits, by micro-batch."""

    seen: int = -1
    waiting: dict[int, WaitingBatch] = field(default_factory=dict)

    def needed(self) -> int:
        """The first version whose commit is still needed."""
        return min((batch.version for batch in self.waiting.values()), default=self.seen + 1)
