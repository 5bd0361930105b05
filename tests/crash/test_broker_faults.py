"""Kafka killed, silent, far away, and growing under a running ingest: each record is found once, by the independent oracle."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewPartitions
from harness import send_records
from oracle import judge
from own_broker import At, OwnBroker
from pipelines import make_topic, reading, send, write_pipeline
from tcp_proxy import TcpProxy
from three_brokers import ThreeBrokers

from headrace.audit import Deeply, audit_stream
from headrace.connections import Broker
from headrace.embedded import kafka
from headrace.embedded.kafka import KafkaBroker
from headrace.errors import BrokerError
from headrace.ingest import silence, source
from headrace.ingest.run import Ingest, start_ingest
from headrace.spec import Pipeline

RECORDS = 48
PATIENCE_S = 120


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnBroker]:
    own = OwnBroker(KafkaBroker(tmp_path_factory.mktemp("own") / "kafka"))
    yield own
    own.stop()


class Bench:
    """A topic with records in it, a pipeline that reads it in several micro-batches, and ingests of it."""

    def __init__(
        self, spark, folder: Path, broker: OwnBroker | ThreeBrokers, topic: str, *, records: int = RECORDS
    ) -> None:
        make_topic(broker.bootstrap, topic)
        for first in range(0, records, RECORDS):
            send_records(broker.bootstrap, topic, first=first)
        self._spark, self._bootstrap, self._topic = spark, broker.bootstrap, topic
        per_batch = f"max_offsets_per_trigger: {records // 3}"
        self.pipeline: Pipeline = write_pipeline(folder, bootstrap=broker.bootstrap, topic=topic, extra=per_batch)
        self.options: dict[str, str] = {}
        self.hear: Callable[[str], None] = lambda line: None

    def start(self, *, until_caught_up: bool, on_step: Callable[[str], None] = lambda step: None) -> Ingest:
        return start_ingest(
            self._spark, self.pipeline, broker=Broker(self._bootstrap, self.options), until_caught_up=until_caught_up,
            trigger_seconds=0.2, on_step=on_step, notify=self.hear,
        )  # fmt: skip

    def ingest(self, on_step: Callable[[str], None] = lambda step: None) -> None:
        """An ingest until it is caught up."""
        self.start(until_caught_up=True, on_step=on_step).wait()

    def judge(self, *, records: int = RECORDS) -> None:
        """Each record is in the table once, and the audit, record by record, has nothing to say."""
        table = f"{self.pipeline.spec.lake.root}/events/readings"
        found = judge(self._bootstrap, topic=self._topic, table=table)
        assert found.records == records
        assert found.clean, found
        audit = audit_stream(self.pipeline, "readings", broker=Broker(self._bootstrap, {}), deeply=Deeply())
        assert not audit.findings


def _until(reached: Callable[[], bool], job: Ingest) -> None:
    end = time.monotonic() + PATIENCE_S
    while not reached():
        job.raise_error()
        assert time.monotonic() < end
        time.sleep(0.1)


def test_a_broker_killed_and_started_again_in_the_midst_of_batches_loses_nothing(
    spark, broker: OwnBroker, tmp_path: Path
) -> None:
    bench = Bench(spark, tmp_path, broker, "killed")

    def outage() -> None:
        broker.kill()
        broker.start_aside()

    kills = At({(1, "planned"): outage, (2, "begun"): outage})
    bench.ingest(kills)  # it waits for Kafka, and goes on by itself
    assert not kills.left
    bench.judge()


def test_a_broker_that_stays_away_ends_the_ingest_with_one_sentence_and_the_next_one_goes_on(
    spark, broker: OwnBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(spark, tmp_path, broker, "away")
    patient = source.spark_options
    impatient = {"kafkaConsumer.pollTimeoutMs": "3000"}  # two minutes, otherwise
    monkeypatch.setattr(source, "spark_options", lambda given: {**patient(given), **impatient})
    monkeypatch.setattr(source, "PATIENCE_S", 5.0)
    for step, sentence in (
        ("planned", "stream 'readings': Kafka stopped answering; start the broker and run the same command again"),
        ("begun", f"no Kafka broker answers at {broker.bootstrap} "),
    ):
        with pytest.raises(BrokerError) as told:
            bench.ingest(At({(1, step): broker.kill}))
        broker.start()
        assert str(told.value).startswith(sentence)
        assert "\n" not in str(told.value)
    bench.ingest()
    bench.judge()


@pytest.mark.long
def test_a_silent_broker_is_waited_for_and_that_is_said(
    spark, broker: OwnBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(spark, tmp_path, broker, "silent")
    monkeypatch.setattr(silence, "EVERY_S", 0.5)
    monkeypatch.setattr(silence, "ANSWER_WITHIN_S", 2.0)
    lines: list[str] = []

    def hear(line: str) -> None:
        lines.append(line)
        if "does not answer" in line:
            broker.resume()

    bench.hear = hear
    pauses = At({(1, "planned"): broker.pause, (2, "begun"): broker.pause})
    bench.ingest(pauses)
    assert not pauses.left
    at = broker.bootstrap
    assert [line for line in lines if "Kafka" in line][:2] == [
        f"warning: Kafka does not answer at {at}; waiting some minutes for it; nothing is lost",
        f"Kafka answers again at {at}",
    ]
    bench.judge()


@pytest.mark.long
def test_a_partition_added_under_a_running_ingest_is_read_and_the_next_start_agrees(
    spark, broker: OwnBroker, tmp_path: Path
) -> None:
    bench = Bench(spark, tmp_path, broker, "grown")
    job = bench.start(until_caught_up=False)
    try:
        _until(lambda: job.reached("readings", {0: 24, 1: 24}), job)
        admin = AdminClient({"bootstrap.servers": broker.bootstrap})
        admin.create_partitions([NewPartitions("grown", 3)])["grown"].result(20)
        send(broker.bootstrap, "grown", [reading(n, id=f"m9-{n}") for n in range(10)], partition=2)
        _until(lambda: job.reached("readings", {0: 24, 1: 24, 2: 10}), job)
    finally:
        job.close()
    bench.judge(records=RECORDS + 10)
    send(broker.bootstrap, "grown", [reading(n, id=f"m9-{n}") for n in range(10, 15)], partition=2)
    bench.ingest()
    bench.judge(records=RECORDS + 15)


@pytest.mark.long
def test_a_slow_and_often_cut_connection_loses_nothing_and_repeats_nothing(
    spark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = TcpProxy()
    written = kafka.server_properties

    def behind_proxy(**ports: int) -> str:
        proxy.target = ports["port"]
        direct = f"advertised.listeners=PLAINTEXT://127.0.0.1:{proxy.target}"
        properties = written(**ports)
        assert direct in properties
        return properties.replace(direct, f"advertised.listeners=PLAINTEXT://127.0.0.1:{proxy.port}")

    monkeypatch.setattr(kafka, "server_properties", behind_proxy)
    far = OwnBroker(KafkaBroker(tmp_path / "kafka"))
    try:
        bench = Bench(spark, tmp_path / "p", far, "far", records=480)
        bench.options = {"max.partition.fetch.bytes": "2000"}  # many answers for one batch

        def trouble() -> None:
            proxy.delay, proxy.cut_every = 0.1, 12_000

        bench.ingest(At({(1, "planned"): trouble}))
        assert proxy.cuts >= 3
        proxy.delay, proxy.cut_every = 0.0, 0
        bench.judge(records=480)
    finally:
        far.stop()
        proxy.close()
