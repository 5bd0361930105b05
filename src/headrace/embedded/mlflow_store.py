"""The embedded MLflow: a store on SQLite beside the data, and its web interface in the foreground."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import psutil

from headrace.embedded import processes
from headrace.embedded.kafka_files import last_fault, read_from
from headrace.embedded.ports import LOCALHOST, first_free, is_free
from headrace.errors import EmbeddedServerError, StorageError

READY_WITHIN_S = 120.0
_FIRST_PORT = 5001  # 5000 belongs to AirPlay on a Mac


def sqlite_uri(home: Path) -> str:
    """The tracking and registry URI ``sqlite:////...`` of ``home``/mlflow/mlflow.db; makes the folder.

    Raises StorageError if it can't be written.
    """
    return f"sqlite:///{_folder(home) / 'mlflow.db'}"


def artifact_root(home: Path) -> str:
    """The URI ``file:///...`` of ``home``/mlflow/artifacts, to give an experiment when it is created; makes the folder.

    Raises StorageError if it can't be written.
    """
    folder = _folder(home) / "artifacts"
    with _storage_errors(folder):
        folder.mkdir(exist_ok=True)
    return folder.as_uri()


class MlflowUi:
    """The web interface of the store in ``home``."""

    def __init__(self, home: Path) -> None:
        self.home = home.expanduser().resolve()

    def command(self, port: int) -> list[str]:
        """The command line that runs the server on 127.0.0.1."""
        command = [sys.executable, "-m", "mlflow", "server", "--host", LOCALHOST, "--port", str(port), "--workers", "1"]
        command += ["--backend-store-uri", sqlite_uri(self.home)]
        return [*command, "--no-serve-artifacts", "--default-artifact-root", artifact_root(self.home)]

    def environment(self) -> dict[str, str]:
        """This process's environment, with telemetry and the server's background jobs off."""
        return {
            **os.environ,
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "true",
            "PYTHONWARNINGS": "ignore",
        }

    def serve(self, port: int | None = None, *, notify: Callable[[str], None] | None = None) -> None:
        """Serve until Ctrl-C (or SIGTERM), then end the server and return.

        ``notify`` gets a line with the address once the server answers. Without ``port`` the first free one from 5001
        on is taken. Raises EmbeddedServerError if ``port`` is taken or the server ends by itself, StorageError if
        ``home`` can't be written.
        """
        if port is not None and not is_free(port):
            raise EmbeddedServerError(f"Port {port} of {LOCALHOST} is taken: choose another, or leave it out.")
        port = first_free(_FIRST_PORT) if port is None else port
        command, log = self.command(port), _folder(self.home) / "server.log"
        with _storage_errors(log):
            out = log.open("wb")
        with out, _sigterm_as_ctrl_c():
            server = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=self.environment(),
                start_new_session=True,  # Ctrl-C reaches this process only, which then ends the server quietly
            )
            try:
                _wait(server, port, notify=notify)
            except KeyboardInterrupt:
                return
            finally:
                _end(server)
        fault = last_fault(read_from(log)).rstrip(".")
        raise EmbeddedServerError(
            f"The MLflow server ended or didn't answer ({fault}): mend what its log says (in {log})."
        )

    def find(self) -> tuple[int, int] | None:
        """Process id and port of the live server of this store; None if there is none."""
        for process in processes.find(frozenset({"mlflow", "server", "--backend-store-uri", _uri_of(self.home)})):
            try:
                line = process.cmdline()
                return process.pid, int(line[line.index("--port") + 1])
            except (psutil.Error, ValueError, IndexError):
                continue
        return None

    def stop(self, *, timeout: float = 10.0) -> bool:
        """End the server, wherever it was started; False if none ran."""
        found = processes.find(frozenset({"mlflow", "server", "--backend-store-uri", _uri_of(self.home)}))
        processes.end(found, timeout=timeout)
        return bool(found)


def _wait(server: subprocess.Popen[bytes], port: int, *, notify: Callable[[str], None] | None) -> None:
    """Return when the server has ended, or didn't answer within 120 s."""
    deadline = time.monotonic() + READY_WITHIN_S
    while not _is_healthy(port):
        if server.poll() is not None or time.monotonic() > deadline:
            return
        time.sleep(0.2)
    if notify is not None:
        notify(f"MLflow is at http://{LOCALHOST}:{port} (Ctrl-C ends it).")
    server.wait()


def _is_healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{LOCALHOST}:{port}/health", timeout=2.0) as answer:
            return answer.status == 200
    except (OSError, urllib.error.URLError):
        return False


def _end(server: subprocess.Popen[bytes]) -> None:
    if server.poll() is None:
        with suppress(psutil.Error):
            processes.end([psutil.Process(server.pid)], timeout=10.0)
    server.wait()


def _folder(home: Path) -> Path:
    folder = home.expanduser().resolve() / "mlflow"
    with _storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def _uri_of(home: Path) -> str:
    return f"sqlite:///{home / 'mlflow' / 'mlflow.db'}"


@contextmanager
def _storage_errors(path: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"The MLflow store {path} can't be written ({error.strerror or error}): make it writable, "
            "or choose another folder."
        ) from error


@contextmanager
def _sigterm_as_ctrl_c() -> Generator[None]:
    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # only the main thread may set a handler
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
