"""The process that crashes: runs ingests one after the other, each with a fault planted in it, and tells how each ended.

    python driver.py TURNS.json       one JSON line per turn on stdout; a fault may end the process before

A turn: {"verb": "ingest", "folder", "topic", "bootstrap", "fault": null | {"operation", "path", "nth", "action"}, "forever": false}
        {"verb": "train", ...}: the history of rides and a model; {"verb": "score", "ask": [first, last], ...}: requests, then a
        scoring job until all is answered. Here the topic is the prefix of the topics.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from pipelines import write_pipeline
from pyspark.sql import SparkSession
from rides import CUT, ask, train_on_history

from headrace.connections import Broker, connect_tracking
from headrace.errors import HeadraceError
from headrace.ingest.run import start_ingest
from headrace.monitoring.quality import QualityLog
from headrace.serving.run import start_scoring
from headrace.session import spark_session
from headrace.spec import load

SETTINGS = {
    "spark.sql.shuffle.partitions": "2",
    "spark.hadoop.fs.file.impl": "headrace.crash.FaultFileSystem",
    "spark.hadoop.fs.AbstractFileSystem.file.impl": "headrace.crash.FaultFileContext",
    "spark.databricks.delta.properties.defaults.checkpointInterval": "3",
}


class Planted(Exception):
    """The fault of a turn."""


class Steps:
    """Strikes at the nth time that a step is reached."""

    def __init__(self, fault: dict[str, Any] | None) -> None:
        self.fault = fault if fault and fault["operation"] == "step" else None
        self.left = self.fault["nth"] if self.fault else 0
        self.fired = False

    def __call__(self, step: str) -> None:
        if self.fault is None or step != self.fault["path"]:
            return
        self.left -= 1
        if self.left == 0:
            self.fired = True
            action = self.fault["action"]
            if action == "exit":
                os._exit(9)
            elif action == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise Planted


def ingest(spark: SparkSession, turn: dict[str, Any], steps: Steps, told: dict[str, Any]) -> None:
    """Ingest what the topic holds (or for ever)."""
    folder = Path(turn["folder"])
    pipeline = write_pipeline(folder, bootstrap=turn["bootstrap"], topic=turn["topic"], extra=turn.get("extra", ""))
    quality = QualityLog(folder)

    def on_close(suites: Any) -> None:
        steps("validating")
        quality.write(suites)
        steps("validated")

    def on_batch(report: Any) -> None:
        told["rows"] += report.rows
        quality.on_batch(report)

    start_ingest(
        spark, pipeline, broker=Broker(turn["bootstrap"], {}), until_caught_up=not turn.get("forever"),
        trigger_seconds=0.2, on_batch=on_batch, on_step=steps, on_close=on_close,
    ).wait()  # fmt: skip


def prepare_rides(spark: SparkSession, turn: dict[str, Any], steps: Steps, told: dict[str, Any]) -> None:
    """History and a model."""
    train_on_history(spark, Path(turn["folder"]), bootstrap=turn["bootstrap"], prefix=turn["topic"])


def score(spark: SparkSession, turn: dict[str, Any], steps: Steps, told: dict[str, Any]) -> None:
    """Ask, and answer all that was asked for."""
    first, last = turn["ask"]
    if last > first:
        ask(turn["bootstrap"], turn["topic"], first=first, last=last)
    pipeline = load(Path(turn["folder"]))

    def on_score(report: Any) -> None:
        told["rows"] += report.rows

    start_scoring(
        spark, pipeline, broker=Broker(turn["bootstrap"], {}), tracking=connect_tracking(pipeline, home=Path(turn["folder"])),
        until_caught_up=True, starting_at=CUT, trigger_seconds=0.2, on_score=on_score,
    ).run()  # fmt: skip


VERBS = {"ingest": ingest, "train": prepare_rides, "score": score}


def take(spark: SparkSession, turn: dict[str, Any]) -> dict[str, Any]:
    """Run one turn to its end."""
    fault, steps = turn["fault"], Steps(turn["fault"])
    planter = spark._jvm.headrace.crash.Fault
    if fault and fault["operation"] != "step":
        planter.arm(fault["operation"], fault["path"], fault["nth"], fault["action"])
    told = {"folder": turn["folder"], "rows": 0, "error": None}
    try:
        VERBS[turn["verb"]](spark, turn, steps, told)
    except Planted:
        told["error"] = "Planted"
    except HeadraceError as error:
        told["error"] = f"{type(error).__name__}: {error}"
    except Exception as error:
        told["error"] = type(error).__name__
    told["fired"] = steps.fired or bool(planter.fired())
    planter.disarm()
    return told


def main() -> None:
    turns = json.loads(Path(sys.argv[1]).read_text())
    spark = spark_session(app="crash", master="local[2]", driver_memory="1g", settings=SETTINGS)
    for turn in turns:
        print(json.dumps(take(spark, turn)), flush=True)
    os._exit(0)  # a JVM that a fault has ended can't be stopped in order


if __name__ == "__main__":
    main()
