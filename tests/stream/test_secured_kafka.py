"""Kafka behind log-ins, TLS and ACLs: what gets in with the rights that are documented, what does not, and where no secret is."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import NewTopic
from conftest import run_headrace
from deltalake import DeltaTable
from pipelines import reading, write_pipeline
from pyspark.errors import StreamingQueryException
from pyspark.sql import SparkSession
from secured_broker import ADMIN, ADMIN_PASSWORD, PASSWORD, SecuredBroker, start_secured
from watched import run_watched

from headrace.cli.start import connect_to_topics
from headrace.connections import Broker, connect_broker
from headrace.erasure.topics import tombstone
from headrace.errors import BrokerError
from headrace.ingest.failure import query_failure
from headrace.ingest.run import start_ingest
from headrace.serving.publish import start_publishing
from headrace.spec import load

TOPIC, RECORDS = "meters", 120
SECRET = PASSWORD[:7].encode()
"""Its beginning, which no way of quoting changes."""
FROM_FILE, FROM_VARIABLE = "file:password.txt", "${KAFKA_PASSWORD}"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    """With a topic of good records. ``reader`` has what the documents list; each other user lacks one thing of it."""
    made = start_secured(tmp_path_factory.mktemp("secured") / "kafka", ["reader", "stranger", "blind", "alone"])
    try:
        admin = made.admin
        admin.create_topics([NewTopic(TOPIC, 2)])[TOPIC].result(30)
        topic = f"topic:{TOPIC}"
        made.grant((topic, "read", "reader"), (topic, "describe", "reader"), ("group:headrace-*", "read", "reader"))
        made.grant((topic, "describe", "blind"), (topic, "read", "alone"), (topic, "describe", "alone"))
        producer = Producer(made.settings(ADMIN, ADMIN_PASSWORD))
        for number in range(RECORDS):
            producer.produce(TOPIC, key=f"k{number}", value=reading(number))
        assert producer.flush(60) == 0
        yield made
    finally:
        made.stop()


def write(
    folder: Path, broker: SecuredBroker, *, user: str = "reader", password: str = FROM_FILE, ca: Path | None = None
) -> Path:
    """A pipeline folder whose Kafka is the secured one; its certificate and password lie beside it."""
    write_pipeline(folder, bootstrap=broker.bootstrap, topic=TOPIC)
    (folder / "ca.pem").write_bytes((ca or broker.ca).read_bytes())
    (folder / "password.txt").write_text(PASSWORD + "\n")
    options = (
        f"{{security.protocol: SASL_SSL, sasl.mechanism: SCRAM-SHA-256, sasl.username: {user}, "
        f"sasl.password: '{password}', ssl.ca.location: ca.pem}}"
    )
    file = folder / "pipeline.yaml"
    plain = f'kafka: {{bootstrap_servers: "{broker.bootstrap}"}}'
    text = file.read_text()
    assert plain in text
    file.write_text(text.replace(plain, f'kafka: {{bootstrap_servers: "{broker.bootstrap}", options: {options}}}'))
    return folder


def holding_secret(folder: Path) -> list[str]:
    """Files that hold the password."""
    return [str(path) for path in folder.rglob("*") if path.is_file() and SECRET in path.read_bytes()]


def rows(folder: Path) -> int:
    return DeltaTable(str(folder / "lake" / "events" / "readings")).to_pyarrow_table(columns=["kafka_offset"]).num_rows


@pytest.fixture(scope="module")
def ingested(broker: SecuredBroker, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes, str]:
    """A folder after ``headrace ingest`` with Spark's event log on; all processes' arguments and environments; what was said."""
    folder = write(tmp_path_factory.mktemp("ingested") / "p", broker)
    command = [sys.executable, "-m", "headrace.cli", "ingest", str(folder), "--until-caught-up", "--master", "local[2]"]
    done = run_watched(command, folder, environment={"HEADRACE_HOME": str(folder / "home")})
    assert done.code == 0, done.said
    return folder, done.processes, done.said


def test_an_ingest_over_tls_reads_every_record_and_the_audit_adds_up(ingested: tuple[Path, bytes, str]) -> None:
    folder = ingested[0]
    assert rows(folder) == RECORDS
    done = run_headrace("audit", str(folder), "--deep", environment={"HEADRACE_HOME": str(folder / "home")})
    assert done.returncode == 0, done.stdout + done.stderr
    assert SECRET.decode() not in done.stdout + done.stderr


def test_no_secret_is_in_what_was_written_said_or_shown_of_processes(ingested: tuple[Path, bytes, str]) -> None:
    folder, processes, _ = ingested
    assert holding_secret(folder) == [str(folder / "password.txt")], "which shows that it would be found"
    events = b"".join(path.read_bytes() for path in (folder / "events").rglob("*") if path.is_file())
    assert b"SparkListenerApplicationStart" in events
    assert b"java" in processes
    assert SECRET not in processes


def test_a_tombstone_without_the_right_to_write_is_noticed(broker: SecuredBroker) -> None:
    options = {
        "security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-256", "sasl.username": "alone", "sasl.password": PASSWORD,
        "ssl.ca.location": str(broker.ca),
    }  # fmt: skip
    refused = r"did not take 1 of 1 tombstones .*into the topic 'meters'; grant it .*not finished"
    with pytest.raises(BrokerError, match=refused):
        tombstone(Broker(broker.bootstrap, options), TOPIC, ["k0"])


def test_predictions_that_may_not_be_published_are_said_so(
    spark: SparkSession, broker: SecuredBroker, tmp_path: Path
) -> None:
    folder = write(tmp_path / "p", broker, user="alone")
    predictions = str(tmp_path / "predictions")
    row = ("a", datetime(2026, 1, 1, tzinfo=UTC), 0.5, 1, False)
    kinds = "id string, at timestamp, probability double, model_version int, degraded boolean"
    spark.createDataFrame([row], kinds).write.format("delta").save(predictions)
    query = start_publishing(
        spark, predictions=predictions, checkpoint=str(tmp_path / "checkpoint"), topic=TOPIC, trigger_seconds=1,
        broker=connect_broker(load(folder), home=tmp_path),
    )  # fmt: skip
    with pytest.raises(StreamingQueryException):
        query.processAllAvailable()
    error = query_failure(str(query.exception()), stream="publish", topic=TOPIC)
    assert isinstance(error, BrokerError)
    assert "does not let this user into the topic 'meters'; grant it READ and DESCRIBE to read, WRITE" in str(error)


def test_without_the_right_to_its_group_an_audit_says_so_instead_of_missing_records(
    ingested: tuple[Path, bytes, str], broker: SecuredBroker
) -> None:
    folder = ingested[0]
    text = (folder / "pipeline.yaml").read_text()
    try:
        (folder / "pipeline.yaml").write_text(text.replace("sasl.username: reader", "sasl.username: alone"))
        done = run_headrace("audit", str(folder), "--deep", environment={"HEADRACE_HOME": str(folder / "home")})
    finally:
        (folder / "pipeline.yaml").write_text(text)
    assert done.returncode == 5, done.stdout + done.stderr
    assert "grant it READ on groups that begin with headrace-" in done.stderr.replace("\n", " ")


def test_a_password_from_a_variable_and_no_right_to_a_group_are_enough_to_ingest(
    spark: SparkSession, broker: SecuredBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_PASSWORD", PASSWORD)
    folder = write(tmp_path / "p", broker, user="alone", password=FROM_VARIABLE)
    pipeline = load(folder)
    start_ingest(spark, pipeline, broker=connect_broker(pipeline, home=tmp_path), until_caught_up=True).wait()
    assert rows(folder) == RECORDS
    assert holding_secret(tmp_path) == [str(folder / "password.txt")]


def test_a_user_that_may_see_but_not_read_the_topic_stops_in_one_sentence(
    spark: SparkSession, broker: SecuredBroker, tmp_path: Path
) -> None:
    folder = write(tmp_path / "p", broker, user="blind")
    pipeline = load(folder)
    with pytest.raises(BrokerError) as error:
        start_ingest(spark, pipeline, broker=connect_broker(pipeline, home=tmp_path), until_caught_up=True).wait()
    assert str(error.value) == (
        "stream 'readings': Kafka does not let this user into the topic 'meters'; grant it READ and DESCRIBE to read, WRITE and "
        "DESCRIBE to write (docs/operations.md lists what each command needs)"
    )


@pytest.mark.parametrize(
    ("user", "other_ca", "password", "said"),
    [
        ("reader", False, "wrong-pw", "Kafka refused the log-in; correct kafka.options.sasl.username, sasl.password"),
        ("nobody", False, PASSWORD, "Kafka refused the log-in; correct kafka.options.sasl.username, sasl.password"),
        ("reader", True, PASSWORD, "the broker's certificate is not trusted; let kafka.options.ssl.ca.location name"),
        (
            "stranger",
            False,
            PASSWORD,
            "Kafka does not let this user into the topic 'meters'; grant it READ and DESCRIBE",
        ),
    ],
    ids=["password", "user", "certificate", "topic"],
)
def test_who_is_not_let_in_is_told_why_before_spark_starts(
    user: str, other_ca: bool, password: str, said: str, broker: SecuredBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setenv("KAFKA_PASSWORD", password)
    folder = write(
        tmp_path / "p", broker, user=user, password=FROM_VARIABLE, ca=broker.other_ca if other_ca else broker.ca
    )
    with pytest.raises(BrokerError) as error:
        connect_to_topics(load(folder))
    assert str(error.value).startswith(f"{broker.bootstrap}: {said}")
    assert "\n" not in str(error.value)
    assert password not in str(error.value)
    assert error.value.exit_code == 5


def test_the_command_ends_with_5_and_one_sentence(broker: SecuredBroker, tmp_path: Path) -> None:
    folder = write(tmp_path / "p", broker, password=FROM_VARIABLE)
    done = run_headrace("ingest", str(folder), environment={"KAFKA_PASSWORD": "wrong-pw"})
    assert done.returncode == 5, done.stderr
    assert done.stderr.count("\n") == 1
    assert "Kafka refused the log-in" in done.stderr
    assert "wrong-pw" not in done.stdout + done.stderr
