"""What pseudonyms cost: the same ingest with keyed pseudonyms of normalized values, and with plain ``sha2`` of the columns.

    python bench/privacy.py [--rows 400000] [--customers 50000] [--rounds 3]

Each record of about 260 bytes has an e-mail address, a phone number, a card number and a name. ``customers`` is from how many
people they come; the second pair of ways has as many people as records, so that nothing repeats.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from measure import Cost, compared, median_cpu
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from headrace.embedded.kafka import KafkaBroker
from headrace.ingest.run import pipeline_ring
from headrace.ingest.source import read_topic
from headrace.session import spark_session
from headrace.spec import Pipeline, load
from headrace.stages.stages import Way, finished, labelled, prepare

PROTECT = {
    "email": {"pseudonym": "email", "as": "email"},
    "phone": {"pseudonym": "phone", "as": "phone", "region": "US"},
    "card": {"pseudonym": "card", "as": "card"},
    "name": {"pseudonym": "name", "as": "text"},
}
FIELDS = {"id": "string", "at": "timestamp", "amount": "double", "merchant": "string", "country": "string",
          **dict.fromkeys(PROTECT, "string")}  # fmt: skip


def main() -> None:
    """Print the table and write it to bench/results/privacy.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--customers", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="headrace-bench-"))
    broker = KafkaBroker(root / "kafka")
    people = {"recurring": arguments.customers, "all new": arguments.rows}
    try:
        bootstrap = broker.start().bootstrap
        spark = spark_session(app="bench", driver_memory="3g")
        ways = {}
        for name, customers in people.items():
            topic = name.replace(" ", "-")
            _send(bootstrap, topic, rows=arguments.rows, customers=customers)
            keyed = _way(spark, root / topic, topic)
            plain = replace(keyed, stream=keyed.stream.model_copy(update={"protect": {}}))
            run = _Runner(spark, bootstrap, topic, root / "out")
            ways[f"sha2, {name}"] = lambda run=run, way=plain: run(
                lambda rows: finished(_hashed(labelled(rows, way)), way)
            )
            ways[f"pseudonyms, {name}"] = lambda run=run, way=keyed: run(
                lambda rows: finished(labelled(rows, way), way)
            )
        costs = compared(ways, rounds=arguments.rounds)
    finally:
        broker.stop()
        shutil.rmtree(root, ignore_errors=True)
    result = {
        "rows": arguments.rows,
        "customers": people,
        "rounds": arguments.rounds,
        "cpu_s": {name: round(median_cpu(spent), 2) for name, spent in costs.items()},
        "rows_per_s": {name: round(arguments.rows / _median_wall(spent)) for name, spent in costs.items()},
        "throughput_against_sha2": {name: _against(costs, name) for name in people},
        "cores": os.cpu_count(),
    }
    folder = Path(__file__).parent / "results"
    folder.mkdir(exist_ok=True)
    (folder / "privacy.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


def _against(costs: dict[str, list[Cost]], name: str) -> dict[str, float]:
    keyed, plain = costs[f"pseudonyms, {name}"], costs[f"sha2, {name}"]
    return {
        "by_cpu": round(median_cpu(plain) / median_cpu(keyed), 2),
        "by_wall_clock": round(_median_wall(plain) / _median_wall(keyed), 2),
    }


def _median_wall(costs: list[Cost]) -> float:
    return statistics.median(spent.wall_s for spent in costs)


def _hashed(rows: DataFrame) -> DataFrame:
    return rows.withColumns({name: F.sha2(F.col(name), 256) for name in PROTECT})


def _way(spark, folder: Path, topic: str) -> Way:
    folder.mkdir(parents=True)
    fields = [{"name": name, "type": kind, "nullable": True, "metadata": {}} for name, kind in FIELDS.items()]
    (folder / "payments.json").write_text(json.dumps({"type": "struct", "fields": fields}))
    stream = {"topic": topic, "schema": "payments.json", "event_time": "at", "known_at": "at", "protect": PROTECT}
    text = {"pipeline": "bench", "keys": {"ring": str(folder / "keys.json")}, "streams": {"payments": stream}}
    (folder / "pipeline.yaml").write_text(json.dumps(text))
    pipeline: Pipeline = load(folder)
    return prepare(spark, pipeline, "payments", ring=pipeline_ring(pipeline))


def _send(bootstrap: str, topic: str, *, rows: int, customers: int) -> None:
    AdminClient({"bootstrap.servers": bootstrap}).create_topics([NewTopic(topic, 2)])[topic].result(20)
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 50, "queue.buffering.max.messages": 1_000_000})
    for record in _records(rows, customers):
        producer.produce(topic, value=record)
        producer.poll(0)
    producer.flush(60)


def _records(rows: int, customers: int) -> Iterator[str]:
    """Each person spells the phone and card number in one of three ways, as chance has it."""
    chance = random.Random(7)
    for number in range(rows):
        person = number if customers >= rows else chance.randrange(customers)
        local, card = f"{2_012_000_000 + person * 17:010d}", f"{4_000_000_000_000_000 + person * 7919:016d}"
        phone = (f"+1{local}", f"({local[:3]}) {local[3:6]}-{local[6:]}", f"1-{local[:3]}-{local[3:6]}-{local[6:]}")
        grouped = (card, " ".join(card[at : at + 4] for at in range(0, 16, 4)), card)
        how = chance.randrange(3)
        yield json.dumps(
            {
                "id": f"p{number:09d}", "at": f"2026-01-01T{number // 3600 % 24:02d}:{number // 60 % 60:02d}:{number % 60:02d}Z",
                "amount": chance.randrange(100_000) / 100, "merchant": f"m{chance.randrange(5000):05d}", "country": "US",
                "email": f"Person.{person}@Mail{person % 50}.Example", "phone": phone[how], "card": grouped[how],
                "name": f"Given{person % 5000} Family{person}",
            }
        )  # fmt: skip


class _Runner:
    def __init__(self, spark, bootstrap: str, topic: str, out: Path) -> None:
        self.spark, self.bootstrap, self.topic, self.out = spark, bootstrap, topic, out

    def __call__(self, stages) -> None:
        shutil.rmtree(self.out, ignore_errors=True)
        records = read_topic(self.spark, self.topic, bootstrap=self.bootstrap, options={}, max_offsets=200_000)

        def batch(rows: DataFrame, _: int) -> None:
            made = stages(rows).withColumn("ingest_date", F.current_date())
            made.write.format("delta").mode("append").partitionBy("ingest_date", "verdict").save(str(self.out / "t"))

        query = records.writeStream.option("checkpointLocation", str(self.out / "checkpoint")).foreachBatch(batch)
        query.trigger(availableNow=True).start().awaitTermination()


if __name__ == "__main__":
    main()
