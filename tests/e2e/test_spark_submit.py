"""The jobs on a real standalone cluster: a master and a worker, started as processes for this file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pyspark
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from deltalake import DeltaTable

from headrace.embedded.java import find_java
from headrace.embedded.kafka import KafkaBroker
from headrace.embedded.ports import LOCALHOST, free_ports

JOBS = Path(__file__).parents[2] / "jobs"
SPARK_HOME = Path(pyspark.__file__).parent
TOPIC = "readings"
RECORDS = [
    *({"id": f"r{n}", "at": f"2026-01-01T00:00:{n:02d}Z", "reading": n} for n in range(40)),
    {"id": "no time", "reading": 1},
    {"id": "no number", "at": "2026-01-01T00:01:00Z", "reading": "much"},
]
SCHEMA = {
    "type": "struct",
    "fields": [
        {"name": "id", "type": "string", "nullable": False, "metadata": {}},
        {"name": "at", "type": "timestamp", "nullable": False, "metadata": {}},
        {"name": "reading", "type": "integer", "nullable": True, "metadata": {}},
    ],
}


@dataclass(frozen=True)
class Cluster:
    """A standalone cluster: its address, where it writes, and what its web interface tells."""

    master: str
    web: str
    folder: Path

    def state(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.web}/json/", timeout=5) as answer:
            return json.load(answer)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    port, web = free_ports(str(folder), count=2)
    found = Cluster(f"spark://{LOCALHOST}:{port}", f"http://{LOCALHOST}:{web}", folder)
    at = ["--host", LOCALHOST]
    started: list[subprocess.Popen[bytes]] = []
    try:
        ports = ["--port", str(port), "--webui-port", str(web)]
        started.append(daemon(folder, "master.Master", *at, *ports))
        wait_until(lambda: found.state()["status"] == "ALIVE", started, folder)
        size = ["--cores", "1", "--memory", "1g", "--work-dir", str(folder / "work"), "--webui-port", "0"]
        started.append(daemon(folder, "worker.Worker", *at, *size, found.master))
        wait_until(lambda: found.state()["aliveworkers"] == 1, started, folder)
        yield found
    finally:
        end(started)


def daemon(folder: Path, name: str, *arguments: str) -> subprocess.Popen[bytes]:
    command = [str(SPARK_HOME / "bin" / "spark-class"), f"org.apache.spark.deploy.{name}", *arguments]
    with (folder / f"{name}.log").open("wb") as log:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment(), cwd=folder
        )


def environment() -> dict[str, str]:
    settings = {
        "JAVA_HOME": str(find_java().path.parent.parent),
        "SPARK_HOME": str(SPARK_HOME),
        "SPARK_LOCAL_IP": LOCALHOST,
        "SPARK_DAEMON_MEMORY": "256m",
        "PYSPARK_PYTHON": sys.executable,
    }
    return {**os.environ, **settings}


def wait_until(
    ready: Callable[[], bool], processes: list[subprocess.Popen[bytes]], folder: Path, *, within: float = 60.0
) -> None:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline and all(process.poll() is None for process in processes):
        try:
            if ready():
                return
        except OSError:
            pass
        time.sleep(0.2)
    logs = "\n".join(f"{log.name}: {log.read_text()[-1500:]}" for log in folder.glob("*.log"))
    pytest.fail(f"the cluster did not come up within {within:.0f} s:\n{logs}")


def end(processes: list[subprocess.Popen[bytes]]) -> None:
    """End the processes and everything that they started: executors too."""
    family = [one for process in processes if process.poll() is None for one in relatives(process.pid)]
    for one in family:
        with suppress(psutil.NoSuchProcess):
            one.terminate()
    for one in psutil.wait_procs(family, timeout=10)[1]:
        with suppress(psutil.NoSuchProcess):
            one.kill()
    for process in processes:
        process.wait(10)


def relatives(pid: int) -> list[psutil.Process]:
    head = psutil.Process(pid)
    return [head, *head.children(recursive=True)]


@pytest.fixture(scope="module")
def bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    broker = KafkaBroker(tmp_path_factory.mktemp("submit") / "kafka")
    address = broker.start().bootstrap
    admin = AdminClient({"bootstrap.servers": address})
    admin.create_topics([NewTopic(TOPIC, 2, config={"retention.ms": "-1"})])[TOPIC].result(20)
    producer = Producer({"bootstrap.servers": address})
    for number, record in enumerate(RECORDS):
        producer.produce(TOPIC, json.dumps(record).encode(), partition=number % 2)
    assert producer.flush(20) == 0
    yield address
    broker.stop()


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory, bootstrap: str) -> Path:
    """A pipeline of one stream, with its lake and keys beside it."""
    folder = tmp_path_factory.mktemp("pipeline")
    (folder / "readings.json").write_text(json.dumps(SCHEMA))
    (folder / "pipeline.yaml").write_text(f"""
pipeline: submitted
kafka: {{bootstrap_servers: "{bootstrap}"}}
lake: {{path: "{folder / "lake"}"}}
keys: {{ring: "{folder / "keys.json"}"}}
streams:
  readings: {{topic: {TOPIC}, schema: readings.json, event_time: at, known_at: at}}
""")
    return folder


@pytest.fixture(scope="module")
def jars() -> str:
    command = [str(Path(sys.executable).with_name("headrace")), "jars"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def submit(cluster: Cluster, jars: str, *job: str) -> subprocess.CompletedProcess[str]:
    command = [str(SPARK_HOME / "bin" / "spark-submit"), "--master", cluster.master, "--jars", jars]
    settings = {
        "spark.driver.memory": "768m",
        "spark.executor.memory": "768m",
        "spark.driver.host": LOCALHOST,
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "2",
        "spark.databricks.delta.snapshotPartitions": "2",
    }
    command += [word for name, value in settings.items() for word in ("--conf", f"{name}={value}")]
    known = {**environment(), "HEADRACE_HOME": str(cluster.folder / "home")}
    return subprocess.run(
        [*command, *job], capture_output=True, text=True, timeout=240, check=False, env=known, cwd=cluster.folder
    )


def test_a_submitted_ingest_runs_on_the_worker_and_writes_every_record_once(
    cluster: Cluster, pipeline: Path, jars: str
) -> None:
    done = submit(cluster, jars, str(JOBS / "ingest.py"), str(pipeline), "--until-caught-up")
    assert done.returncode == 0, done.stderr[-3000:]
    columns = ["id", "verdict", "kafka_partition", "kafka_offset"]
    rows = DeltaTable(str(pipeline / "lake/events/readings")).to_pyarrow_table(columns=columns).to_pylist()
    coordinates = {(row["kafka_partition"], row["kafka_offset"]) for row in rows}
    assert coordinates == {(number % 2, number // 2) for number in range(len(RECORDS))}
    assert len(rows) == len(RECORDS)
    accepted = sorted(row["id"] for row in rows if row["verdict"] == "accepted")
    assert accepted == sorted(f"r{number}" for number in range(40))
    assert [app["state"] for app in cluster.state()["completedapps"]] == ["FINISHED"]
    assert any((cluster.folder / "work").glob("app-*/*/stderr")), "no executor ran on the worker"


def test_a_submitted_job_that_must_not_start_exits_with_the_documented_code_and_one_sentence(
    cluster: Cluster, pipeline: Path, jars: str
) -> None:
    assert DeltaTable.is_deltatable(str(pipeline / "lake/events/readings")), "the test above fills the table"
    (pipeline / "lake/checkpoints").rename(pipeline / "lake/lost")
    try:
        done = submit(cluster, jars, str(JOBS / "ingest.py"), str(pipeline), "--until-caught-up")
    finally:
        (pipeline / "lake/lost").rename(pipeline / "lake/checkpoints")
    assert done.returncode == 8, done.stderr[-3000:]
    sentences = [line for line in done.stdout.splitlines() if line.startswith("error: ")]  # spark-submit joins the two
    assert len(sentences) == 1
    assert f"its checkpoint {pipeline / 'lake/checkpoints/ingest/readings'} is gone; restore the one" in sentences[0]
    assert "Traceback" not in done.stdout + done.stderr
    assert "\tat " not in done.stdout + done.stderr


def test_a_submitted_job_with_a_wrong_pipeline_file_ends_before_it_asks_the_cluster(
    cluster: Cluster, tmp_path: Path, jars: str
) -> None:
    (tmp_path / "pipeline.yaml").write_text("pipeline: wrong\nstreams: {}\n")
    before = len(cluster.state()["completedapps"])
    done = submit(cluster, jars, str(JOBS / "train.py"), str(tmp_path), "--as-of", "2026-01-02")
    assert done.returncode == 3, done.stderr[-3000:]
    assert len(cluster.state()["completedapps"]) == before
