"""What it costs to read the headers of Kafka records and to seal them with what is quarantined.

    python bench/headers.py [--records 300000] [--rounds 5]

Two topics hold the same readings, 2 % of them broken: ``bare`` records have no headers, ``headed`` ones have three. Each is
ingested as Headrace does, and by the same stages with Spark's option ``includeHeaders`` left out.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
from functools import partial
from pathlib import Path

from confluent_kafka import Producer
from measure import compared, report, workplace
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from headrace.ingest.run import pipeline_ring
from headrace.ingest.source import read_topic
from headrace.session import spark_session
from headrace.stages.stages import Way, finished, labelled, prepare

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "stream"))
from pipelines import make_topic, reading, write_pipeline

HEADERS = [
    ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ("schema", b"7"),
    ("from", b"m1"),
]
TOPICS = {"bare": None, "headed": HEADERS}


def main() -> None:
    """Print the ratios and write them to bench/results/headers.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with workplace() as (root, bootstrap):
        _send(bootstrap, arguments.records)
        spark = spark_session(app="bench", driver_memory="3g")
        pipeline = write_pipeline(root, bootstrap=bootstrap, topic="bare")
        way = prepare(spark, pipeline, "readings", ring=pipeline_ring(pipeline))
        ways = {
            f"{topic}, {how}": partial(_ingest, read(spark, topic, bootstrap), way, root / "out")
            for topic in TOPICS
            for how, read in (("without", _without_headers), ("with", _with_headers))
        }
        costs = compared(ways, rounds=arguments.rounds)
    spent = {name: [cost.cpu_s for cost in list_] for name, list_ in costs.items()}
    ratios = {t: [b / a for a, b in zip(spent[f"{t}, without"], spent[f"{t}, with"], strict=True)] for t in TOPICS}
    result = {
        "records": arguments.records,
        "rounds": arguments.rounds,
        "cpu_s": {name: round(statistics.median(values), 2) for name, values in spent.items()},
        "with_against_without": {topic: round(statistics.median(values), 2) for topic, values in ratios.items()},
        "by_round": {topic: [round(value, 2) for value in values] for topic, values in ratios.items()},
        "cores": os.cpu_count(),
    }
    report("headers", result)


def _send(bootstrap: str, records: int) -> None:
    for topic, headers in TOPICS.items():
        make_topic(bootstrap, topic)
        producer = Producer(
            {"bootstrap.servers": bootstrap, "linger.ms": 20, "queue.buffering.max.messages": 2 * records}
        )
        for n in range(records):
            producer.produce(topic, key=f"k{n}", value=reading(n) if n % 50 else "oops", headers=headers)
            producer.poll(0)
        producer.flush(60)


def _with_headers(spark, topic: str, bootstrap: str) -> DataFrame:
    return read_topic(spark, topic, bootstrap=bootstrap, options={}, max_offsets=200_000)


def _without_headers(spark, topic: str, bootstrap: str) -> DataFrame:
    options = {"kafka.bootstrap.servers": bootstrap, "subscribe": topic, "startingOffsets": "earliest"}
    options |= {"maxOffsetsPerTrigger": "200000", "kafka.isolation.level": "read_committed"}
    records = spark.readStream.format("kafka").options(**options).load()
    return records.withColumn("headers", F.lit(None).cast("array<struct<key: string, value: binary>>"))


def _ingest(records: DataFrame, way: Way, out: Path) -> None:
    shutil.rmtree(out, ignore_errors=True)

    def write(batch: DataFrame, _: int) -> None:
        rows = finished(labelled(batch, way), way).withColumn("ingest_date", F.current_date())
        rows.write.format("delta").mode("append").partitionBy("ingest_date", "verdict").save(str(out / "t"))

    query = records.writeStream.option("checkpointLocation", str(out / "checkpoint")).foreachBatch(write)
    query.trigger(availableNow=True).start().awaitTermination()


if __name__ == "__main__":
    main()
