"""A broker of a test's own, to be harmed while an ingest reads from it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from headrace.embedded.kafka import KafkaBroker, Running


class OwnBroker:
    """One embedded broker, which keeps its port and its records through all that is done to it."""

    def __init__(self, broker: KafkaBroker) -> None:
        self._broker, self._pool = broker, ThreadPoolExecutor(1)
        self._running = broker.start()

    @property
    def bootstrap(self) -> str:
        return self._running.bootstrap

    def kill(self) -> None:
        """Its process ends at once, as by a power cut."""
        os.kill(self._running.pid, signal.SIGKILL)

    def start(self) -> Running:
        """Start it where it does not run. It must be at the same port again."""
        before = self._running.port
        self._running = self._broker.start()
        assert self._running.port == before
        return self._running

    def start_aside(self) -> Future[Running]:
        """The same beside whatever runs."""
        return self._pool.submit(self.start)

    def pause(self) -> None:
        """Its process stands still: connections stay open, nothing answers."""
        os.kill(self._running.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self._running.pid, signal.SIGCONT)

    def stop(self) -> None:
        self._pool.shutdown()
        self._broker.stop()


class At:
    """An ``on_step`` that does something once, at a step of the micro-batch of that number."""

    def __init__(self, strikes: dict[tuple[int, str], Callable[[], object]]) -> None:
        """``strikes``: (batch, step) to what is done there; batches are counted from 1, over all ingests that hear it."""
        self._left, self._batch = dict(strikes), 0

    def __call__(self, step: str) -> None:
        self._batch += step == "begun"
        strike = self._left.pop((self._batch, step), None)
        if strike is not None:
            strike()

    @property
    def left(self) -> list[tuple[int, str]]:
        """What was not reached yet."""
        return list(self._left)
