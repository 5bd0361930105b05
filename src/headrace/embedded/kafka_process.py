"""Formatting, spawning and reaching the JVM of the embedded broker."""

from __future__ import annotations

import base64
import subprocess
import time
import uuid
from pathlib import Path
from typing import Any

import psutil

from headrace.embedded import processes
from headrace.embedded.kafka_files import last_fault, read_from
from headrace.embedded.ports import LOCALHOST, is_listening
from headrace.errors import EmbeddedServerError

MAIN_CLASS = "kafka.Kafka"
_JVM = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:+ExitOnOutOfMemoryError")
_LOGGING = "-Dlog4j2.configurationFile=log4j2.xml"
# A shell starts the broker and ends at once: the broker is nobody's child here, and none of our files stay open in it.
_DETACH = '"$@" </dev/null >log/stdout.log 2>&1 & echo $!'


def new_cluster_id() -> str:
    """22 characters of base64 that don't begin with a dash (which a command line takes for an option)."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode("ascii")[:22]
        if not text.startswith("-"):
            return text


def cluster_id_of(home: Path) -> str | None:
    """The cluster id that the data folder of ``home`` was formatted with; None if it isn't formatted."""
    lines = read_from(home / "data" / "meta.properties").splitlines()
    return next((line.removeprefix("cluster.id=") for line in lines if line.startswith("cluster.id=")), None)


def format_data(home: Path, *, java: Path, classpath: str, cluster_id: str) -> None:
    """Make ``home``/data a Kafka data folder, unless it is one. Raises EmbeddedServerError."""
    if cluster_id_of(home) is not None:
        return
    command = [str(java), *_JVM, "-cp", classpath, _LOGGING, "kafka.tools.StorageTool", "format"]
    command += ["--ignore-formatted", "--cluster-id", cluster_id, "--config", "server.properties"]
    answer = subprocess.run(command, cwd=home, capture_output=True, encoding="utf-8", errors="replace", check=False)
    if answer.returncode != 0:
        fault = last_fault(answer.stderr, answer.stdout).rstrip(".")
        raise EmbeddedServerError(
            f"The Kafka folder {home / 'data'} can't be formatted ({fault}): mend that, then start again."
        )


def spawn(home: Path, *, java: Path, classpath: str, mark: str) -> psutil.Process | None:
    """A new broker on ``home`` in a session of its own, with ``mark`` in its command line; None if it ended at once.

    Its paths are relative to ``home``, so commas and other letters in the path of ``home`` don't matter to Kafka.
    """
    command = [str(java), *_JVM, "-cp", classpath, mark, _LOGGING, "-XX:ErrorFile=log/jvm-crash.log"]
    answer = subprocess.run(
        ["sh", "-c", _DETACH, "sh", *command, MAIN_CLASS, "server.properties"],
        cwd=home,
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        encoding="ascii",
        check=True,
    )
    try:
        return psutil.Process(int(answer.stdout))
    except psutil.Error:
        return None


def wait_until_it_answers(process: psutil.Process, *, port: int, cluster_id: str, timeout: float) -> bool:
    """True once a broker of this cluster answers at ``port``; False if the process ends first or time is up."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    deadline = time.monotonic() + timeout
    while not is_listening(port):  # spares the client its complaints
        if not processes.is_alive(process) or time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    settings: dict[str, Any] = {"bootstrap.servers": f"{LOCALHOST}:{port}", "log_level": 0, "error_cb": lambda _: None}
    admin = AdminClient({**settings, "reconnect.backoff.max.ms": 250})
    while processes.is_alive(process) and time.monotonic() < deadline:
        try:
            cluster = admin.list_topics(timeout=1.0)
        except KafkaException:
            continue
        if cluster.brokers and str(cluster.cluster_id) == cluster_id:
            return True
        time.sleep(0.05)
    return False
