"""Copies that producers send, through real Kafka and Delta, held against a dictionary over what confluent-kafka reads."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from delta.tables import DeltaTable as SparkDeltaTable
from deltalake import DeltaTable
from pipelines import make_topic, reading, write_pipeline

from headrace.audit import Deeply, audit_stream
from headrace.connections import Broker
from headrace.errors import HeadraceError
from headrace.ingest import duplicates, writer
from headrace.ingest.run import start_ingest
from headrace.ingest.writer import BatchReport
from headrace.lake.tables import read_accepted
from headrace.spec import Pipeline

HOUR, START = 3_600_000, 1_780_000_000_000
BY_ID = "duplicates: {by: [id], within: 2h}"
WITHIN = 2 * HOUR
BAD = {"reading": 200_000}
"""Breaks a critical rule."""

Sent = tuple[int, int, str]
"""Partition, Kafka timestamp, value."""
Verdicts = dict[tuple[int, int], tuple[str, str | None]]
"""Partition and offset to verdict and ``duplicate_of``."""


def produce(bootstrap: str, topic: str, records: Iterable[Sent]) -> None:
    producer = Producer({"bootstrap.servers": bootstrap})
    for partition, when, value in records:
        producer.produce(topic, value=value, partition=partition, timestamp=when)
    assert producer.flush(30) == 0


def ingest(spark, pipeline: Pipeline, bootstrap: str) -> list[BatchReport]:
    reports: list[BatchReport] = []
    broker = Broker(bootstrap, {})
    start_ingest(spark, pipeline, broker=broker, until_caught_up=True, on_batch=reports.append).wait()
    return reports


def table(pipeline: Pipeline) -> str:
    return f"{pipeline.spec.lake.root}/events/readings"


def verdicts(pipeline: Pipeline) -> Verdicts:
    rows = DeltaTable(table(pipeline)).to_pyarrow_table().to_pylist()
    found = {(r["kafka_partition"], r["kafka_offset"]): (r["verdict"], r["duplicate_of"]) for r in rows}
    assert len(found) == len(rows)
    return found


def by_dictionary(bootstrap: str, topic: str, partitions: int) -> Verdicts:
    """The oracle: the topic as confluent-kafka reads it, one record after the other; keys keep to one partition each."""
    found: Verdicts = {}
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "oracle", "enable.auto.commit": False})
    for partition in range(partitions):
        _, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=60)
        consumer.assign([TopicPartition(topic, partition, 0)])
        newest, accepted = 0, dict[str, list[tuple[int, int]]]()
        for offset in range(end):
            message = consumer.poll(10)
            assert (message.partition(), message.offset()) == (partition, offset)
            value, when = json.loads(message.value()), message.timestamp()[1]
            newest = max(newest, when)
            firsts = accepted.setdefault(value["id"], [])
            near = [first for time, first in firsts if abs(time - when) <= WITHIN and time >= newest - WITHIN]
            if value["reading"] > 100_000:
                found[partition, offset] = ("quarantined", None)
            elif near:
                found[partition, offset] = ("duplicate", f"{topic}/{partition}/{near[0]}")
            else:
                found[partition, offset] = ("accepted", None)
                firsts.append((when, offset))
    consumer.close()
    return found


def at_random(seed: int, count: int) -> list[Sent]:
    """Records of few keys, some bad, in time but for a few, often exactly at the horizon's edge."""
    chance, clocks, made = random.Random(seed), {0: START, 1: START}, list[Sent]()
    for _ in range(count):
        partition, number = chance.randrange(2), chance.randrange(12)
        clocks[partition] += chance.choice([0, 1, 60_000, HOUR // 4, HOUR, WITHIN, WITHIN + 1])
        when = clocks[partition] - chance.choice([0, 0, 0, 0, 1, HOUR, WITHIN, WITHIN + 1])
        fields = BAD if chance.random() < 0.2 else {}
        made.append((partition, when, reading(number, id=f"k{number}-{partition}", **fields)))
    return made


@dataclass(frozen=True)
class Sample:
    pipeline: Pipeline
    topic: str
    reports: list[BatchReport]


@pytest.fixture(scope="module")
def sample(spark, bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """Random records, ingested in batches of some 40 by two runs."""
    make_topic(bootstrap, "copies")
    extra = BY_ID + "\n    max_offsets_per_trigger: 40"
    pipeline = write_pipeline(tmp_path_factory.mktemp("copies"), bootstrap=bootstrap, topic="copies", extra=extra)
    records = at_random(1, 200)
    produce(bootstrap, "copies", records[:130])
    reports = ingest(spark, pipeline, bootstrap)
    produce(bootstrap, "copies", records[130:])
    return Sample(pipeline, "copies", reports + ingest(spark, pipeline, bootstrap))


def test_copies_equal_a_dictionary_over_the_topic(sample: Sample, bootstrap: str) -> None:
    expected = by_dictionary(bootstrap, sample.topic, 2)
    assert verdicts(sample.pipeline) == expected
    assert {verdict for verdict, _ in expected.values()} == {"accepted", "quarantined", "duplicate"}
    assert len(sample.reports) >= 5


def test_copies_are_accounted_for_and_not_read(spark, sample: Sample, bootstrap: str) -> None:
    found = audit_stream(sample.pipeline, "readings", broker=Broker(bootstrap, {}), deeply=Deeply())
    assert (found.findings, found.read, found.compared.once) == ((), 200, 200)
    for name in ("accepted", "quarantined", "duplicate"):
        assert found.rows[name] == sum(getattr(report, name) for report in sample.reports)
    accepted = read_accepted(spark, table(sample.pipeline))
    assert accepted.count() == found.rows["accepted"]
    assert "duplicate_of" not in accepted.columns


def test_the_dictionary_catches_an_index_that_forgets_at_a_restart(
    spark, bootstrap: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_topic(bootstrap, "forgetful", partitions=1)
    pipeline = write_pipeline(tmp_path, bootstrap=bootstrap, topic="forgetful", extra=BY_ID)
    monkeypatch.setattr(duplicates, "read_firsts", lambda *_, **__: None)
    for when in (START, START + 1):
        produce(bootstrap, "forgetful", [(0, when, reading(1))])
        ingest(spark, pipeline, bootstrap)
    expected = by_dictionary(bootstrap, "forgetful", 1)
    assert expected[0, 1] == ("duplicate", "forgetful/0/0")
    assert verdicts(pipeline)[0, 1] == ("accepted", None) != expected[0, 1]


def test_a_batch_that_failed_before_its_commit_gets_the_same_verdicts_when_it_is_repeated(
    spark, bootstrap: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_topic(bootstrap, "broken-off", partitions=1)
    pipeline = write_pipeline(tmp_path, bootstrap=bootstrap, topic="broken-off", extra=BY_ID)
    produce(bootstrap, "broken-off", [(0, START, reading(1)), (0, START, reading(2)), (0, START, reading(1))])
    tried: list[Mapping[str, Any]] = []

    def break_off(rows, path, **committed) -> None:
        tried.append(committed["metadata"])
        raise OSError("the driver dies here")

    with monkeypatch.context() as patch:
        patch.setattr(writer, "append_once", break_off)
        with pytest.raises(HeadraceError, match="stream 'readings' stopped"):
            ingest(spark, pipeline, bootstrap)
    produce(bootstrap, "broken-off", [(0, START, reading(2))])
    ingest(spark, pipeline, bootstrap)
    commits = Path(pipeline.spec.lake.root) / "checkpoints" / "ingest" / "readings" / "commits"
    for file in (*commits.glob("*1"), *commits.glob(".*1.crc")):
        file.unlink()  # as if it had died between the table's commit and the log's
    produce(bootstrap, "broken-off", [(0, START + 1, reading(1))])
    ingest(spark, pipeline, bootstrap)
    assert verdicts(pipeline) == by_dictionary(bootstrap, "broken-off", 1)
    assert [tried[0]["until"], tried[0]["newest"]] == [{0: 3}, {0: START}]


def test_a_row_that_was_released_while_ingest_ran_is_a_first_from_then_on(
    spark, bootstrap: str, tmp_path: Path
) -> None:
    make_topic(bootstrap, "released", partitions=1)
    pipeline = write_pipeline(tmp_path, bootstrap=bootstrap, topic="released", extra=BY_ID)
    seen: list[BatchReport] = []
    job = start_ingest(
        spark, pipeline, broker=Broker(bootstrap, {}), until_caught_up=False, trigger_seconds=0.1, on_batch=seen.append
    )  # fmt: skip

    def send_and_wait(value: str, rows: int) -> None:
        produce(bootstrap, "released", [(0, START, value)])
        while sum(report.rows for report in seen) < rows:
            job.raise_error()

    send_and_wait(reading(1, **BAD), 1)
    with job._by_name["readings"].writer.between_batches():
        SparkDeltaTable.forPath(spark, table(pipeline)).update("kafka_offset = 0", {"verdict": "'accepted'"})
    send_and_wait(reading(1), 2)
    send_and_wait(reading(1), 3)
    job.close()
    first = "released/0/0"
    assert verdicts(pipeline) == {
        (0, 0): ("accepted", None),
        (0, 1): ("duplicate", first),
        (0, 2): ("duplicate", first),
    }


def test_a_table_that_is_there_learns_of_copies_when_they_are_declared(spark, bootstrap: str, tmp_path: Path) -> None:
    make_topic(bootstrap, "late-declared", partitions=1)
    produce(bootstrap, "late-declared", [(0, START, reading(1)), (0, START, reading(1))])
    ingest(spark, write_pipeline(tmp_path, bootstrap=bootstrap, topic="late-declared"), bootstrap)
    extra = "duplicates: {by: [id, hour], within: 2h}\n    normalize: {derive: {hour: cast(hour(at) as int)}}"
    pipeline = write_pipeline(tmp_path, bootstrap=bootstrap, topic="late-declared", extra=extra)
    # The derived column is in no old row, so an old row has no key.
    produce(bootstrap, "late-declared", [(0, START, reading(1)), (0, START, reading(1))])
    ingest(spark, pipeline, bootstrap)
    pipeline = write_pipeline(tmp_path, bootstrap=bootstrap, topic="late-declared", extra=BY_ID)
    produce(bootstrap, "late-declared", [(0, START, reading(1))])
    ingest(spark, pipeline, bootstrap)
    found = verdicts(pipeline)
    assert [found[0, offset][0] for offset in range(5)] == [
        "accepted",
        "accepted",
        "accepted",
        "duplicate",
        "duplicate",
    ]
    assert (found[0, 3][1], found[0, 4][1]) == ("late-declared/0/2", "late-declared/0/0")


def test_a_clock_that_runs_ahead_does_not_push_the_horizon_away(spark, bootstrap: str, tmp_path: Path) -> None:
    make_topic(bootstrap, "ahead", partitions=1, **{"message.timestamp.after.max.ms": str(2**62)})
    pipeline = write_pipeline(tmp_path, bootstrap=bootstrap, topic="ahead", extra=BY_ID)
    now = 4_000_000_000_000  # the year 2096
    produce(bootstrap, "ahead", [(0, now, reading(1)), (0, now + 3 * WITHIN, reading(1))])
    ingest(spark, pipeline, bootstrap)
    produce(bootstrap, "ahead", [(0, now + 9 * WITHIN, reading(1))])
    ingest(spark, pipeline, bootstrap)
    assert [verdicts(pipeline)[0, offset][0] for offset in range(3)] == ["accepted", "duplicate", "duplicate"]
