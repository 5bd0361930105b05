"""What the kept classes save: from the start of Spark to a small Delta table that was written and read, with and without them.

    python bench/start.py [--rounds 3]

Each run is a process of its own. The ways take turns, so that a machine that slows down slows all of them.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from measure import report

from headrace.quick_start import make_archive

COMMAND = """
import json, sys, time
begun = time.monotonic()
sys.path.insert(0, sys.argv[1])
from measure import tree_cpu_seconds
from headrace.session import spark_session
spark = spark_session(app="bench", driver_memory="1g", settings=json.loads(sys.argv[2]))
spark.range(10).write.format("delta").save("table")
assert spark.read.format("delta").load("table").count() == 10
print(json.dumps({"wall_s": time.monotonic() - begun, "cpu_s": tree_cpu_seconds()}))
"""
LOGGING = f"-Dlog4j2.configurationFile={files('headrace').joinpath('log4j2.properties')}"
WAYS: dict[str, dict[str, str]] = {"without": {"spark.driver.extraJavaOptions": LOGGING}, "with": {}}
"""The setting takes the place of the one that names the archive too."""


def main() -> None:
    """Print the figures and write them to bench/results/start.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    make_archive(notify=print)
    spent: dict[str, list[dict[str, float]]] = {name: [] for name in WAYS}
    for number in range(rounds + 1):
        for name, settings in WAYS.items():
            run = _run(settings)
            print(f"round {number}{' (warm-up)' if number == 0 else ''}: {name:<8} {run}", flush=True)
            if number:
                spent[name].append(run)
    medians = {
        name: {kind: round(statistics.median(run[kind] for run in runs), 2) for kind in ("wall_s", "cpu_s")}
        for name, runs in spent.items()
    }
    ratio = {kind: round(medians["with"][kind] / medians["without"][kind], 2) for kind in ("wall_s", "cpu_s")}
    figures = {"cores": os.cpu_count(), "rounds": rounds, **medians, "with_to_without": ratio}
    report("start", figures)


def _run(settings: dict[str, str]) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", COMMAND, str(Path(__file__).parent), json.dumps(settings)]
        done = subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True, timeout=600)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
