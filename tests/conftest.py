"""What all tests share: one Spark session for the whole run, started by the first test that asks for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

os.environ["GX_ANALYTICS_ENABLED"] = "false"


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """The session that the product itself makes (UTC, Delta, Kafka), two tasks at a time."""
    from headrace.session import spark_session

    session = spark_session(
        app="tests", master="local[2]", driver_memory="1g", settings={"spark.sql.shuffle.partitions": "2"}
    )
    yield session
    session.stop()
