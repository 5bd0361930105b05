"""What looking for drift costs: the same topic, without drift, through the ingest without the look and under each policy.

    python bench/drift.py [--records 400000] [--rounds 3]

Ways: ``without`` (nobody hears of drift), ``ignore``, ``quarantine``, ``evolve``; ``small``: as ``without`` and ``ignore``, in
batches of a thousand records, all of which are looked at.
"""

from __future__ import annotations

import argparse
import os
import shutil

from measure import compared, median_cpu, report, workplace
from readings import pipeline, produce

from headrace.connections import Broker
from headrace.ingest import stream as ingest_stream
from headrace.ingest.run import start_ingest
from headrace.session import spark_session

WAYS = {
    "without": ("large", "unknown_fields: ignore", False),
    "ignore": ("large", "unknown_fields: ignore", True),
    "quarantine": ("large", "unknown_fields: quarantine", True),
    "evolve": ("large", "unknown_fields: evolve", True),
    "small, without": ("small", "max_offsets_per_trigger: 1000", False),
    "small, ignore": ("small", "max_offsets_per_trigger: 1000", True),
}


def main() -> None:
    """Print the table and write it to bench/results/drift.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=400_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    watches = ingest_stream.watches
    with workplace() as (root, bootstrap):
        produce(bootstrap, "large", count=arguments.records)
        produce(bootstrap, "small", count=20_000)
        spark = spark_session(app="bench", driver_memory="3g")

        def run(topic: str, extra: str, looked_for: bool) -> None:
            ingest_stream.watches = watches if looked_for else lambda *_, **__: []
            spec = pipeline(root / "run", bootstrap=bootstrap, topic=topic, extra=extra)
            shutil.rmtree(spec.spec.lake.root, ignore_errors=True)
            start_ingest(spark, spec, broker=Broker(bootstrap, {}), until_caught_up=True).wait()

        ways = {name: lambda way=way: run(*way) for name, way in WAYS.items()}
        medians = {name: median_cpu(spent) for name, spent in compared(ways, rounds=arguments.rounds).items()}
    base = {name: medians["small, without" if name.startswith("small") else "without"] for name in WAYS}
    result = {
        "records": arguments.records,
        "rounds": arguments.rounds,
        "cpu_s": {name: round(value, 2) for name, value in medians.items()},
        "against_without": {name: round(value / base[name], 2) for name, value in medians.items()},
        "cores": os.cpu_count(),
    }
    report("drift", result)


if __name__ == "__main__":
    main()
