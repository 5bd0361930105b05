"""A running stream keeps the log of its own table short: see :mod:`headrace.lake.maintain.log_cleanup`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from py4j.protocol import Py4JError

from headrace.ingest.watch import Batch, Watch
from headrace.lake import follow
from headrace.lake.maintain import clean_log

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

EVERY = 500
"""Batches between two cleanings."""


class LogKeeper(Watch):
    """Cleans behind its first commit and after every ``EVERY`` further ones. As a watch of a stream, it counts its batches."""

    def __init__(self, spark: SparkSession, *, table: str, keep: timedelta, needed: Callable[[], int | None]) -> None:
        """``needed``: the first version that some reader of this job has not read yet; None where all are read."""
        self._spark, self._table, self._keep, self._needed = spark, table, keep, needed
        self._commits = 0

    def committed(self, batch: Batch, observed: Mapping[str, Any]) -> None:
        """Count the batch."""
        self.count()

    def count(self) -> None:
        """Count a commit; clean when it is time. A log that can't be cleaned now is cleaned later."""
        self._commits += 1
        if self._commits % EVERY != 1:
            return
        needed = self._needed()
        with suppress(Py4JError, OSError):
            newest = follow.version(self._spark, self._table)
            clean_log(self._spark, self._table, keep=self._keep, needed=newest if needed is None else needed)
