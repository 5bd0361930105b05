"""The beginning of a table's log, which nobody needs any more.

Delta removes it by age alone (30 days), at whole days. Where a stream commits every second, a log of a few hours makes each
commit wait for the list of a folder; and where nothing was read for 30 days, the commit that says up to where is gone.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from headrace.java_classes import java_class
from headrace.lake import delta, files
from headrace.lake.log import commit_file, log_versions

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NEWEST = 1_000
"""So many commits stay at least, and where a file system lists whole folders (local, HDFS), they alone."""
_WHOLE_FOLDERS = ("file", "hdfs")


def removable_commits(spark: SparkSession, path: str, *, keep: timedelta, needed: int) -> range:
    """Versions whose commits may go: older than ``keep``, or (see ``NEWEST``) more than a folder should hold, and before
    ``needed``, the first version that some reader has not read yet.
    """  # fmt: skip
    versions = log_versions(spark, path)
    most = len(versions) - NEWEST
    if most <= 0:
        return range(0)
    cut = most if files.scheme(spark, path) in _WHOLE_FOLDERS else _older(spark, path, versions[:most], keep=keep)
    return range(versions[0], max(versions[0], min(versions[cut], needed)))


def clean_log(spark: SparkSession, path: str, *, keep: timedelta, needed: int) -> int:
    """Remove them, up to the newest checkpoint before the first commit that stays; how many went.

    Safe beside a writer and readers of newer versions. What Delta calls a minute stays whole.
    """
    removable = removable_commits(spark, path, keep=keep, needed=needed)
    if not removable:
        return 0
    log = delta.delta_log(spark, path)
    none, minute = (
        java_class(spark, "scala.Option").empty(),
        java_class(spark, "org.apache.spark.sql.delta.TruncationGranularity").MINUTE(),
    )
    age = max(0, int(time.time() * 1000) - files.modified_ms(spark, f"{path}/{commit_file(removable.stop)}"))
    log.cleanUpExpiredLogs(delta.snapshot(spark, path), none, _some_long(spark, age), minute)
    left = log_versions(spark, path)
    return (left[0] if left else removable.stop) - removable.start


def _older(spark: SparkSession, path: str, versions: list[int], *, keep: timedelta) -> int:
    """How many of these versions are older than ``keep``, by halving."""
    limit = time.time() * 1000 - keep / timedelta(milliseconds=1)
    low, high = 0, len(versions)
    while low < high:
        middle = (low + high) // 2
        if files.modified_ms(spark, f"{path}/{commit_file(versions[middle])}") < limit:
            low = middle + 1
        else:
            high = middle
    return low


def _some_long(spark: SparkSession, number: int) -> Any:
    """``Some(number: Long)``; py4j alone would make it an Integer where it is small."""
    gateway: Any = spark.sparkContext._gateway  # pyright: ignore[reportPrivateUsage]
    one = gateway.new_array(gateway.jvm.long, 1)
    one[0] = number
    return java_class(spark, "scala.collection.immutable.ArraySeq").unsafeWrapArray(one).headOption()
