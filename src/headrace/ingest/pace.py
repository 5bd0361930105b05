"""Back-pressure: how many records a micro-batch may take, so that it lasts about as long as it should.

Spark takes the limit of a source once, when a query starts. Spark 4.1.1 keeps it in the query's map from source to read limit,
which is looked at before each batch: there it is set, by the thread that runs the batches. Where a later Spark keeps it
elsewhere, the declared limit stays in force.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from py4j.protocol import Py4JError

from headrace.java_classes import java_class

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

FIRST = 50_000
"""Records of the first batch, about whose speed nothing is known yet."""
LEAST = 1_000
MOST_GROWTH, MOST_SHRINKAGE = 2.0, 0.25
_FULL = 0.9


class Pace:
    """The limit of one query, from how long its batches took."""

    def __init__(self, *, most: int, seconds: float) -> None:
        """``most``: records a batch takes at most, however fast it is. ``seconds``: how long a batch should last."""
        self._most, self._seconds = most, seconds
        self.limit = min(most, FIRST)
        """Records that the next batch may take."""

    def learn(self, *, offsets: int, seconds: float) -> bool:
        """Take in a batch that read so many offsets; whether the limit has changed.

        It grows only after a batch that was as large as it could be, and by a factor of ``MOST_GROWTH`` at a time: what a batch
        costs at least makes small ones look slow.
        """
        if offsets == 0 or seconds <= 0:
            return False
        wanted = offsets * self._seconds / seconds
        if seconds <= self._seconds and offsets < _FULL * self.limit:
            return False
        bounded = max(min(wanted, self.limit * MOST_GROWTH), self.limit * MOST_SHRINKAGE)
        before, self.limit = self.limit, int(min(max(bounded, LEAST), self._most))
        return self.limit != before


def set_limit(spark: SparkSession, query: str, records: int) -> bool:
    """Let the batches of a running query take so many records from now on; whether that was possible."""
    try:
        running = next((one for one in spark.streams.active if one.name == query), None)
        if running is None:
            return False
        wrapped: Any = running._jsq  # pyright: ignore[reportPrivateUsage]
        execution = wrapped.streamingQuery()
        sources = execution.uniqueSources()
        limit = java_class(spark, "org.apache.spark.sql.connector.read.streaming.ReadLimit").maxRows(records)
        keys = sources.keysIterator()
        while keys.hasNext():
            sources = sources.updated(keys.next(), limit)
        getattr(execution, "uniqueSources_$eq")(sources)
    except (Py4JError, TypeError):  # TypeError: what py4j makes of a method that is not there
        return False
    return True
