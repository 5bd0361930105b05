"""What a streaming query's checkpoint says."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headrace.lake import files
from headrace.lake.log import offsets

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Offsets = dict[str, dict[int, int]]
"""Topic to partition to offset: the next record to read."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint folder. All methods read its files as they are now."""

    spark: SparkSession
    path: str

    def query_id(self) -> str | None:
        """The query's id, or None where no query has started."""
        text = files.read_text(self.spark, f"{self.path}/metadata")
        return json.loads(text)["id"] if text else None

    def last(self, log: str) -> int | None:
        """The newest batch id in a log (``offsets``: begun, ``commits``: done), or None."""
        batches = [int(name) for name in files.names(self.spark, f"{self.path}/{log}") if name.isdigit()]
        return max(batches) if batches else None

    def until(self, batch_id: int) -> Offsets | None:
        """End offsets of a batch that was begun."""
        text = files.read_text(self.spark, f"{self.path}/offsets/{batch_id}")
        return _offsets(text.splitlines()[-1]) if text else None

    def start(self, batch_id: int) -> Offsets:
        """Start offsets of a batch: the end of the one before, or the query's first offsets."""
        if batch_id > 0:
            before = self.until(batch_id - 1)
            if before is not None:
                return before
        text = files.read_text(self.spark, f"{self.path}/sources/0/0")
        return _offsets(text[text.index("{") :]) if text and "{" in text else {}


def _offsets(text: str) -> Offsets:
    return {topic: offsets(partitions) for topic, partitions in json.loads(text).items()}
