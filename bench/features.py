"""How long features at a point in time take: 200,000 requests against 1,000,000 events, from Delta tables, on all cores.

    python bench/features.py [--requests 200000] [--events 1000000] [--rounds 3]

Ways: ``last`` (the newest row of a key, its age), ``windows`` (count, mean, max of 1 h and 24 h), ``quantiles`` (p50 and p90 of
1 h), ``all`` of these. 2,000 keys, 30 days. Wall seconds, since that is what one waits for, from the tables to the last value.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from measure import compared, report

from headrace.features.compute import compute_features
from headrace.session import spark_session
from headrace.spec.features import Features

KEYS, DAYS = 2_000, 30
LAST = {"stream": "seen", "by": ["key"], "within": "1d", "columns": {"newest": "value"}, "age": "age"}
WINDOW = {"stream": "seen", "by": ["key"], "over": ["1h", "24h"],
          "aggregates": {"rows": ["count", None], "mean": ["mean", "value"], "most": ["max", "value"]}}  # fmt: skip
QUANTILES = {
    "stream": "seen",
    "by": ["key"],
    "over": ["1h"],
    "aggregates": {"p50": ["p50", "value"], "p90": ["p90", "value"]},
}
WAYS: dict[str, dict[str, list[dict[str, Any]]]] = {
    "last": {"last": [LAST]},
    "windows": {"windows": [WINDOW]},
    "quantiles": {"windows": [QUANTILES]},
    "all": {"last": [LAST], "windows": [WINDOW, QUANTILES]},
}


def main() -> None:
    """Print the table and write it to bench/results/features.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=200_000)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    spark = spark_session(app="bench", driver_memory="4g")
    rng = np.random.default_rng(1)
    asked = _rows(rng, arguments.requests, id=np.arange(arguments.requests).astype(str))
    rows = _rows(rng, arguments.events, value=rng.normal(size=arguments.events))

    def run(place: Path, parts: dict[str, list[dict[str, Any]]]) -> None:
        requests, seen = (spark.read.format("delta").load(str(place / name)) for name in ("asked", "seen"))
        features = Features.model_validate({"requests": "asked", "id": "id", **parts})
        compute_features(requests, {"seen": seen}, features=features).write.format("noop").mode("overwrite").save()

    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as place:
        for name, table in (("asked", asked), ("seen", rows)):
            spark.createDataFrame(table).write.format("delta").save(f"{place}/{name}")
        ways = {name: lambda parts=parts: run(Path(place), parts) for name, parts in WAYS.items()}
        costs = compared(ways, rounds=arguments.rounds)
    figures = {
        "requests": arguments.requests,
        "events": arguments.events,
        "keys": KEYS,
        "rounds": arguments.rounds,
        "wall_s": {name: round(statistics.median(cost.wall_s for cost in spent), 2) for name, spent in costs.items()},
        "cpu_s": {name: round(statistics.median(cost.cpu_s for cost in spent), 2) for name, spent in costs.items()},
        "cores": os.cpu_count(),
    }
    report("features", figures)


def _rows(rng: np.random.Generator, count: int, **columns: np.ndarray) -> pa.Table:
    first = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1_000_000)
    known = first + rng.integers(0, DAYS * 86_400_000_000, count)
    return pa.table(
        {
            "key": pa.array(rng.integers(0, KEYS, count).astype(str)),
            "known_at": pa.array(known, pa.timestamp("us", "UTC")),
            "kafka_partition": pa.array(np.zeros(count, np.int32)),
            "kafka_offset": pa.array(np.arange(count)),
            **{name: pa.array(values) for name, values in columns.items()},
        }
    )


if __name__ == "__main__":
    main()
