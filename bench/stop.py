"""How long a stop takes: from a signal to a running ``headrace ingest`` to the end of its process, by what it was doing.

    python bench/stop.py [--rounds 3]

``idle``: caught up, waiting for records. ``short batch``: behind its plan, in a batch of some ten thousand records.
``long batch``: in a batch that takes about a minute: texts of five kilobytes, full of telephone numbers to redact. Each once with
SIGTERM, once with SIGINT per round. After the stops the topic is read to its end, and the table must hold each record once.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from deltalake import DeltaTable
from measure import report, workplace
from readings import pipeline, produce, write_pipeline, written

from headrace.quick_start import make_archive

PATIENCE_S = 300
LARGEST = 10_000
"""Records of the largest batch."""
SETTLE_S = {"idle": 5.0, "short batch": 0.0, "long batch": 20.0}
"""From the first sign that it does so to the signal: behind the planning of a process's first batch, where it is a long one."""
COUNTS = {"idle": 10_000, "short batch": 300_000, "long batch": 6_000}
REDACTED = "{note: {redact: [email, phone, card], region: US}}"
TEXTS = [("id", "string", False), ("at", "timestamp", False), ("note", "string", True)]


class Lake:
    """A pipeline folder whose ingest is started as a user does, and stopped by a signal."""

    def __init__(self, root: Path, bootstrap: str, name: str) -> None:
        topic = name.replace(" ", "-")
        self.name, self.folder = name, root / topic
        limit = f"max_offsets_per_trigger: {LARGEST}"
        if name == "long batch":
            written(bootstrap, topic, _long_texts(COUNTS[name]))
            write_pipeline(
                self.folder, bootstrap=bootstrap, topic=topic, fields=TEXTS, rules=(), protect=REDACTED, extra=limit
            )  # fmt: skip
        else:
            produce(bootstrap, topic, count=COUNTS[name])
            pipeline(self.folder, bootstrap=bootstrap, topic=topic, extra=limit)
        self._checkpoint = self.folder / "lake" / "checkpoints" / "ingest" / "readings"
        self._table = self.folder / "lake" / "events" / "readings"

    def command(self, *more: str) -> list[str]:
        return [sys.executable, "-m", "headrace.cli", "ingest", str(self.folder), *more]

    def stop(self, signum: signal.Signals) -> dict[str, float | int]:
        """Start it, wait until it does what its name says, send the signal: seconds to its end, and its exit code."""
        with (self.folder / "ingest.log").open("a") as log:
            process = subprocess.Popen(self.command(), stdout=log, stderr=log, start_new_session=True)
        try:
            started, deadline = time.time(), time.monotonic() + PATIENCE_S
            while not self._reached(since=started):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(
                        f"{self.name}: did not get there: {(self.folder / 'ingest.log').read_text()[-2000:]}"
                    )
                time.sleep(0.05)
            time.sleep(SETTLE_S[self.name])
            begun = time.monotonic()
            process.send_signal(signum)
            code = process.wait(timeout=PATIENCE_S)
            return {"seconds": round(time.monotonic() - begun, 1), "exit_code": code}
        finally:
            process.kill()

    def complete(self) -> bool:
        """Whether the rest, read to its end, makes a table that holds each record once (by delta-rs, not by Spark)."""
        subprocess.run(self.command("--until-caught-up"), check=True, stdout=subprocess.DEVNULL)
        table = DeltaTable(str(self._table))
        rows = table.to_pyarrow_table(columns=["kafka_partition", "kafka_offset"])
        return rows.num_rows == COUNTS[self.name] == rows.group_by(rows.column_names).aggregate([]).num_rows

    def _reached(self, *, since: float) -> bool:
        lease = self._table / "_headrace" / "lease"
        if not lease.exists() or lease.stat().st_mtime < since:
            return False
        planned, committed = self._numbers("offsets"), self._numbers("commits")
        return planned == committed != set() if self.name == "idle" else bool(planned - committed)

    def _numbers(self, folder: str) -> set[int]:
        return {int(path.name) for path in (self._checkpoint / folder).glob("[0-9]*")}


def _long_texts(count: int) -> Iterator[tuple[int, str]]:
    chance = random.Random(1)
    for number in range(count):
        words = [f"word{chance.randrange(9999)}" for _ in range(700)]
        words[::7] = [f"555-{chance.randrange(9999):04d}" for _ in words[::7]]
        record = {"id": f"t{number}", "at": "2026-01-01T00:00:00Z", "note": " ".join(words)}
        yield number % 2, json.dumps(record)


def main() -> None:
    """Print the figures and write them to bench/results/stop.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    make_archive(notify=print)
    figures: dict[str, object] = {"cores": os.cpu_count(), "rounds": rounds}
    with workplace() as (root, bootstrap):
        for name in COUNTS:
            lake, stops = Lake(root, bootstrap, name), []
            for _ in range(rounds):
                for signum in (signal.SIGTERM, signal.SIGINT):
                    stops.append({"signal": signum.name, **lake.stop(signum)})
                    print(name, stops[-1], flush=True)
            figures[name] = {
                "stops": stops,
                "slowest_s": max(stop["seconds"] for stop in stops),
                "each_once": lake.complete(),
            }
    report("stop", figures)


if __name__ == "__main__":
    main()
