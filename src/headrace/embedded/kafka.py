"""A real Kafka broker (KRaft, one node) for a laptop or a test, which outlives the command that started it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from headrace.embedded import processes
from headrace.embedded.jars import KAFKA, fetch
from headrace.embedded.java import find_java
from headrace.embedded.kafka_files import last_fault, log4j2_xml, ports_in, read_from, server_properties
from headrace.embedded.kafka_process import (
    MAIN_CLASS,
    cluster_id_of,
    format_data,
    new_cluster_id,
    spawn,
    wait_until_it_answers,
)
from headrace.embedded.kafka_state import BrokerState, read_state, write_state
from headrace.embedded.ports import LOCALHOST, free_ports, is_free
from headrace.errors import EmbeddedServerError, StorageError

READY_WITHIN_S = 30.0
_LOCK_WAIT_S = 120.0
_TRIES = 3


@dataclass(frozen=True)
class Running:
    """A live broker: its address ``bootstrap`` (host:port), and whether this call ``started`` it."""

    bootstrap: str
    pid: int
    port: int
    started: bool


class KafkaBroker:
    """The broker whose data, log and state are in the folder ``home``; there is never more than one of it."""

    def __init__(self, home: Path) -> None:
        self.home = home.expanduser().resolve()
        self.data = self.home / "data"
        self._state_file = self.home / "state.json"
        self._mark = f"-Dheadrace.kafka={self.home}"
        self._words = frozenset({self._mark, MAIN_CLASS})

    def start(self, *, notify: Callable[[str], None] | None = None) -> Running:
        """The broker, answering: the one that runs already, or a new one on the same data and, if free, the same port.

        ``notify`` gets a line when jars are downloaded or the port had to change. Raises EmbeddedServerError if the
        broker doesn't answer within 30 s, PrerequisiteError without Java or network for the first download, and
        StorageError if ``home`` can't be written.
        """
        with self._held():
            found = self._reuse()
            if found is not None:
                return found
            java = find_java().path
            classpath = f"{fetch(KAFKA, notify=notify)[0].parent}/*"
            with self._storage_errors():
                self._write_files()
                return self._launch(java, classpath, notify=notify)

    def find(self) -> Running | None:
        """The live broker of ``home``, or None; found by its command line where the state file is stale."""
        process, state = self._process(), self._state()
        if process is None or state is None:
            return None
        return Running(bootstrap=f"{LOCALHOST}:{state.port}", pid=process.pid, port=state.port, started=False)

    def stop(self, *, timeout: float = 20.0) -> bool:
        """End the broker and its children, killed after ``timeout`` seconds; False if none ran. The data stays."""
        if not self.home.is_dir():
            return False
        with self._held():
            found = processes.find(self._words)
            processes.end(found, timeout=timeout)
            self._forget()
            return bool(found)

    def _state(self) -> BrokerState | None:
        """What is remembered, or else what the files that the broker itself reads tell."""
        state = read_state(self._state_file)
        if state is not None:
            return state
        ports = ports_in(read_from(self.home / "server.properties"))
        cluster_id = cluster_id_of(self.home)
        return None if ports is None or cluster_id is None else BrokerState(*ports, cluster_id=cluster_id)

    def _process(self) -> psutil.Process | None:
        state = read_state(self._state_file)
        if state is not None and state.pid is not None and state.created is not None:
            known = processes.recall(state.pid, created=state.created, words=self._words)
            if known is not None:
                return known
        found = processes.find(self._words)
        return found[0] if found else None

    def _reuse(self) -> Running | None:
        """The broker that runs already, once it answers; None if there is none, or it ended meanwhile."""
        process, state = self._process(), self._state()
        if process is None or state is None:
            return None
        if self._answers(process, state):
            self._remember(process, state)
            return Running(f"{LOCALHOST}:{state.port}", process.pid, state.port, started=False)
        if processes.is_alive(process):
            raise EmbeddedServerError(
                f"The Kafka broker of {self.home} (pid {process.pid}) runs, but didn't answer at "
                f"{LOCALHOST}:{state.port} within {READY_WITHIN_S:.0f} s: run `headrace down`, then start again."
            )
        return None

    def _launch(self, java: Path, classpath: str, *, notify: Callable[[str], None] | None) -> Running:
        for attempt in range(_TRIES):
            state = self._next_state(attempt, notify=notify)
            properties = server_properties(port=state.port, controller_port=state.controller_port)
            (self.home / "server.properties").write_text(properties, encoding="ascii")
            format_data(self.home, java=java, classpath=classpath, cluster_id=state.cluster_id)
            write_state(self._state_file, state)
            log = self.home / "log" / "broker.log"
            begin = log.stat().st_size if log.exists() else 0
            process = spawn(self.home, java=java, classpath=classpath, mark=self._mark)
            if process is not None:
                self._remember(process, state)
                if self._answers(process, state):
                    return Running(f"{LOCALHOST}:{state.port}", process.pid, state.port, started=True)
            logs = (read_from(log, offset=begin), read_from(self.home / "log" / "stdout.log"))
            alive = process is not None and processes.is_alive(process)
            processes.end(processes.find(self._words), timeout=5.0)
            self._forget()
            if alive or attempt == _TRIES - 1 or not any("Address already in use" in text for text in logs):
                raise EmbeddedServerError(self._why_not(last_fault(*logs), alive=alive))
        raise AssertionError("the last try returns or raises")

    def _next_state(self, attempt: int, *, notify: Callable[[str], None] | None) -> BrokerState:
        """The remembered ports if nobody else has them, else free ones; the cluster id stays."""
        old = self._state()
        if old is not None and attempt == 0 and is_free(old.port) and is_free(old.controller_port):
            return replace(old, pid=None, created=None)
        port, controller_port = free_ports(str(self.home), count=2, skip=attempt * 10)
        if old is not None and notify is not None and port != old.port:
            notify(f"Port {old.port} is taken by another program: the Kafka broker is at {LOCALHOST}:{port} now.")
        cluster_id = cluster_id_of(self.home) or (old.cluster_id if old is not None else new_cluster_id())
        return BrokerState(port=port, controller_port=controller_port, cluster_id=cluster_id)

    def _why_not(self, fault: str, *, alive: bool) -> str:
        what = f"didn't answer within {READY_WITHIN_S:.0f} s" if alive else "ended before it answered"
        return (
            f"The Kafka broker of {self.home} {what} ({fault.rstrip('.')}): mend what its log says "
            f"(in {self.home / 'log'}), then start again."
        )

    def _answers(self, process: psutil.Process, state: BrokerState) -> bool:
        cluster_id = cluster_id_of(self.home) or state.cluster_id
        return wait_until_it_answers(process, port=state.port, cluster_id=cluster_id, timeout=READY_WITHIN_S)

    def _remember(self, process: psutil.Process, state: BrokerState) -> None:
        try:
            created = process.create_time()
        except psutil.Error:
            return
        with self._storage_errors():
            write_state(self._state_file, replace(state, pid=process.pid, created=created))

    def _forget(self) -> None:
        state = read_state(self._state_file)
        if state is not None and state.pid is not None:
            with self._storage_errors():
                write_state(self._state_file, replace(state, pid=None, created=None))

    def _write_files(self) -> None:
        (self.home / "log").mkdir(exist_ok=True)
        self.data.mkdir(exist_ok=True)
        (self.home / "log4j2.xml").write_text(log4j2_xml(), encoding="ascii")

    @contextmanager
    def _held(self) -> Generator[None]:
        """One command at a time starts or stops this broker."""
        from filelock import FileLock, Timeout

        with self._storage_errors():
            self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = FileLock(self.home / "start.lock", timeout=_LOCK_WAIT_S)
            try:
                lock.acquire()
            except Timeout as error:
                raise EmbeddedServerError(
                    f"Another command has been starting or stopping the Kafka broker of {self.home} for "
                    f"{_LOCK_WAIT_S:.0f} s: end it and try again."
                ) from error
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def _storage_errors(self) -> Generator[None]:
        try:
            yield
        except OSError as error:
            raise StorageError(
                f"The Kafka folder {self.home} can't be written ({error.strerror or error}): make it writable, with "
                "1 GB of free space, or choose another folder."
            ) from error
