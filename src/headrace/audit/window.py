"""The range of time that an audit looks at."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from headrace.lake.ledger.record import Record


@dataclass(frozen=True)
class Window:
    """A range of time of ingest (when a batch was committed), from ``start`` up to but without ``end``; None is open."""

    start: datetime | None = None
    end: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether it takes in everything."""
        return self.start is None and self.end is None

    def takes(self, record: Record) -> bool:
        """Whether the commit lies in it."""
        return (self.start is None or record.at >= self.start) and (self.end is None or record.at < self.end)
