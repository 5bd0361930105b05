"""Released rows: a request sees them from their release on, placed in time by their own known_at. Values by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pyspark.sql import functions as F

from headrace.features.compute import compute_features
from headrace.features.knowledge import features_as_known, known_from, releases
from headrace.spec.features import Features

START = datetime(2026, 1, 1, tzinfo=UTC)
FEATURES = Features.model_validate(
    {
        "requests": "asked",
        "id": "id",
        "last": [{"stream": "moved", "by": ["place"], "within": "1h", "columns": {"last_delay": "delay"}, "age": "last_age"}],
        "windows": [{"stream": "moved", "by": ["place"], "over": ["30m"],
                     "aggregates": {"seen": ["count", None], "worst": ["max", "delay"]}}],
    }
)  # fmt: skip
MOVED = [  # known at (minute), delay, released to requests after (minute)
    (0, 1.0, None),
    (10, 2.0, None),
    (12, 50.0, 20),
    (14, 60.0, 40),
    (30, 3.0, None),
]
EXPECTED = {  # minute of T: newest delay, its age, rows of the last 30 minutes, the worst of them
    15: (2.0, 5, 2, 2.0),
    19: (2.0, 9, 2, 2.0),
    21: (50.0, 9, 3, 50.0),
    31: (3.0, 1, 3, 50.0),
    39: (3.0, 9, 3, 50.0),
    41: (3.0, 11, 3, 60.0),
    50: (3.0, 20, 1, 3.0),
}
"""By hand: the row of minute 12 is seen from minute 20 on, that of 14 from 40 on, and both count where they happened."""


def at(minute: float) -> datetime:
    return START + timedelta(minutes=minute)


@pytest.fixture(scope="module")
def moved(spark):
    rows = [
        ("a", at(minute), delay, None if late is None else at(late) + timedelta(microseconds=1), n)
        for n, (minute, delay, late) in enumerate(MOVED)
    ]
    return spark.createDataFrame(
        rows, "place string, known_at timestamp, delay double, released_known_at timestamp, n int"
    )


def requests(spark, minutes):
    rows = [(f"r{minute}", "a", at(minute), 0, n) for n, minute in enumerate(minutes)]
    return spark.createDataFrame(
        rows, "id string, place string, known_at timestamp, kafka_partition int, kafka_offset long"
    )


def found(frame) -> dict[int, tuple]:
    return {
        int(row["id"][1:]): (row["last_delay"], row["last_age"], row["seen_30m"], row["worst_30m"]) for row in frame.collect()
    }  # fmt: skip


def test_a_request_sees_what_was_released_by_its_time(spark, moved) -> None:
    moments = releases(moved)
    assert moments == [at(20) + timedelta(microseconds=1), at(40) + timedelta(microseconds=1)]
    frame = features_as_known(
        requests(spark, EXPECTED), {"moved": moved}, features=FEATURES, since=None, released=moments
    )
    assert found(frame) == EXPECTED


def test_a_part_of_time_gives_the_same_values_as_the_whole(spark, moved) -> None:
    """Scoring sees a batch of requests, training all of them."""
    for minutes in ([15], [19, 21], [31, 39], [39, 41, 50]):
        first, last = at(min(minutes)), at(max(minutes))
        moments = [moment for moment in releases(moved) if first < moment <= last]
        frame = features_as_known(
            requests(spark, minutes), {"moved": moved}, features=FEATURES, since=first, released=moments
        )
        assert found(frame) == {minute: EXPECTED[minute] for minute in minutes}


def test_without_the_rule_the_past_would_change(spark, moved) -> None:
    """The fault is planted: features that go by known_at alone."""
    plain = found(compute_features(requests(spark, EXPECTED), {"moved": moved}, features=FEATURES))
    assert plain[15] == (60.0, 1, 4, 60.0)
    assert plain[15] != EXPECTED[15]


def test_of_requests_with_one_id_the_first_counts_across_releases(spark, moved) -> None:
    twice = requests(spark, [15, 41]).withColumn("id", F.lit("r15"))
    frame = features_as_known(twice, {"moved": moved}, features=FEATURES, since=None, released=releases(moved))
    assert found(frame) == {15: EXPECTED[15]}


def test_a_table_from_before_is_read_as_it_is(spark, moved) -> None:
    before = moved.drop("released_known_at").where("n in (0, 1, 4)")
    assert releases(before) == []
    assert before.select(known_from(before).alias("t")).where("t is null").count() == 0
    frame = features_as_known(requests(spark, [15, 50]), {"moved": before}, features=FEATURES, since=None, released=[])
    assert found(frame) == {15: EXPECTED[15], 50: EXPECTED[50]}
