"""Peak memory of a whole run."""

from __future__ import annotations

import threading
from pathlib import Path

import psutil

from headrace.embedded.kafka import KafkaBroker
from headrace.embedded.resident import resident_bytes


class PeakMemory:
    """Peak resident memory (MiB) of this process, all that it started, and the broker, sampled once a second."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self.peak_mb = 0.0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory", daemon=True)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._end.wait(1.0):
            self.peak_mb = max(self.peak_mb, self._now())

    def _now(self) -> float:
        own, broker = psutil.Process(), KafkaBroker(self._home / "kafka").find()
        pids = {process.pid for process in (own, *own.children(recursive=True))} | ({broker.pid} if broker else set())
        return sum(resident_bytes(pid) for pid in pids) / 1024 / 1024
