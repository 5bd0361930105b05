"""The log of openings: who looked at which quarantined record in clear, and when. It can only grow, and holds no values."""

from __future__ import annotations

import os
import pwd
import socket
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pyspark.sql.types import IntegerType, LongType, StringType, StructField, StructType, TimestampType

from headrace.errors import StorageError
from headrace.lake import delta
from headrace.lake.files import storage_error
from headrace.lake.tables import create_table
from headrace.small_frames import frame_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SCHEMA = StructType(
    [
        StructField("at", TimestampType()),
        StructField("who", StringType()),
        StructField("host", StringType()),
        StructField("topic", StringType()),
        StructField("partition", IntegerType()),
        StructField("offset", LongType()),
    ]
)


def log_opening(spark: SparkSession, path: str, *, topic: str, partition: int, offset: int) -> None:
    """Note that this user, on this host, is about to open a record. Whoever can't note it must not open it.

    Raises StorageError where the log can't be written.
    """
    log_openings(spark, path, topic=topic, places=[(partition, offset)])


def log_openings(spark: SparkSession, path: str, *, topic: str, places: Iterable[tuple[int, int]]) -> None:
    """The same for several records of a topic (partition and offset of each), in one commit."""
    now, user, host = datetime.now(UTC), this_user(), socket.gethostname()
    rows = [(now, user, host, topic, partition, offset) for partition, offset in places]
    try:
        if not delta.exists(spark, path):
            create_table(spark, path, schema=SCHEMA, statistics=("at",), change_data_feed=False)
            delta.set_property(spark, path, "delta.appendOnly", "true")
        frame_of(spark, rows, SCHEMA).coalesce(1).write.format("delta").mode("append").save(path)
    except StorageError:
        raise
    except Exception as error:
        raise storage_error(error, path) or StorageError(
            f"the log of openings {path} can't be written ({type(error).__name__}); nothing was opened"
        ) from None


def this_user() -> str:
    """The name of the user that this process runs as: the system's, not what the environment claims."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
