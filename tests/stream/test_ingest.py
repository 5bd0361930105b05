"""Ingest against a real broker: verdicts, exactly once, start-up checks. Expected values are written by hand."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition
from deltalake import DeltaTable
from pipelines import make_topic, reading, send, write_pipeline

from headrace.audit import Deeply, audit_stream
from headrace.connections import Broker
from headrace.errors import BrokerError, CheckpointError, DataStopped, KeyRingError
from headrace.ingest.run import start_ingest
from headrace.ingest.writer import BatchReport
from headrace.monitoring.quality import QualityLog
from headrace.privacy.keys import open_ring
from headrace.privacy.seal import open_sealed
from headrace.spec import load

GOOD = reading(1)
POISON = [
    (GOOD, []),
    (reading(2, load=None), ["load_known"]),
    (reading(3, unheard_of=1), []),
    (reading(200_000), ["reading_plausible"]),
    (reading(4, reading="abc"), ["decode:type:reading"]),
    (reading(5, id=None), ["decode:missing:id"]),
    (GOOD[:-5], ["decode:malformed"]),
    (GOOD + GOOD, ["decode:trailing_data"]),
    ("", ["decode:empty"]),
    (None, ["decode:tombstone"]),
    ('"abc"', ["decode:not_an_object"]),
    (b'{"id":"\xff"}', ["decode:encoding"]),
    (reading(6, owner="x" * 5_000_000), ["decode:too_large"]),
    (reading(7), []),
]
ACCEPTED = {0, 1, 2, 13}


def ingest(
    spark, pipeline, bootstrap: str, *, until_caught_up: bool = True, on_close=lambda suites: None
) -> list[BatchReport]:
    reports: list[BatchReport] = []
    start_ingest(
        spark, pipeline, broker=Broker(bootstrap, {}), until_caught_up=until_caught_up, on_batch=reports.append, on_close=on_close
    ).wait()  # fmt: skip
    return reports


@pytest.fixture(scope="module")
def poisoned(spark, bootstrap: str, tmp_path_factory: pytest.TempPathFactory):
    """A topic with every kind of bad record, ingested: its pipeline, table, reports and Data Docs."""
    folder = tmp_path_factory.mktemp("poisoned")
    pipeline = write_pipeline(folder, bootstrap=bootstrap, topic="poisoned")
    make_topic(bootstrap, "poisoned", partitions=1)
    send(bootstrap, "poisoned", [value for value, _ in POISON])
    quality = QualityLog(folder)

    def close(suites):
        quality.write(suites)

    reports: list[BatchReport] = []

    def on_batch(report: BatchReport) -> None:
        reports.append(report)
        quality.on_batch(report)

    start_ingest(
        spark, pipeline, broker=Broker(bootstrap, {}), until_caught_up=True, on_batch=on_batch, on_close=close
    ).wait()  # fmt: skip
    return pipeline, str(folder / "lake" / "events" / "readings"), reports, folder


def rows_of(table: str) -> dict[int, dict]:
    return {row["kafka_offset"]: row for row in DeltaTable(table).to_pyarrow_table().to_pylist()}


@pytest.mark.parametrize("offset", range(len(POISON)))
def test_a_record_gets_exactly_its_verdict_and_reasons(poisoned, offset: int) -> None:
    row = rows_of(poisoned[1])[offset]
    assert row["failed_rules"] == POISON[offset][1]
    assert row["verdict"] == ("accepted" if offset in ACCEPTED else "quarantined")


def test_every_record_is_there_once_and_the_job_went_on(poisoned, bootstrap: str) -> None:
    ring = open_ring(poisoned[0].spec.keys.ring)
    found = audit_stream(poisoned[0], "readings", broker=Broker(bootstrap, {}), deeply=Deeply(ring))
    assert found.findings == ()
    assert (found.compared.in_kafka, found.compared.once, found.compared.sealed) == (14, 14, 10)
    assert found.rows == {"accepted": 4, "quarantined": 10, "duplicate": 0}
    assert [(report.accepted, report.quarantined) for report in poisoned[2]] == [(4, 10)]


def test_a_quarantined_record_keeps_its_original_bytes_sealed(poisoned) -> None:
    pipeline, table, *_ = poisoned
    ring = open_ring(pipeline.spec.keys.ring)
    for offset, row in rows_of(table).items():
        if offset in ACCEPTED:
            assert row["payload"] is None
            continue
        original = open_sealed(row["payload"], topic="poisoned", partition=0, offset=offset, ring=ring)
        sent = POISON[offset][0]
        assert original.key == f"k{offset}".encode()
        assert original.value == (sent.encode() if isinstance(sent, str) else sent)


def test_names_are_pseudonyms_and_nowhere_in_clear(poisoned) -> None:
    _, table, _, folder = poisoned
    owners = [row["owner"] for row in rows_of(table).values() if row["owner"] is not None]
    assert owners
    assert all(owner.startswith("v1.") and len(owner) == 35 for owner in owners)
    written = [path for path in folder.rglob("*") if path.is_file()]
    assert not [path for path in written if b"Ada " in path.read_bytes()]
    assert "Ada" not in json.dumps(
        DeltaTable(table).to_pyarrow_table().drop_columns(["payload"]).to_pylist(), default=str
    )


def test_the_gx_result_holds_counts_and_no_value(poisoned) -> None:
    folder: Path = poisoned[3]
    (file,) = (folder / "data_docs" / "runs").glob("*.json")
    result = json.loads(file.read_text())
    by_rule = {entry["expectation_config"]["meta"]["rule_id"]: entry for entry in result["results"]}
    assert by_rule["reading_plausible"]["result"]["unexpected_count"] == 1
    assert by_rule["reading_plausible"]["success"] is False
    assert by_rule["load_known"]["result"]["element_count"] == 5
    assert by_rule["load_known"]["success"] is True  # mostly 0.1 changes the suite's verdict, not the row's
    assert "200000" not in file.read_text()
    page = (folder / "data_docs" / "index.html").read_text()
    assert "readings" in page
    assert "src=" not in page
    assert "<script" not in page


def test_a_second_run_finds_nothing_to_do(spark, poisoned, bootstrap: str) -> None:
    before = sorted(DeltaTable(poisoned[1]).file_uris())
    assert ingest(spark, poisoned[0], bootstrap) == []
    assert sorted(DeltaTable(poisoned[1]).file_uris()) == before


def adds_up(pipeline, bootstrap: str) -> bool:
    """Whether each record of the topic is in the table once, and everything else adds up."""
    return audit_stream(pipeline, "readings", broker=Broker(bootstrap, {}), deeply=Deeply()).adds_up


@pytest.fixture
def fresh(bootstrap: str, tmp_path: Path, request: pytest.FixtureRequest):
    """A pipeline on a new topic that holds 60 good records."""
    topic = f"t-{abs(hash(request.node.name)) % 10**9}"
    make_topic(bootstrap, topic)
    send(bootstrap, topic, [reading(n) for n in range(60)])
    return write_pipeline(tmp_path, bootstrap=bootstrap, topic=topic), topic, tmp_path


def test_a_batch_that_was_committed_but_not_logged_is_not_written_twice(spark, fresh, bootstrap: str) -> None:
    pipeline, _, folder = fresh
    ingest(spark, pipeline, bootstrap)
    commits = folder / "lake" / "checkpoints" / "ingest" / "readings" / "commits"
    for name in ("0", ".0.crc"):
        (commits / name).unlink(missing_ok=True)  # as if the driver had died between the table's commit and the log's
    (repeated,) = ingest(spark, pipeline, bootstrap)
    assert (repeated.batch_id, repeated.accepted) == (0, 60)
    assert adds_up(pipeline, bootstrap)


def test_new_records_are_read_from_where_the_last_run_ended(spark, fresh, bootstrap: str) -> None:
    pipeline, topic, _ = fresh
    ingest(spark, pipeline, bootstrap)
    send(bootstrap, topic, [reading(n) for n in range(60, 75)])
    assert [report.rows for report in ingest(spark, pipeline, bootstrap)] == [15]
    found = audit_stream(pipeline, "readings", broker=Broker(bootstrap, {}), deeply=Deeply())
    assert (found.findings, found.compared.once, len(found.batches)) == ((), 75, 2)


def test_a_second_ingest_of_the_same_lake_is_refused_while_one_runs(spark, fresh, bootstrap: str) -> None:
    pipeline, *_ = fresh
    first = start_ingest(spark, pipeline, broker=Broker(bootstrap, {}), until_caught_up=False)
    try:
        with pytest.raises(CheckpointError, match="another job is writing 'events/readings'"):
            ingest(spark, pipeline, bootstrap)
    finally:
        first.close()


def test_a_stop_finishes_the_batch_that_runs_and_prints_nothing(spark, fresh, bootstrap: str, capfd) -> None:
    pipeline, *_ = fresh
    stop, seen = threading.Event(), []

    def on_batch(report: BatchReport) -> None:
        seen.append(report)
        stop.set()

    job = start_ingest(
        spark, pipeline, broker=Broker(bootstrap, {}), until_caught_up=False, trigger_seconds=0.1, on_batch=on_batch
    )  # fmt: skip
    capfd.readouterr()
    job.wait(stop=stop)
    assert capfd.readouterr().err == ""
    assert sum(report.rows for report in seen) == 60
    assert adds_up(pipeline, bootstrap)


def test_a_stream_above_its_declared_share_of_bad_rows_stops(spark, bootstrap: str, tmp_path: Path) -> None:
    make_topic(bootstrap, "mostly-bad", partitions=1)
    send(bootstrap, "mostly-bad", [reading(1), "oops", "oops"])
    pipeline = write_pipeline(tmp_path, bootstrap=bootstrap, topic="mostly-bad", extra="stop_above: 50")
    with pytest.raises(DataStopped, match="2 of 3 rows"):
        ingest(spark, pipeline, bootstrap)
    assert len(rows_of(str(tmp_path / "lake" / "events" / "readings"))) == 3


def test_an_absent_topic_or_broker_is_one_sentence(spark, bootstrap: str, tmp_path: Path) -> None:
    pipeline = write_pipeline(tmp_path, bootstrap=bootstrap, topic="never-made")
    with pytest.raises(BrokerError, match="topic 'never-made' does not exist"):
        ingest(spark, pipeline, bootstrap)
    with pytest.raises(BrokerError, match=r"no Kafka broker answers at 127\.0\.0\.1:1 "):
        ingest(spark, pipeline, "127.0.0.1:1")


def test_a_key_ring_that_others_can_read_is_refused(spark, fresh, bootstrap: str) -> None:
    pipeline, *_ = fresh
    ingest(spark, pipeline, bootstrap)
    Path(pipeline.spec.keys.ring).chmod(0o644)
    with pytest.raises(KeyRingError, match="chmod 600"):
        ingest(spark, pipeline, bootstrap)


def test_records_written_in_aborted_transactions_leave_gaps_and_nothing_else(
    spark, bootstrap: str, tmp_path: Path
) -> None:
    from confluent_kafka import Producer

    make_topic(bootstrap, "transactional", partitions=1)
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": "t1"})
    producer.init_transactions(20)
    for commit in (True, False, True):
        producer.begin_transaction()
        for n in range(5):
            producer.produce("transactional", value=reading(n))
        producer.flush(20)
        (producer.commit_transaction if commit else producer.abort_transaction)(20)
    pipeline = write_pipeline(tmp_path, bootstrap=bootstrap, topic="transactional")
    assert sum(report.rows for report in ingest(spark, pipeline, bootstrap)) == 10
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "gaps"})
    assert consumer.get_watermark_offsets(TopicPartition("transactional", 0), timeout=60)[1] > 15
    consumer.close()
    assert adds_up(pipeline, bootstrap)


def test_a_field_may_be_called_like_a_column_of_kafka(spark, bootstrap: str, tmp_path: Path) -> None:
    make_topic(bootstrap, "namesakes", partitions=1)
    names = ("key", "value", "topic", "partition", "offset", "timestamp")
    send(bootstrap, "namesakes", [reading(1, **{name: f"own {name}" for name in names}), "oops"])
    write_pipeline(tmp_path, bootstrap=bootstrap, topic="namesakes")
    schema = json.loads((tmp_path / "readings.json").read_text())
    schema["fields"] += [{"name": name, "type": "string", "nullable": True, "metadata": {}} for name in names]
    (tmp_path / "readings.json").write_text(json.dumps(schema))
    ingest(spark, load(tmp_path), bootstrap)
    rows = rows_of(str(tmp_path / "lake" / "events" / "readings"))
    assert {name: rows[0][name] for name in names} == {name: f"own {name}" for name in names}
    assert (rows[0]["kafka_topic"], rows[1]["verdict"]) == ("namesakes", "quarantined")
