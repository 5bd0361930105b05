"""CPU seconds of a whole process tree: this process, Spark's JVM and its Python workers."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil


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


def cost(run: Callable[[], object]) -> Cost:
    """Run it once."""
    cpu, wall = tree_cpu_seconds(), time.monotonic()
    run()
    return Cost(tree_cpu_seconds() - cpu, time.monotonic() - wall)


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
