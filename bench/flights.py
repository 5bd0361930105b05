"""How well the flights pipeline predicts what it has not seen, and what becomes of planted leaks.

    python bench/flights.py [--home FOLDER] [--trials 12] [--seeds 5] [--without-leaks | --only-leaks]

All of 2013 goes through the real pipeline (embedded Kafka, ingest, features at T-60). Parameters are searched on January to June
only, as far as known before July; then one model for each seed trains on January to June and is tested on July to December.
``--home``: a folder whose lake already holds the year is used as it is, and one without is filled and kept.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
from leaks import planted
from measure import RESULTS, report
from year import FLIGHTS, fill

from headrace.connections import connect_tracking
from headrace.embedded.kafka import KafkaBroker
from headrace.session import spark_session
from headrace.spec import load
from headrace.training import evaluate
from headrace.training.dataset import LABEL, LABEL_KNOWN_AT, build_dataset
from headrace.training.fit import fit, predict
from headrace.training.search import search
from headrace.training.snapshot import to_arrow

NEW_YORK = ZoneInfo("America/New_York")
CUT = datetime(2013, 7, 1, tzinfo=NEW_YORK).astimezone(UTC)
END = datetime(2014, 1, 4, tzinfo=UTC)
"""When the last landing of the year is known."""


def main() -> None:
    """Print the figures and write them to bench/results/flights.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=5)
    parts = parser.add_mutually_exclusive_group()
    parts.add_argument("--without-leaks", action="store_true", help="leave out the planted leaks")
    parts.add_argument(
        "--only-leaks", action="store_true", help="measure the planted leaks anew, and keep the other figures"
    )
    arguments = parser.parse_args()
    home = arguments.home or Path(tempfile.mkdtemp(prefix="headrace-bench-"))
    spark = spark_session(app="bench", driver_memory="3g")
    try:
        if arguments.only_leaks:
            figures = json.loads((RESULTS / "flights.json").read_text(encoding="utf-8"))
        else:
            figures = _measured(spark, home, trials=arguments.trials, seeds=arguments.seeds)
        if not arguments.without_leaks:
            figures["leaks"] = planted(spark, home / "leaks")
    finally:
        KafkaBroker(home / "kafka").stop()
        if arguments.home is None:
            shutil.rmtree(home, ignore_errors=True)
    report("flights", figures)


def _measured(spark, home: Path, *, trials: int, seeds: int) -> dict[str, object]:
    fill(spark, home)
    pipeline = load(FLIGHTS)
    tracking = connect_tracking(pipeline, home=home)
    winner = search(spark, pipeline, tracking=tracking, broker=None, as_of=CUT, home=home, trials=trials, notify=print)
    assert winner is not None
    dataset = build_dataset(spark, pipeline, as_of=END)
    rows = to_arrow(dataset.frame)
    at, known = (np.array(rows.column(name).to_pylist()) for name in ("at", LABEL_KNOWN_AT))
    train, test = rows.filter(pa.array((at < CUT) & (known < CUT))), rows.filter(pa.array(at >= CUT))
    months = np.array([moment.astimezone(NEW_YORK).month for moment in at[at >= CUT]])
    parameters = {**pipeline.spec.model.parameters, **winner.parameters}
    schedule = tuple(pipeline.spec.features.columns)
    runs = {
        name: [
            _judged(train, test, months, features=features, parameters=parameters, rounds=winner.rounds, seed=seed)
            for seed in range(1, seeds + 1)
        ]
        for name, features in (("all", dataset.features), ("schedule", schedule))
    }
    return {
        "commit": _commit(),
        "rows_train": train.num_rows,
        "rows_test": test.num_rows,
        "features": len(dataset.features),
        "seeds": seeds,
        "trials": winner.trials,
        "pruned": winner.pruned,
        "parameters": parameters,
        "rounds": winner.rounds,
        "auc_of_folds_in_the_search": round(winner.best, 4),
        "auc": round(statistics.fmean(overall for overall, _ in runs["all"]), 4),
        "auc_of_each_seed": [round(overall, 4) for overall, _ in runs["all"]],
        "auc_by_month": {
            month: round(statistics.fmean(by[month] for _, by in runs["all"]), 4) for month in sorted(set(months.tolist()))
        },
        "auc_schedule_only": round(statistics.fmean(overall for overall, _ in runs["schedule"]), 4),
        "reproduced": _reproduced(spark, dataset, train, parameters=parameters, rounds=winner.rounds),
    }  # fmt: skip


def _judged(
    train: pa.Table,
    test: pa.Table,
    months: np.ndarray,
    *,
    features: tuple[str, ...],
    parameters: dict,
    rounds: int,
    seed: int,
) -> tuple[float, dict[int, float]]:
    booster = fit(train, features=features, label=LABEL, parameters=parameters, rounds=rounds, seed=seed)
    label, probability = test.column(LABEL).to_numpy(), predict(booster, test, features=features)
    by = {
        month: evaluate.metrics(label[months == month], probability[months == month])["auc"] for month in set(months.tolist())
    }  # fmt: skip
    return evaluate.metrics(label, probability)["auc"], by


def _reproduced(spark, dataset, train: pa.Table, *, parameters: dict, rounds: int) -> dict[str, object]:
    """The same model, byte for byte, from other numbers of partitions and threads, out of rows that were computed anew."""
    import xgboost as xgb

    first = fit(train, features=dataset.features, label=LABEL, parameters=parameters, rounds=rounds, seed=1)
    before = spark.conf.get("spark.sql.shuffle.partitions")
    spark.conf.set("spark.sql.shuffle.partitions", "7")
    try:
        rows = to_arrow(dataset.frame.repartition(5))
    finally:
        spark.conf.set("spark.sql.shuffle.partitions", before)
    at, known = (np.array(rows.column(name).to_pylist()) for name in ("at", LABEL_KNOWN_AT))
    again = rows.filter(pa.array((at < CUT) & (known < CUT)))
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        second = fit(again, features=dataset.features, label=LABEL, parameters=parameters, rounds=rounds, seed=1)
    finally:
        os.sched_setaffinity(0, cores)
    same = bytes(first.save_raw("ubj")) == bytes(second.save_raw("ubj"))
    assert isinstance(first, xgb.Booster)
    return {"byte_for_byte": same, "partitions": [int(before), 7], "threads": [len(cores), 1]}


def _commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


if __name__ == "__main__":
    main()
