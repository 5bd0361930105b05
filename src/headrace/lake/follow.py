"""The newest version of a table that this process writes or reads again and again, without listing its log.

Delta's own way lists the log's folder, and on file systems that can only list whole folders (local, HDFS) this costs more with
every commit. Versions have no gaps: the one that the process knows is the newest if it is still there and none stands behind it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headrace.lake import delta
from headrace.lake.log import has_version

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def version(spark: SparkSession, path: str) -> int:
    """Newest version of the table."""
    return int(_snapshot(spark, path).version())


def table_property(spark: SparkSession, path: str, name: str) -> str | None:
    """A property of the table as of its newest version, or None where it has none of that name."""
    return delta.property_of(_snapshot(spark, path), name)


def _snapshot(spark: SparkSession, path: str) -> Any:
    known = delta.delta_log(spark, path).unsafeVolatileSnapshot()
    at = int(known.version())
    if at >= 0 and has_version(spark, path, at) and not has_version(spark, path, at + 1):
        return known
    return delta.snapshot(spark, path)
