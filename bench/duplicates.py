"""What knowing copies costs: the same topic through the ingest without and with `duplicates`, by keys in memory.

    python bench/duplicates.py [--records 300000] [--rounds 3]

Ways: ``without``; ``0``, ``1 M`` and ``10 M``: with so many keys of earlier records in memory; ``1 % copies``: with 1 M keys and
a topic in which every hundredth record is sent twice within a batch. Also: how fast a restart reads the keys of a table.
The first batch of each run is left out: it compiles code, and a sample of it is looked at.
"""

from __future__ import annotations

import argparse
import os
import shutil
import time

import numpy as np
from measure import Cost, compared, drained, median_cpu, report, workplace
from readings import pipeline, produce

from headrace.connections import Broker
from headrace.ingest import duplicates
from headrace.ingest.firsts import Firsts
from headrace.ingest.key_index import BYTES_PER_KEY, KeyIndex, Keys
from headrace.ingest.run import start_ingest
from headrace.session import spark_session

MILLION = 1_000_000


def main() -> None:
    """Print the table and write it to bench/results/duplicates.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with workplace() as (root, bootstrap):
        for topic, share in (("plain", 0.0), ("copied", 0.01)):
            produce(bootstrap, topic, count=arguments.records, share=share)
        spark = spark_session(app="bench", driver_memory="3g")
        filled = {size: _index(size) for size in (0, MILLION, 10 * MILLION)}

        def run(topic: str, keys: int | None) -> Cost:
            extra = "" if keys is None else "duplicates: {by: [id], within: 7d}"
            spec = pipeline(root / "run", bootstrap=bootstrap, topic=topic, extra=extra)
            shutil.rmtree(spec.spec.lake.root, ignore_errors=True)
            duplicates.read_firsts = _remembering(filled[keys or 0])
            return drained(
                lambda heard: start_ingest(
                    spark, spec, broker=Broker(bootstrap, {}), until_caught_up=True, on_batch=heard
                )
            )

        read_firsts = duplicates.read_firsts
        ways = {
            "without": lambda: run("plain", None),
            "0": lambda: run("plain", 0),
            "1 M": lambda: run("plain", MILLION),
            "10 M": lambda: run("plain", 10 * MILLION),
            "1 % copies": lambda: run("copied", MILLION),
        }
        medians = {name: median_cpu(spent) for name, spent in compared(ways, rounds=arguments.rounds).items()}
        firsts, begun = Firsts(within=10**12, newest={0: 0, 1: 0}), time.monotonic()
        read_firsts(spark, str(root / "run" / "lake" / "events" / "readings"), by=["id"], into=firsts)
        read_s = time.monotonic() - begun
    result = {
        "records": arguments.records,
        "rounds": arguments.rounds,
        "cpu_s": {name: round(value, 2) for name, value in medians.items()},
        "against_without": {name: round(value / medians["without"], 2) for name, value in medians.items()},
        "bytes_per_key": BYTES_PER_KEY,
        "keys_read_per_second_at_start": round(len(firsts.index) / read_s),
        "cores": os.cpu_count(),
    }
    report("duplicates", result)


def _remembering(filled: KeyIndex):
    def read_firsts(*_: object, into: Firsts, **__: object) -> None:
        into.index._runs = list(filled._runs)

    return read_firsts


def _index(size: int) -> KeyIndex:
    """Keys of earlier batches that no record of the topics has."""
    index, rng = KeyIndex(), np.random.default_rng(1)
    for begin in range(0, size, 200_000):
        high, low = rng.integers(-(2**63), 2**63 - 1, (2, 200_000))
        offset = np.arange(begin, begin + 200_000)
        index.add(Keys(high, low, np.full(200_000, 10**14), (offset % 2).astype(np.int32), offset), floors={})
    return index


if __name__ == "__main__":
    main()
