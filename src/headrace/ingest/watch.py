"""What looks at each micro-batch of a stream before it is written, and again once it is committed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from headrace.stages.stages import Way

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


@dataclass(frozen=True)
class Batch:
    """A micro-batch that was not written yet."""

    records: DataFrame
    """Kafka's columns, and what watches add to them."""
    way: Way
    """The way that it will go."""
    version: int
    """Of the table, when the batch began."""
    begun: datetime
    """The ``ingested_at`` of its rows."""
    metadata: dict[str, Any] = field(default_factory=dict)
    """What is committed with it."""


class Watch(Protocol):
    """Looks at every micro-batch of one stream, in turn. A batch that is repeated after its commit is not shown again."""

    def ahead(self, batch: Batch) -> Batch:
        """The batch as it shall be written."""
        ...

    def observed(self, batch: Batch) -> Mapping[str, Column]:
        """By name, aggregates over the labelled rows that the write itself computes."""
        ...

    def committed(self, batch: Batch, observed: Mapping[str, Any]) -> None:
        """The batch is in the table; ``observed`` holds the values of all aggregates."""
        ...
