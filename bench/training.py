"""What training through Headrace costs beside bare XGBoost on the same Arrow table, and whether its memory is what was said before.

    python bench/training.py [--rows 500000] [--rounds 5]

Ways: ``bare`` (XGBoost alone: bins, boosting, predictions), ``headrace`` (the same through Headrace, and all that it adds: metrics,
importance, pictures, the logged model with signature, in a real MLflow store). They take turns; the ratio is that of each round.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
from measure import compared, report

from headrace.connections import Tracking
from headrace.embedded.mlflow_store import artifact_root, sqlite_uri
from headrace.training import evaluate, registry
from headrace.training.fit import DEFAULTS, fit, importance, predict

FEATURES = tuple(f"f{number}" for number in range(20))
TREES = 100
MEMORY = """
import json, sys
from headrace.session import spark_session
from pyspark.sql import functions as F
from headrace.training.fit import fit, predict
from headrace.training.memory import PeakMemory, memory_needed
from headrace.training.snapshot import read_snapshot, to_arrow, write_snapshot
rows, features, path = int(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3]
spark = spark_session(app="bench", driver_memory="3g")
made = spark.range(rows).select(
    F.format_string("%032d", "id").alias("id"), F.current_timestamp().alias("at"),
    *(F.rand(n).alias(name) for n, name in enumerate(features)),
    (F.rand(99) > 0.7).cast("int").alias("label"), F.current_timestamp().alias("label_known_at"))
write_snapshot(made, path)
with PeakMemory() as memory:
    table = to_arrow(read_snapshot(spark, path))
    booster = fit(table, features=features, label="label", parameters={}, rounds=20, seed=1)
    predict(booster, table, features=features)
print(json.dumps({"rows": rows, "said_mb": round(memory_needed(rows, features=len(features)) / 2**20),
                  "grown_mb": round(memory.peak_mb - memory.begin_mb), "peak_mb": round(memory.peak_mb)}))
"""


def main() -> None:
    """Print the figures and write them to bench/results/training.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    train, test = _rows(arguments.rows), _rows(arguments.rows // 5, seed=2)
    with tempfile.TemporaryDirectory() as folder:
        tracking = Tracking(sqlite_uri(Path(folder)), "bench", artifact_root(Path(folder)))
        experiment = registry.open_tracking(tracking)
        ways: dict[str, Callable[[], object]] = {
            "bare": lambda: _bare(train, test),
            "headrace": lambda: _headrace(train, test, experiment),
        }
        costs = compared(ways, rounds=arguments.rounds)
        memory = [_memory(rows, Path(folder)) for rows in (arguments.rows // 2, arguments.rows)]
    ratios = [ours.wall_s / bare.wall_s for ours, bare in zip(costs["headrace"], costs["bare"], strict=True)]
    report(
        "training",
        {
            "rows": arguments.rows, "features": len(FEATURES), "trees": TREES, "rounds": arguments.rounds,
            "wall_s": {name: round(statistics.median(one.wall_s for one in spent), 2) for name, spent in costs.items()},
            "cpu_s": {name: round(statistics.median(one.cpu_s for one in spent), 2) for name, spent in costs.items()},
            "ratio": round(statistics.median(ratios), 3), "ratio_of_each_round": [round(one, 3) for one in ratios],
            "memory": memory, "cores": os.cpu_count(),
        },
    )  # fmt: skip


def _rows(count: int, seed: int = 1) -> pa.Table:
    chance = np.random.default_rng(seed)
    values = chance.normal(size=(count, len(FEATURES)))
    label = (values[:, :5].sum(axis=1) + chance.normal(scale=2, size=count) > 1).astype("int32")
    return pa.table({**{name: values[:, n] for n, name in enumerate(FEATURES)}, "label": label})


def _bare(train: pa.Table, test: pa.Table) -> None:
    import xgboost as xgb

    data = xgb.QuantileDMatrix(train.select(list(FEATURES)), label=train.column("label").to_numpy())
    booster = xgb.train({**DEFAULTS, "seed": 1, "nthread": os.cpu_count()}, data, num_boost_round=TREES)
    booster.predict(xgb.DMatrix(test.select(list(FEATURES))))


def _headrace(train: pa.Table, test: pa.Table, experiment: str) -> None:
    import mlflow

    with registry.running(experiment, name="bench"):
        booster = fit(train, features=FEATURES, label="label", parameters={}, rounds=TREES, seed=1)
        label, probability = test.column("label").to_numpy(), predict(booster, test, features=FEATURES)
        mlflow.log_metrics(evaluate.metrics(label, probability))
        mlflow.log_figure(evaluate.calibration_plot(label, probability), "calibration.png")
        mlflow.log_figure(evaluate.importance_plot(importance(booster)), "importance.png")
        registry.log_booster(booster, example=train.select(list(FEATURES)).slice(0, 5))


def _memory(rows: int, folder: Path) -> dict[str, int]:
    command = [sys.executable, "-c", MEMORY, str(rows), json.dumps(list(FEATURES)), str(folder / f"rows{rows}")]
    done = subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True, timeout=600)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
