"""``headrace demo``: the whole loop on real data, from Kafka to predictions that are held against what came."""

from __future__ import annotations

import json
import os
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from headrace.demo.home import pipeline_folder, prepare, write_state
from headrace.demo.memory import PeakMemory
from headrace.demo.run import Demo
from headrace.demo.steps import history, live
from headrace.demo.summary import show, sum_up
from headrace.errors import AccountingError

__all__ = ["run_demo"]


def run_demo(*, home: Path | None, fresh: bool, speed: float, stop: threading.Event) -> dict[str, Any]:
    """Run the demo in ``home`` (default ``.headrace``) and write ``demo.json`` and ``demo.html`` there; the figures.

    A finished demo is only summed up again; an interrupted one starts clean. Raises AccountingError where a record is not
    accounted for, GateRefused where the model did not pass, and what the steps raise.
    """
    from headrace.connections import connect_broker, home_folder
    from headrace.session import spark_session
    from headrace.spec import load

    home = (home or home_folder()).absolute()
    console = Console(highlight=False)
    state = prepare(home, fresh=fresh, console=console)
    ours = {"HEADRACE_HOME": str(home), "HEADRACE_LAKE": str(home / "lake"), "HEADRACE_KEYS": str(home / "keys.json")}
    elsewhere = ("HEADRACE_KAFKA", "MLFLOW_TRACKING_URI")  # the demo touches no server but its own
    environment = {name: value for name, value in os.environ.items() if name not in elsewhere} | ours
    demo = Demo(home, speed, stop, console)
    with PeakMemory(home) as memory:
        demo.step("starting Kafka and Spark (the first time this fetches about 60 MB of jars)")
        pipeline = load(pipeline_folder(), environment)
        broker = connect_broker(pipeline, home=home, notify=console.print)
        spark = spark_session(app="headrace demo", driver_memory="2g", notify=console.print)
        try:
            if state.get("finished") is None:
                write_state(home, {"begun": datetime.now(UTC).isoformat()})
                history(demo, spark, pipeline, broker)
                live(demo, spark, pipeline, broker)
            figures = sum_up(demo, spark, pipeline, broker, memory)
        finally:
            spark.stop()
    figures = state.get("finished", {}) | {
        k: v for k, v in figures.items() if not (state and k in ("seconds", "peak_rss_mb"))
    }
    (home / "demo.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    write_state(home, {"finished": figures})
    show(demo, figures)
    missing = figures["records_produced"] - figures["records_accounted"]
    if missing or figures["findings"]:
        why = "".join(f"; {finding}" for finding in figures["findings"])
        raise AccountingError(
            f"{missing} of {figures['records_produced']} records are not accounted for{why}; run: headrace demo --fresh"
        )
    return figures
