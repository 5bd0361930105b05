"""All of 2013's flights through the real pipeline, once: embedded Kafka, ingest until caught up."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

from headrace.connections import connect_broker
from headrace.feed import feed_flights
from headrace.ingest.run import start_ingest
from headrace.lake import delta
from headrace.lake.layout import Layout
from headrace.spec import load

FLIGHTS = Path(__file__).parents[1] / "conf" / "flights"


def use(home: Path) -> None:
    """Let ``conf/flights`` lie in ``home``."""
    os.environ |= {
        "HEADRACE_HOME": str(home),
        "HEADRACE_LAKE": str(home / "lake"),
        "HEADRACE_KEYS": str(home / "keys.json"),
    }


def fill(spark, home: Path, *, start: date = date(2013, 1, 1), end: date = date(2013, 12, 31)) -> None:
    """Feed and ingest these days, unless the lake is there."""
    use(home)
    pipeline = load(FLIGHTS)
    if delta.exists(spark, Layout(pipeline.spec.lake.root).events("movements")):
        return
    broker = connect_broker(pipeline, home=home, notify=print)
    made = feed_flights(bootstrap=broker.bootstrap, start=start, end=end)
    print(f"{made.records:,} records in Kafka", flush=True)
    start_ingest(spark, pipeline, broker=broker, until_caught_up=True, notify=print).wait()
