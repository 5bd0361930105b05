"""What looks at each micro-batch of a stream before it is written, and again once it is committed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from headrace.stages.stages import Way

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


@dataclass(frozen=True)
class Batch:
    """A micro-batch that was not written yet."""

    records: DataFrame
    """As Kafka gave them."""
    way: Way
    """The way that it will go."""
    version: int
    """Of the table, when the batch began."""
    begun: datetime
    """The ``ingested_at`` of its rows."""
    metadata: dict[str, Any] = field(default_factory=dict)
    """What is committed with it."""
    marks: DataFrame | None = None
    """By ``partition`` and ``offset``, at most one row each, columns that watches add to some records; few rows."""

    def marked(self, records: DataFrame) -> DataFrame:
        """``records`` with the columns of the marks."""
        if self.marks is None:
            return records
        return records.join(F.broadcast(self.marks), ["partition", "offset"], "left")


class Watch:
    """Looks at every micro-batch of one stream, in turn. A batch that is repeated after its commit is not shown again."""

    def ahead(self, batch: Batch) -> Batch:
        """The batch as it shall be written; here, as it is."""
        return batch

    def observed(self, batch: Batch) -> Mapping[str, Column]:
        """By name, aggregates over the labelled rows that the write itself computes; here, none."""
        return {}

    def committed(self, batch: Batch, observed: Mapping[str, Any]) -> None:
        """The batch is in the table; ``observed`` holds the values of all aggregates."""
