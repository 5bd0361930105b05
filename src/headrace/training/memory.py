"""What training takes of the driver's memory: said before rows are collected, and measured while it runs."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

import psutil

from headrace.embedded.resident import resident_bytes
from headrace.errors import TrainingError

if TYPE_CHECKING:
    from types import TracebackType

BYTES_PER_VALUE = 100
"""Of a feature's value at the peak: Arrow holds 8, Spark's JVM sends it in batches, which are held there and here while the table
is put together, and XGBoost keeps a copy. bench/training.py measured 60 to 100; besides, the JVM's heap grows into what
``--driver-memory`` allows it, which is not counted."""
BYTES_PER_ROW = 400
"""Of a row's id, times and label, and of its gradients."""
BYTES_PER_CLASS = 24
"""Of each class besides, for each row: its gradients, margin and probability."""
EVERY_S = 0.1


def memory_needed(rows: int, *, features: int, classes: int = 0) -> int:
    """Bytes that the driver's processes are likely to need for that many rows, above what they have at the start."""
    return rows * (features * BYTES_PER_VALUE + classes * BYTES_PER_CLASS + BYTES_PER_ROW)


def require_room(rows: int, *, features: int, classes: int = 0, limit: int) -> None:
    """Raise TrainingError where so many rows are likely to need more than ``limit`` bytes. Ask before they are collected.

    ``classes``: of several classes, how many; asked again once they are known, before the model is trained.
    """
    needed = memory_needed(rows, features=features, classes=classes)
    if needed > limit:
        what = f"{rows:,} rows of {features} features{f' and {classes} classes' if classes else ''}"
        raise TrainingError(
            f"{what} are likely to need {needed / 2**30:.1f} GiB on the driver, and model.memory "
            f"allows {limit / 2**30:.1f}; raise model.memory (and --driver-memory) where the machine has more"
        )


class PeakMemory:
    """Highest resident memory (MiB) of this process and those that it started (Spark's JVM), sampled ten times a second."""

    def __init__(self) -> None:
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="peak-memory", daemon=True)
        self.begin_mb = self.peak_mb = 0.0

    def __enter__(self) -> Self:
        self.begin_mb = self.peak_mb = _resident_mb()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()
        self.peak_mb = max(self.peak_mb, _resident_mb())

    def figures(self) -> dict[str, float]:
        """The peak, and how much of it was there at the start, under the names that MLflow shows."""
        return {"peak_memory_mb": round(self.peak_mb, 1), "memory_before_mb": round(self.begin_mb, 1)}

    def _watch(self) -> None:
        while not self._end.wait(EVERY_S):
            self.peak_mb = max(self.peak_mb, _resident_mb())


def _resident_mb() -> float:
    own = psutil.Process()
    return sum(resident_bytes(process.pid) for process in (own, *own.children(recursive=True))) / 2**20
