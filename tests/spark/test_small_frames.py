"""Frames of Python values: every type that a table of Headrace's own has comes through, and no Python worker is begun for it."""

from __future__ import annotations

from datetime import UTC, datetime

import psutil
import pytest
from pyspark.sql import SparkSession

from headrace.small_frames import frame_of

AT = datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=UTC)
DDL = (
    "name string, small int, large bigint, share double, yes boolean, at timestamp, raw binary, versions map<string,bigint>, "
    "checks array<struct<name:string,passed:boolean>>, place struct<path:string,at:timestamp>"
)
ROWS = [
    ("a'b`", 1, 2**62, 0.1, True, AT, b"\x00\xff", {"one": 1, "two": 2}, [("gate", True), ("floor", None)], ("p", AT)),
    (None,) * 10,
]


def workers() -> list[int]:
    return [p.pid for p in psutil.Process().children(recursive=True) if "pyspark.daemon" in " ".join(p.cmdline())]


def test_every_type_comes_through(spark: SparkSession) -> None:
    frame = frame_of(spark, ROWS, DDL)
    assert frame.schema.simpleString() == spark.createDataFrame(ROWS, DDL).schema.simpleString()
    assert all(field.nullable for field in frame.schema)
    first, second = sorted(frame.collect(), key=lambda row: row["name"] is None)
    assert first.asDict(recursive=True) | {"at": None, "place": None} == {
        "name": "a'b`", "small": 1, "large": 2**62, "share": 0.1, "yes": True, "at": None, "raw": b"\x00\xff",
        "versions": {"one": 1, "two": 2}, "checks": [{"name": "gate", "passed": True}, {"name": "floor", "passed": None}],
        "place": None,
    }  # fmt: skip
    assert first["at"].astimezone(UTC) == first["place"]["at"].astimezone(UTC) == AT
    assert set(second.asDict().values()) == {None}
    assert frame_of(spark, [], DDL).collect() == []
    with pytest.raises(ValueError, match="zip"):
        frame_of(spark, [("a", 1)], "name string")


def test_no_python_worker_is_begun(spark: SparkSession) -> None:
    before = workers()
    frame_of(spark, ROWS * 100, DDL).collect()
    assert workers() == before
    if not before:  # which shows that one would be seen
        spark.createDataFrame([("a",)], "name string").collect()
        assert workers() != []
