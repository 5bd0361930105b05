"""What a job tells of its tables' commits, beside others that write them."""

from __future__ import annotations

import json
from pathlib import Path

from headrace.lineage.commits import Watched, use
from headrace.lineage.job import by_kind


def test_beside_another_job_only_its_own_commits_are_told(spark, tmp_path: Path) -> None:
    path = str(tmp_path / "events")

    def commit(**told: object) -> None:
        written = spark.range(2).coalesce(1).write.format("delta").mode("append")
        written.option("userMetadata", json.dumps(told)).save(path)

    batch = {"headrace": "batch", "batch": 1, "topic": "t", "from": {"0": 0}, "until": {"0": 2}}
    commit(**batch)
    replayed, ingested = by_kind(path, frozenset({"replay"})), Watched(path, lambda entry: entry.is_batch)
    for one in (replayed, ingested):
        one.begin(spark)
    commit(**{**batch, "from": {"0": 2}, "until": {"0": 4}})
    commit(headrace="replay", released=2)
    commit(**{**batch, "from": {"0": 4}, "until": {"0": 6, "1": 1}})
    replay = use(spark, [replayed], bootstrap="h:1", tracking_uri="")
    assert [(one.name, one.version) for one in replay.inputs] == [(path, "1")]
    assert [(one.name, one.version, one.rows) for one in replay.outputs] == [(path, "2", 2)]
    ingest = use(spark, [ingested], bootstrap="h:1", tracking_uri="")
    assert [(one.namespace, one.name, one.offsets) for one in ingest.inputs] == [
        ("kafka://h:1", "t", {0: [(2, 6)], 1: [(0, 1)]})
    ]
    assert [(one.version, one.rows, dict(one.fields)) for one in ingest.outputs] == [("3", 4, {"id": "bigint"})]
    assert not use(spark, [replayed, ingested], bootstrap="h:1", tracking_uri="")
