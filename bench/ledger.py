"""What the ledger costs: the same topic through the ingest with and without it (and the count of the records read).

    python bench/ledger.py [--records 600000] [--small 150] [--rounds 3]

``large``: batches of 100,000 records, in CPU seconds of the whole process tree. ``small``: so many batches of 10 records each,
where only the fixed cost of a batch counts.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from contextlib import ExitStack
from pathlib import Path

from measure import Cost, compared, median_cpu, report, workplace

from headrace.connections import Broker
from headrace.ingest.run import pipeline_ring
from headrace.ingest.stream import start_stream
from headrace.lake.layout import Layout
from headrace.session import spark_session
from headrace.stages.stages import prepare

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "stream"))
from pipelines import make_topic, reading, send, write_pipeline

SIZES = {"large": 100_000, "small": 10}


def main() -> None:
    """Print the figures and write them to bench/results/ledger.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=600_000)
    parser.add_argument("--small", type=int, default=150, help="small batches")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with workplace() as (root, bootstrap):
        counts = {"large": arguments.records, "small": arguments.small * SIZES["small"]}
        spark = spark_session(app="bench", driver_memory="2g")
        ways = {}
        for name, size in SIZES.items():
            make_topic(bootstrap, name)
            send(bootstrap, name, (reading(n) for n in range(counts[name])))
            extra = f"max_offsets_per_trigger: {size}"
            pipeline = write_pipeline(root / name, bootstrap=bootstrap, topic=name, extra=extra)
            for ledger in (False, True):
                ways[f"{name} {'with' if ledger else 'without'}"] = _runner(spark, pipeline, bootstrap, ledger=ledger)
        costs = compared(ways, rounds=arguments.rounds)
    result = {"records": counts, "rounds": arguments.rounds, "cores": os.cpu_count(), **_figures(costs)}
    report("ledger", result)


def _figures(costs: dict[str, list[Cost]]) -> dict[str, object]:
    cpu = {name: round(median_cpu(spent), 2) for name, spent in costs.items()}
    ratios = {name: round(cpu[f"{name} with"] / cpu[f"{name} without"], 3) for name in SIZES}
    return {"cpu_s": cpu, "with_against_without": ratios}


def _runner(spark, pipeline, bootstrap: str, *, ledger: bool):
    layout, broker = Layout(pipeline.spec.lake.root), Broker(bootstrap, {})
    ring = pipeline_ring(pipeline)

    def run() -> None:
        shutil.rmtree(layout.root, ignore_errors=True)
        way = prepare(spark, pipeline, "readings", ring=ring)
        with ExitStack() as release:
            running = start_stream(
                spark, way, release=release, what="bench", name="readings", table=layout.events("readings"),
                checkpoint=layout.checkpoint("bench"), broker=broker, until_caught_up=True, trigger_seconds=1.0,
                on_batch=lambda report: None, ledger=layout.ledger("readings") if ledger else None,
            )  # fmt: skip
            running.query.awaitTermination()

    return run


if __name__ == "__main__":
    main()
