"""A long life: thousands of micro-batches that should cost the same, and a backlog that should drain at steady memory.

    python bench/long_life.py [--batches 2000] [--backlog 5000000]

Batches: ten records each, one after the other; blocks of 200 are compared. Backlog: records of some 260 bytes through four rules.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from measure import report, tree_cpu_seconds, workplace
from readings import pipeline, produce
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from headrace.connections import Broker
from headrace.demo.memory import resident_bytes
from headrace.ingest.run import start_ingest
from headrace.session import spark_session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from headrace.ingest.writer import BatchReport

BLOCK, RECORDS = 200, 10


@dataclass(frozen=True)
class Beat:
    """One micro-batch: from the end of the one before to its own end."""

    at: float
    wall_s: float
    cpu_s: float
    rows: int
    rss_mib: int


class Beats:
    """Takes the time of each batch as it is reported."""

    def __init__(self, total: int, what: str) -> None:
        self.all: list[Beat] = []
        self._begun = self._last = time.monotonic()
        self._cpu = tree_cpu_seconds()
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:,.0f}"),
            TimeRemainingColumn(),
        )
        self.progress = Progress(*columns, console=Console(stderr=True))
        self._task = self.progress.add_task(what, total=total)

    def __call__(self, report: BatchReport) -> None:
        now, cpu = time.monotonic(), tree_cpu_seconds()
        beat = Beat(now - self._begun, now - self._last, cpu - self._cpu, report.rows, _rss_mib())
        self._last, self._cpu = now, cpu
        self.all.append(beat)
        self.progress.advance(self._task, report.rows)


def main() -> None:
    """Print the figures and write them to bench/results/long_life.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, default=2_000)
    parser.add_argument("--backlog", type=int, default=5_000_000)
    arguments = parser.parse_args()
    with workplace() as (root, bootstrap):
        spark = spark_session(app="bench", driver_memory="2g")
        figures: dict[str, object] = {"cores": os.cpu_count()}
        if arguments.batches:
            extra = f"max_offsets_per_trigger: {RECORDS}"
            beats = drained(spark, root, bootstrap, topic="batches", count=arguments.batches * RECORDS, extra=extra)
            figures["batches"] = flat(beats)
        if arguments.backlog:
            figures["backlog"] = steady(drained(spark, root, bootstrap, topic="backlog", count=arguments.backlog))
    report("long_life", figures)


def drained(
    spark: SparkSession, root: Path, bootstrap: str, *, topic: str, count: int, extra: str = ""
) -> list[Beat]:  # fmt: skip
    """The batches that it takes to read a topic to its end."""
    produce(bootstrap, topic, count=count)
    spec = pipeline(root / topic, bootstrap=bootstrap, topic=topic, extra=extra)
    beats = Beats(count, topic)
    with beats.progress:
        start_ingest(spark, spec, broker=Broker(bootstrap, {}), until_caught_up=True, on_batch=beats).wait()
    return beats.all


def flat(beats: Sequence[Beat]) -> dict[str, object]:
    """Medians of blocks of batches, the first and the second block against the last."""
    blocks = [beats[at : at + BLOCK] for at in range(0, len(beats) - len(beats) % BLOCK, BLOCK)]
    cpu = [round(statistics.median(beat.cpu_s for beat in block), 3) for block in blocks]
    wall = [round(statistics.median(beat.wall_s for beat in block), 3) for block in blocks]
    second = min(1, len(blocks) - 1)  # the first block holds what a new process costs
    return {
        "batches": len(beats), "records_each": RECORDS, "block": BLOCK, "cpu_s_median": cpu, "wall_s_median": wall,
        "last_to_first": {"cpu": round(cpu[-1] / cpu[0], 2), "wall": round(wall[-1] / wall[0], 2)},
        "last_to_second": {"cpu": round(cpu[-1] / cpu[second], 2), "wall": round(wall[-1] / wall[second], 2)},
        "rss_mib": [max(beat.rss_mib for beat in block) for block in blocks],
    }  # fmt: skip


def steady(beats: Sequence[Beat]) -> dict[str, object]:
    """Memory over time, as the greatest of each twentieth of the batches."""
    step = max(1, len(beats) // 20)
    return {
        "records": sum(beat.rows for beat in beats), "batches": len(beats),
        "largest_batch": max(beat.rows for beat in beats), "slowest_batch_s": round(max(beat.wall_s for beat in beats), 1),
        "records_per_second": round(sum(beat.rows for beat in beats) / beats[-1].at),
        "seconds": [round(beats[at].at) for at in range(0, len(beats), step)],
        "rss_mib": [max(beat.rss_mib for beat in beats[at : at + step]) for at in range(0, len(beats), step)],
    }  # fmt: skip


def _rss_mib() -> int:
    """Of this process and all that it started: the JVM of Spark, its Python workers, the broker."""
    own = psutil.Process()
    return sum(resident_bytes(process.pid) for process in (own, *own.children(recursive=True))) // 2**20


if __name__ == "__main__":
    main()
