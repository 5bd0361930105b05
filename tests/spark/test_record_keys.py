"""The key of a record is the same from its bytes and from its row; what is released is held against what was accepted."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from headrace.ingest.known_keys import table_keys
from headrace.ingest.released_copies import with_copies
from headrace.spec.stream import Duplicates, Stream
from headrace.stages.keys import record_keys
from headrace.stages.reopen import INGESTED

SCHEMA = StructType.fromJson(
    {"type": "struct", "fields": [
        {"name": name, "type": kind, "nullable": True, "metadata": {}}
        for name, kind in (("ref", "string"), ("at", "timestamp"), ("day", "date"), ("sum", "decimal(10,2)"), ("n", "long"),
                           ("other", "string"))
    ]}
)  # fmt: skip
STREAM = Stream.model_validate(
    {
        "topic": "t", "schema": "x", "event_time": "at", "known_at": "at", "max_record_bytes": 200,
        "normalize": {"rename": {"ref": "id"}, "case": {"ref": "upper"}, "derive": {"hour": "hour(at)", "late": "hour > 12"}},
    }
)  # fmt: skip
BY = ("id", "at", "day", "sum", "n", "late")
GOOD = {"ref": " a1 ", "at": "2026-01-01T13:00:00+01:00", "day": "2026-01-01", "sum": 1.5, "n": 3}
AS_STORED = ("A1", datetime(2026, 1, 1, 12, tzinfo=UTC), date(2026, 1, 1), 1.50, 3, False)


def keys_of(spark: SparkSession, records: list[dict[str, object] | str | None]) -> list[tuple[int, int] | None]:
    values = [value if value is None or isinstance(value, str) else json.dumps(value) for value in records]
    count = len(values)
    frame = pa.table(
        {
            "value": pa.array([v and v.encode() for v in values], pa.binary()), "partition": pa.array([0] * count, pa.int32()),
            "offset": pa.array(range(count), pa.int64()), "timestamp": pa.array([0] * count, pa.timestamp("us", "UTC")),
        }
    )  # fmt: skip
    found = record_keys(spark.createDataFrame(frame), stream=STREAM, schema=SCHEMA, by=BY).orderBy("offset").collect()
    return [(row["high"], row["low"]) if row["high"] is not None else None for row in found]


def test_a_record_has_the_key_that_its_row_has(spark: SparkSession) -> None:
    stored = spark.createDataFrame(
        [AS_STORED], "id string, at timestamp, day date, sum double, n long, late boolean"
    ).withColumns({"sum": F.col("sum").cast("decimal(10,2)"), "kafka_partition": F.lit(0), "kafka_offset": F.lit(0)})
    now = {name: F.current_timestamp() for name in ("kafka_timestamp", "ingested_at")}
    row = table_keys(stored.withColumns(now), by=BY).first()
    spelled = {**GOOD, "ref": "A1", "at": "2026-01-01 12:00:00Z", "sum": "1.50", "other": "x", "unheard": {"of": 1}}
    same = keys_of(spark, [GOOD, spelled])
    assert row is not None
    assert same == [(row["high"], row["low"])] * 2
    others: list[dict[str, object] | str | None] = [
        {**GOOD, "ref": "a2"}, {**GOOD, "at": "2026-01-01T14:00:00+01:00"}, {**GOOD, "day": "2026-01-02"}, {**GOOD, "sum": 1.51},
        {**GOOD, "n": 4},
    ]  # fmt: skip
    distinct = keys_of(spark, [GOOD, *others])
    assert len(set(distinct)) == 6
    assert len({high for high, _ in filter(None, distinct)} | {low for _, low in filter(None, distinct)}) == 12


def test_a_record_without_a_part_of_the_key_or_that_can_not_be_read_has_no_key(spark: SparkSession) -> None:
    without = [{name: value for name, value in GOOD.items() if name != gone} for gone in GOOD]
    unreadable = [None, "", "oops", "[1]", {**GOOD, "ref": " "}, {**GOOD, "other": "x" * 200}, {**GOOD, "n": "x"}]
    unreadable.append({**GOOD, "sum": {"\ud800": 1}})  # Spark makes a variant of it, and then fails to read it
    assert keys_of(spark, [*without, *unreadable]) == [None] * 13


HOUR = 3_600_000
T = 1_780_000_000_000
# Offset, key, hours after T, verdict. Those in quarantine are to be released, all at once.
ROWS = [
    (0, "k1", 0.0, "quarantined"), (1, "k1", 0.1, "quarantined"), (2, "k2", 0.0, "accepted"), (3, "k2", 2.0, "quarantined"),
    (4, "k2", 2.1, "quarantined"), (5, "k1", 2.1, "quarantined"), (6, "k3", 1.0, "accepted"), (7, "k3", 0.0, "quarantined"),
    (8, "k4", 0.0, "duplicate"), (9, "k4", 0.0, "quarantined"), (10, None, 0.0, "accepted"), (11, None, 0.0, "quarantined"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("offsets", "by", "expected"),
    [
        # 4 and 5 lie more than two hours after the first of their key; 7 is older than the copy that was accepted.
        ({row[0] for row in ROWS}, ("id",), {1: 0, 3: 2, 7: 6}),
        ({1, 5}, ("id",), {5: 1}),
        (set(), ("id",), {}),
        ({row[0] for row in ROWS}, ("id", "new"), {1: 0, 4: 3}),  # no row of the table has that key
    ],
)
def test_what_is_released_is_held_against_what_was_accepted(
    spark: SparkSession, tmp_path: Path, offsets: set[int], by: tuple[str, ...], expected: dict[int, int]
) -> None:
    frame = pa.table(
        {
            "id": [key for _, key, *_ in ROWS], "verdict": [verdict for *_, verdict in ROWS],
            "kafka_topic": ["t"] * len(ROWS), "kafka_partition": pa.array([3] * len(ROWS), pa.int32()),
            "kafka_offset": pa.array([offset for offset, *_ in ROWS], pa.int64()),
            "kafka_timestamp": pa.array([1000 * int(T + h * HOUR) for *_, h, _ in ROWS], pa.timestamp("us", "UTC")),
        }
    )  # fmt: skip
    ingested = datetime.fromtimestamp(T / 1000, UTC) + timedelta(hours=9)
    rows = spark.createDataFrame(frame).withColumns(
        {
            "ingested_at": F.lit(ingested),
            "ingest_date": F.lit(ingested.date()),
            "duplicate_of": F.lit(None).cast("string"),
        }
    )
    table = str(tmp_path / "events")
    rows.write.format("delta").partitionBy("ingest_date", "verdict").save(table)
    chosen = rows.where((F.col("verdict") == "quarantined") & F.col("kafka_offset").isin(*offsets, -1))
    passing = chosen.withColumns({"verdict": F.lit("accepted"), "new": F.lit(1)}).withColumnRenamed(
        "ingested_at", INGESTED
    )
    stream = STREAM.model_copy(update={"duplicates": Duplicates(by=by, within="2h")})
    found = with_copies(spark, passing, table=table, stream=stream)
    assert sorted(found.columns) == sorted(passing.columns)
    told = {row["kafka_offset"]: (row["verdict"], row["duplicate_of"]) for row in found.collect()}
    assert told == {
        offset: ("duplicate", f"t/3/{expected[offset]}") if offset in expected else ("accepted", None)
        for offset, *_, verdict in ROWS
        if offset in offsets and verdict == "quarantined"
    }
