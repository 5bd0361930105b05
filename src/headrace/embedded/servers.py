"""All embedded servers of one folder: start them, end them, say how they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from headrace.embedded import processes
from headrace.embedded.kafka import KafkaBroker
from headrace.embedded.mlflow_store import MlflowUi, artifact_root, sqlite_uri
from headrace.embedded.ports import LOCALHOST


@dataclass(frozen=True)
class Server:
    """One server: ``address``, ``pid`` and ``rss_mb`` (MiB, children included) are None when it doesn't run."""

    name: str
    running: bool
    address: str | None
    pid: int | None
    rss_mb: float | None
    data: Path


@dataclass(frozen=True)
class Status:
    """The servers of a folder, always the same ones in the same order."""

    servers: tuple[Server, ...]

    def __getitem__(self, name: str) -> Server:
        """The server called ``name`` (``kafka`` or ``mlflow-ui``); KeyError names the ones there are."""
        for server in self.servers:
            if server.name == name:
                return server
        raise KeyError(f"no server {name!r}: expected one of {', '.join(server.name for server in self.servers)}")


def up(home: Path, *, notify: Callable[[str], None] | None = None) -> Status:
    """Start the Kafka broker of ``home``/kafka if it doesn't run, make the MLflow store, and say how all are.

    The MLflow store needs no process; its web interface is started by ``MlflowUi(home).serve()``.
    Raises what ``KafkaBroker.start`` raises, and StorageError.
    """
    sqlite_uri(home)
    artifact_root(home)
    KafkaBroker(home / "kafka").start(notify=notify)
    return status(home)


def down(home: Path) -> Status:
    """End every server of ``home`` and say how all are; the data stays."""
    MlflowUi(home).stop()
    KafkaBroker(home / "kafka").stop()
    return status(home)


def status(home: Path) -> Status:
    """How the servers of ``home`` are now. Changes nothing, and is well where ``home`` doesn't exist."""
    broker, ui = KafkaBroker(home / "kafka"), MlflowUi(home)
    running, serving = broker.find(), ui.find()
    return Status(
        servers=(
            _server("kafka", running and (running.pid, running.bootstrap), data=broker.data),
            _server("mlflow-ui", serving and (serving[0], f"http://{LOCALHOST}:{serving[1]}"), data=ui.home / "mlflow"),
        )
    )


def _server(name: str, live: tuple[int, str] | None, *, data: Path) -> Server:
    if live is None:
        return Server(name=name, running=False, address=None, pid=None, rss_mb=None, data=data)
    pid, address = live
    try:
        rss_mb = processes.rss_mb(psutil.Process(pid))
    except psutil.Error:
        rss_mb = 0.0
    return Server(name=name, running=True, address=address, pid=pid, rss_mb=rss_mb, data=data)
