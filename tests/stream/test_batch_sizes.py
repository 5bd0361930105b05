"""A running query takes as many records as it can write in the declared time."""

from __future__ import annotations

from pathlib import Path

import pytest
from pipelines import make_topic, reading, send, write_pipeline

from headrace.connections import Broker
from headrace.ingest import pace
from headrace.ingest.run import start_ingest


@pytest.fixture(scope="module")
def topic(bootstrap: str) -> str:
    make_topic(bootstrap, "paced", partitions=1)
    send(bootstrap, "paced", (reading(n) for n in range(6_000)))
    return "paced"


@pytest.mark.parametrize(
    ("extra", "sizes"),
    [
        ("batch_seconds: 0.01\n    max_offsets_per_trigger: 4000", [4_000, 1_000, 1_000]),
        ("batch_seconds: 10000", [1_000, 2_000, 3_000]),
    ],
    ids=["slower than declared", "quicker than declared"],
)
def test_the_size_of_batches_follows_their_speed(
    spark, bootstrap: str, topic: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extra: str, sizes: list[int]
) -> None:
    if "max_offsets" not in extra:
        monkeypatch.setattr(pace, "FIRST", 1_000)
    pipeline, seen = write_pipeline(tmp_path, bootstrap=bootstrap, topic=topic, extra=extra), []
    start_ingest(
        spark, pipeline, broker=Broker(bootstrap, {}), until_caught_up=True, on_batch=lambda report: seen.append(report)
    ).wait()
    assert [report.rows for report in seen] == sizes


def test_where_the_query_or_the_limit_is_not_found_nothing_happens(spark) -> None:
    assert not pace.set_limit(spark, "no such query", 1_000)
