"""What a pipeline's producer has to offer: events of a range of time, in the order in which they are sent."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Protocol

from headrace.feed.produce import Produced
from headrace.feed.record import Record


class Source(Protocol):
    """The events from ``begins`` up to, not including, ``ends`` (instants of sending)."""

    @property
    def topics(self) -> tuple[str, ...]:
        """Every topic that the records go to."""
        ...

    @property
    def held_back(self) -> frozenset[str]:
        """Topics of requests: each is sent once everything that was known before it is in Kafka."""
        ...

    @property
    def begins(self) -> datetime: ...

    @property
    def ends(self) -> datetime: ...

    @property
    def size(self) -> int:
        """How many records there are, or about how many, for the progress bar."""
        ...

    def records(self) -> Iterator[Record]:
        """All of them, in the order of ``sent_at``."""
        ...

    def sent(self, produced: Produced) -> None:
        """Called at the end with what Kafka acknowledged."""
        ...
