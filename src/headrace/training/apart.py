"""Training rows that stay in their table, and what the driver knows of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class Seen:
    """What the values of one feature are like."""

    missing: float
    """Share of the rows without it; 1 where there are no rows."""
    constant: bool
    """The same in all rows; so is what is missing in all."""
    infinite: int
    """Rows."""


@dataclass(frozen=True)
class Apart:
    """Rows in Spark. It answers what the driver asks of a table of training rows: their number, their labels, a few examples."""

    rows: DataFrame
    num_rows: int
    labels: pa.Table
    """One column. Of a condition or classes each label once; of numbers the least, the largest, and what is no number."""
    features: Mapping[str, Seen]
    example: pa.Table
    """A few rows, by id."""
    workers: int
    """By how many they are to be trained."""
    threads: int
    """Of each worker."""

    @property
    def schema(self) -> pa.Schema:
        """Of ``labels``."""
        return self.labels.schema

    def column(self, name: str) -> pa.ChunkedArray:
        """Of ``labels``."""
        return self.labels.column(name)

    def select(self, names: Sequence[str]) -> pa.Table:
        """Of ``example``."""
        return self.example.select(list(names))
