"""What benchmarks share: a place with a broker, CPU seconds of a whole process tree, and the file of results."""

from __future__ import annotations

import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from headrace.embedded.kafka import KafkaBroker

if TYPE_CHECKING:
    from headrace.ingest.run import Ingest

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Cost:
    """What one run took."""

    cpu_s: float
    wall_s: float


def tree_cpu_seconds() -> float:
    """User and system seconds of this process and all its descendants, ended ones included."""
    total = 0.0
    own = psutil.Process()
    for process in (own, *own.children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system
        if process.pid != own.pid:
            total += times.children_user + times.children_system
    return total


class Watch:
    """What is spent from here on."""

    def __init__(self) -> None:
        self._cpu, self._wall = tree_cpu_seconds(), time.monotonic()

    def spent(self) -> Cost:
        return Cost(tree_cpu_seconds() - self._cpu, time.monotonic() - self._wall)


def cost(run: Callable[[], object]) -> Cost:
    """Run it once: what it says that it took (a Cost), or what it took whole."""
    watch = Watch()
    said = run()
    return said if isinstance(said, Cost) else watch.spent()


def drained(start: Callable[[Callable[[object], None]], Ingest]) -> Cost:
    """Run an ingest to its end, given what it calls with each batch: the cost of all batches but the first, which compiles code
    and looks at a sample, whatever is compared.
    """
    watches: list[Watch] = []
    start(lambda report: None if watches else watches.append(Watch())).wait()
    return watches[0].spent()


def compared(ways: dict[str, Callable[[], object]], *, rounds: int) -> dict[str, list[Cost]]:
    """Every way once per round, in turn, so that a machine that slows down slows all of them; the first round warms up."""
    costs: dict[str, list[Cost]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, run in ways.items():
            spent = cost(run)
            print(
                f"round {number}{' (warm-up)' if number == 0 else ''}: {name:<28} {spent.cpu_s:6.1f} CPU s", flush=True
            )
            if number:
                costs[name].append(spent)
    return costs


def median_cpu(costs: list[Cost]) -> float:
    """Median CPU seconds."""
    return statistics.median(spent.cpu_s for spent in costs)


@contextmanager
def workplace() -> Generator[tuple[Path, str]]:
    """A temporary folder, and the address of a broker in it; both go at the end."""
    root = Path(tempfile.mkdtemp(prefix="headrace-bench-"))
    broker = KafkaBroker(root / "kafka")
    try:
        yield root, broker.start().bootstrap
    finally:
        broker.stop()
        shutil.rmtree(root, ignore_errors=True)


def report(name: str, figures: Mapping[str, object]) -> None:
    """Print the figures and write them to ``bench/results/<name>.json``."""
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(figures, indent=1)
    (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    print(text)
