"""Continuous training is killed (SIGKILL of the driver) again and again while labels arrive: each labelled row trains once.

Judged by delta-rs and the records as they were sent: what the steps say they consumed adds up to the rides that have an outcome.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from conftest import run_headrace
from deltalake import DeltaTable, write_deltalake
from pipelines import make_topic
from rides import events, make_pipeline, send

from headrace.connections import Broker
from headrace.ingest.run import start_ingest
from headrace.spec import load

pytestmark = pytest.mark.long
KILLS, MINUTES, MOVES_AFTER = 6, 100, 25
SECTION = "continuous: {min_rows: 10, rounds_per_step: 2, candidate_every: 3h}"


def killed_after(folder: Path, seconds: float) -> str:
    """Train continuously until SIGKILL, so many seconds after the first step or candidate was told (or a minute)."""
    command = [sys.executable, "-m", "headrace.cli", "train", str(folder), "--continuous", "--trigger", "0.2"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        env={**os.environ, "HEADRACE_HOME": str(folder / "home")},
    )  # fmt: skip
    assert process.stdout is not None
    told: list[str] = []
    first = threading.Event()

    def read() -> None:
        for line in process.stdout or ():
            told.append(line)
            if line.startswith(("step", "version")):
                first.set()

    reader = threading.Thread(target=read)
    reader.start()
    first.wait(60)
    threading.Event().wait(seconds)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    reader.join()
    return "".join(told)


def consumed(table: str) -> tuple[int, list[int]]:
    """Rows of all steps, and the steps' numbers."""
    rows = DeltaTable(table).to_pyarrow_table(columns=["step", "rows"]).to_pylist()
    return sum(row["rows"] for row in rows), sorted(row["step"] for row in rows)


def test_a_driver_that_is_killed_again_and_again_trains_on_each_row_once(spark, bootstrap: str, tmp_path: Path) -> None:
    pipeline = make_pipeline(tmp_path / "p", bootstrap, "slain")
    text = pipeline.file.read_text().replace("  rounds: 20\n", f"  rounds: 20\n  {SECTION}\n")
    pipeline.file.write_text(text)
    pipeline = load(pipeline.folder)
    for name in ("asked", "moved"):
        make_topic(bootstrap, f"slain.{name}")
    pauses = random.Random(7)
    for number in range(KILLS):
        send(bootstrap, events("slain", first=number * MINUTES, last=(number + 1) * MINUTES))
        start_ingest(spark, pipeline, broker=Broker(bootstrap, {}), until_caught_up=True).wait()
        killed_after(pipeline.folder, pauses.uniform(0, 6))
    environment = {"HEADRACE_HOME": str(pipeline.folder / "home")}
    done = run_headrace("train", str(pipeline.folder), "--continuous", "--until-caught-up", environment=environment)
    assert done.returncode == 0, done.stderr

    table = f"{pipeline.spec.lake.root}/training/slain/steps"
    with_outcome = KILLS * MINUTES - MOVES_AFTER  # known before the newest request
    rows, steps = consumed(table)
    assert rows == with_outcome
    assert steps == list(range(1, len(steps) + 1))
    assert len(steps) > 1
    told = [json.loads(one.get("userMetadata") or "{}") for one in DeltaTable(table).history()]
    assert sorted(one["step"] for one in told if one.get("headrace") == "training step") == steps

    again = DeltaTable(table).to_pyarrow_table().slice(0, 1)
    write_deltalake(table, again, mode="append")  # planted: a step that trained twice
    assert consumed(table)[0] > with_outcome
