"""The embedded broker: one per folder, found again, started again on the same data, ended without a trace."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from headrace.embedded.kafka import KafkaBroker
from headrace.errors import EmbeddedServerError, PrerequisiteError, StorageError

START = """
import sys
from pathlib import Path
from headrace.embedded.kafka import KafkaBroker
running = KafkaBroker(Path(sys.argv[1])).start()
print(running.pid, running.port, running.started)
"""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[KafkaBroker]:
    # a space, a comma and a letter beyond ASCII: a folder that a user may well have
    broker = KafkaBroker(tmp_path / "my data, häuser" / "kafka")
    yield broker
    broker.stop(timeout=5.0)


@pytest.fixture
def innocent() -> Iterator[subprocess.Popen[bytes]]:
    """A process that has nothing to do with any broker."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    yield process
    process.kill()
    process.wait()


def start_elsewhere(home: Path) -> subprocess.Popen[str]:
    """Another process that starts the broker and ends."""
    return subprocess.Popen([sys.executable, "-c", START, str(home)], stdout=subprocess.PIPE, text=True)


def processes_of(home: Path) -> list[int]:
    """Ids of all Java processes that have ``home`` in their command line or as working folder."""
    found: list[int] = []
    for process in psutil.process_iter():
        try:
            if process.name() == "java" and (str(home) in " ".join(process.cmdline()) or process.cwd() == str(home)):
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


def make_topic(bootstrap: str, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})  # held: its futures end with it
    admin.create_topics([NewTopic(topic, 1)])[topic].result(20)


def produce(bootstrap: str, topic: str, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "message.max.bytes": 16_000_000})
    producer.produce(topic, value)
    assert producer.flush(20) == 0


def read_all(bootstrap: str, topic: str, *, count: int) -> list[bytes]:
    """``count`` values from the beginning of the topic (fewer if they don't come within 20 s)."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "test", "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    values: list[bytes] = []
    deadline = time.monotonic() + 90
    while len(values) < count and time.monotonic() < deadline:
        message = consumer.poll(0.5)
        if message is not None and message.error() is None:
            values.append(message.value() or b"")
    consumer.close()
    return values


def cluster_id(bootstrap: str) -> str:
    return str(AdminClient({"bootstrap.servers": bootstrap}).list_topics(timeout=60).cluster_id)


def test_a_broker_outlives_the_command_that_started_it_and_a_second_start_finds_it(broker: KafkaBroker) -> None:
    command = start_elsewhere(broker.home)
    told = command.communicate(timeout=120)[0].split()
    assert command.returncode == 0
    assert told[2] == "True"
    second = broker.start()
    assert (str(second.pid), str(second.port), second.started) == (told[0], told[1], False)
    assert broker.find() == second
    assert processes_of(broker.home) == [second.pid]


def test_two_starts_at_once_yield_one_broker(broker: KafkaBroker) -> None:
    commands = [start_elsewhere(broker.home) for _ in range(2)]
    told = [command.communicate(timeout=120)[0].split() for command in commands]
    assert told[0][:2] == told[1][:2]
    assert sorted(line[2] for line in told) == ["False", "True"]
    assert processes_of(broker.home) == [int(told[0][0])]


def test_a_killed_broker_starts_again_on_the_same_port_with_the_same_records(broker: KafkaBroker) -> None:
    first = broker.start()
    make_topic(first.bootstrap, "kept")
    produce(first.bootstrap, "kept", b"before the kill")
    cluster = cluster_id(first.bootstrap)
    os.kill(first.pid, signal.SIGKILL)
    again = broker.start()
    assert again.started
    assert (again.port, again.pid == first.pid) == (first.port, False)
    assert cluster_id(again.bootstrap) == cluster
    produce(again.bootstrap, "kept", b"after the kill")
    assert read_all(again.bootstrap, "kept", count=2) == [b"before the kill", b"after the kill"]


def test_a_taken_port_is_left_alone_and_the_broker_moves_with_its_records(broker: KafkaBroker) -> None:
    first = broker.start()
    make_topic(first.bootstrap, "kept")
    produce(first.bootstrap, "kept", b"before the move")
    assert broker.stop()
    lines: list[str] = []
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", first.port))
        other.listen()
        moved = broker.start(notify=lines.append)
    assert moved.port != first.port
    assert lines == [f"Port {first.port} is taken by another program: the Kafka broker is at {moved.bootstrap} now."]
    assert read_all(moved.bootstrap, "kept", count=1) == [b"before the move"]


def test_stop_leaves_no_process_and_a_second_stop_finds_none(broker: KafkaBroker) -> None:
    running = broker.start()
    assert processes_of(broker.home) == [running.pid]
    assert broker.stop()
    assert processes_of(broker.home) == []
    assert broker.find() is None
    assert not broker.stop()


def test_a_broker_that_ignores_the_request_to_end_is_killed(broker: KafkaBroker) -> None:
    running = broker.start()
    os.kill(running.pid, signal.SIGSTOP)
    assert broker.stop(timeout=0.5)
    assert processes_of(broker.home) == []


@pytest.mark.parametrize("created", ["its own", "another"])
def test_a_stale_state_naming_an_innocent_process_does_not_harm_it(
    broker: KafkaBroker, innocent: subprocess.Popen[bytes], created: str
) -> None:
    started = psutil.Process(innocent.pid).create_time() - (0 if created == "its own" else 3600)
    broker.home.mkdir(parents=True)
    stale = {"port": 20_001, "controller_port": 20_002, "cluster_id": "x", "pid": innocent.pid, "created": started}
    (broker.home / "state.json").write_text(json.dumps(stale), encoding="ascii")
    assert broker.find() is None
    assert not broker.stop()
    assert innocent.poll() is None
    running = broker.start()
    assert running.started
    assert running.pid != innocent.pid
    assert broker.stop()
    assert innocent.poll() is None


@pytest.mark.parametrize("state", ["deleted", "cut off", "without the pid"])
def test_a_broker_whose_state_was_lost_in_a_crash_is_found_and_reused(broker: KafkaBroker, state: str) -> None:
    first = broker.start()
    file = broker.home / "state.json"
    told = json.loads(file.read_text(encoding="ascii"))
    if state == "deleted":
        file.unlink()
    elif state == "cut off":
        file.write_text(file.read_text(encoding="ascii")[:20], encoding="ascii")
    else:
        file.write_text(json.dumps({**told, "pid": None, "created": None}), encoding="ascii")
    again = broker.start()
    assert (again.pid, again.bootstrap, again.started) == (first.pid, first.bootstrap, False)
    assert json.loads(file.read_text(encoding="ascii")) == told


def test_a_broker_that_cannot_start_is_explained_by_its_own_log(broker: KafkaBroker) -> None:
    broker.start()
    broker.stop()
    meta = broker.data / "meta.properties"
    meta.write_text(meta.read_text(encoding="ascii").replace("node.id=1", "node.id=7"), encoding="ascii")
    with pytest.raises(EmbeddedServerError, match=r"ended before it answered \(.*node") as told:
        broker.start()
    assert "\n" not in str(told.value)
    assert processes_of(broker.home) == []


def test_a_hung_broker_is_named_with_its_pid_and_not_doubled(
    broker: KafkaBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = broker.start()
    os.kill(running.pid, signal.SIGSTOP)
    monkeypatch.setattr("headrace.embedded.kafka.READY_WITHIN_S", 2.0)
    with pytest.raises(EmbeddedServerError, match=rf"pid {running.pid}\) runs, but didn't answer .*headrace down"):
        broker.start()
    assert processes_of(broker.home) == [running.pid]
    os.kill(running.pid, signal.SIGCONT)


def test_a_record_of_ten_megabytes_passes_and_topics_do_not_appear_by_themselves(broker: KafkaBroker) -> None:
    running = broker.start()
    make_topic(running.bootstrap, "large")
    record = os.urandom(10_000_000)
    produce(running.bootstrap, "large", record)
    assert read_all(running.bootstrap, "large", count=1) == [record]
    admin = AdminClient({"bootstrap.servers": running.bootstrap})
    admin.list_topics("misspelt", timeout=60)
    assert "misspelt" not in admin.list_topics(timeout=60).topics


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="ascii")
    broker = KafkaBroker(tmp_path / "file" / "kafka")
    with pytest.raises(StorageError, match=r"can't be written .* choose another folder") as told:
        broker.start()
    assert "\n" not in str(told.value)
    assert broker.find() is None
    assert not broker.stop()


def test_without_java_no_broker_is_begun(broker: KafkaBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PrerequisiteError, match="needs Java 17 or 21"):
        broker.start()
    assert processes_of(broker.home) == []
