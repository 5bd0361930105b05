"""A pipeline that scores: rides are asked for, move later, and are late where their place is in trouble."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines import make_topic

from headrace.connections import Broker, connect_tracking
from headrace.feed import Record, produce
from headrace.ingest.run import start_ingest
from headrace.spec import Pipeline, load
from headrace.training.run import train

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

START = datetime(2026, 1, 1, tzinfo=UTC)
CUT = START + timedelta(hours=10)
PIPELINE = """pipeline: rides
kafka: {{bootstrap_servers: "{bootstrap}"}}
lake: {{path: {folder}/lake}}
mlflow: {{experiment: rides}}
keys: {{ring: {folder}/keys.json}}
streams:
  asked: {{topic: {prefix}.asked, schema: asked.json, event_time: at, known_at: at}}
  moved: {{topic: {prefix}.moved, schema: moved.json, event_time: at, known_at: at}}
features:
  requests: asked
  id: id
  columns: {{minute: minute(at)}}
  last:
    - {{stream: moved, by: [place], within: 1h, columns: {{last_delay: delay}}, age: last_age}}
  windows:
    - {{stream: moved, by: [place], over: [30m], aggregates: {{delay_mean: [mean, delay], seen: [count, delay]}}}}
label: {{stream: moved, by: ride, positive: delay > 10}}
model:
  name: {prefix}
  rounds: 20
  gate: {{minimum_rows: 50, tolerance: 1.0}}
scoring: {{topic: {prefix}.answers}}
"""


def schema(*fields: tuple[str, str]) -> str:
    return json.dumps(
        {"type": "struct", "fields": [{"name": n, "type": t, "nullable": False, "metadata": {}} for n, t in fields]}
    )  # fmt: skip


def make_pipeline(folder: Path, bootstrap: str, prefix: str) -> Pipeline:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "asked.json").write_text(schema(("id", "string"), ("at", "timestamp"), ("place", "string")))
    (folder / "moved.json").write_text(
        schema(("ride", "string"), ("at", "timestamp"), ("place", "string"), ("delay", "double"))
    )  # fmt: skip
    (folder / "pipeline.yaml").write_text(PIPELINE.format(folder=folder, bootstrap=bootstrap, prefix=prefix))
    return load(folder)


def events(prefix: str, *, first: int, last: int) -> list[Record]:
    """A ride is asked for each minute; 25 minutes later it has moved, late when its place is in trouble."""
    made: list[Record] = []
    for minute in range(first, last):
        place = "abc"[random.Random(minute).randrange(3)]
        trouble = (minute // 60 + "abc".index(place)) % 3 == 0
        delay = random.Random(-minute).gauss(18 if trouble else 3, 6)
        for topic, offset, value in (
            ("asked", 0, {"id": f"r{minute}", "place": place}),
            ("moved", 25, {"ride": f"r{minute}", "place": place, "delay": round(delay, 2)}),
        ):
            at = START + timedelta(minutes=minute + offset)
            body = json.dumps({**value, "at": at.isoformat().replace("+00:00", "Z")})
            made.append(
                Record(
                    f"{prefix}.{topic}",
                    value.get("id", value.get("ride")).encode(),
                    body.encode(),
                    int(at.timestamp() * 1000),
                    [],
                )
            )
    return sorted(made, key=lambda record: record.sent_at)


def send(bootstrap: str, records: list[Record]) -> None:
    produce(
        records,
        size=len(records),
        bootstrap=bootstrap,
        held_back=frozenset({records[0].topic.split(".")[0] + ".asked"}),
    )


def train_on_history(spark: SparkSession, folder: Path, *, bootstrap: str, prefix: str) -> Pipeline:
    """Ten hours of rides on new topics, ingested, and a promoted model."""
    pipeline = make_pipeline(folder, bootstrap, prefix)
    for name in ("asked", "moved"):
        make_topic(bootstrap, f"{prefix}.{name}")
    send(bootstrap, events(prefix, first=0, last=600))
    start_ingest(spark, pipeline, broker=Broker(bootstrap, {}), until_caught_up=True).wait()
    assert train(spark, pipeline, tracking=connect_tracking(pipeline, home=folder), as_of=CUT).promoted
    return pipeline


def ask(bootstrap: str, prefix: str, *, first: int, last: int) -> None:
    """Send requests that no ride has followed yet."""
    asked = [record for record in events(prefix, first=first, last=last) if record.topic.endswith(".asked")]
    produce(asked, size=len(asked), bootstrap=bootstrap)
