"""An audit of a large table: how long it takes and how much memory it needs.

    python bench/audit.py [--millions 100] [--deep-millions 10] [--all-deep]

A real topic of empty records is filled by Spark and read by Spark into a table of coordinates, in commits of 500,000 rows, each
with its ledger entry. Then ``headrace audit`` runs as a user runs it, in a process of its own: once without ``--deep``, once
with it on the batches of so many millions of records, and with ``--all-deep`` on all of them.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from deltalake import DeltaTable
from pyspark.sql import Observation
from pyspark.sql import functions as F

from headrace.connections import Broker
from headrace.embedded.kafka import KafkaBroker
from headrace.ingest.records import count_records
from headrace.ingest.source import end_offsets
from headrace.lake.commit import append_once
from headrace.lake.layout import Layout
from headrace.lake.ledger import open_ledger
from headrace.lake.tables import EVENT_PARTITIONS, create_table
from headrace.session import spark_session

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "stream"))
from pipelines import make_topic, write_pipeline

TOPIC, STREAM, PARTITIONS, AT_ONCE = "audited", "readings", 4, 500_000
COLUMNS = (
    "'audited' as kafka_topic",
    "partition as kafka_partition",
    "offset as kafka_offset",
    "timestamp as kafka_timestamp",
)


def main() -> None:
    """Print the figures and write them to bench/results/audit.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--millions", type=int, default=100)
    parser.add_argument("--deep-millions", type=int, default=10)
    parser.add_argument("--all-deep", action="store_true")
    arguments = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="headrace-bench-"))
    kafka = KafkaBroker(root / "kafka")
    try:
        bootstrap = kafka.start().bootstrap
        pipeline = write_pipeline(root, bootstrap=bootstrap, topic=TOPIC)
        spark = spark_session(app="bench", driver_memory="2g")
        fill_topic(spark, bootstrap, arguments.millions * 1_000_000)
        layout = Layout(pipeline.spec.lake.root)
        times = fill_table(spark, bootstrap, layout)
        spark.stop()
        after = times[arguments.deep_millions * 1_000_000 // AT_ONCE]
        runs = {
            "audit": measured(root),
            f"audit --deep of {arguments.deep_millions} million": measured(root, "--deep", "--to", after),
        }
        if arguments.all_deep:
            runs[f"audit --deep of {arguments.millions} million"] = measured(root, "--deep")
        table = DeltaTable(layout.events(STREAM))
        result = {
            "rows": arguments.millions * 1_000_000, "batches": len(times) - 1, "files": len(table.file_uris()),
            "cores": os.cpu_count(), **runs,
        }  # fmt: skip
    finally:
        kafka.stop()
        shutil.rmtree(root, ignore_errors=True)
    (Path(__file__).parent / "results" / "audit.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


def fill_topic(spark, bootstrap: str, records: int) -> None:
    """So many empty records."""
    make_topic(bootstrap, TOPIC, partitions=PARTITIONS)
    (
        spark.range(0, records, numPartitions=PARTITIONS)
        .selectExpr("'' as value", f"cast(id % {PARTITIONS} as int) as partition")
        .write.format("kafka")
        .option("kafka.bootstrap.servers", bootstrap)
        .option("topic", TOPIC)
        .option("kafka.acks", "1")
        .option("kafka.linger.ms", "50")
        .option("kafka.batch.size", "500000")
        .option("kafka.compression.type", "zstd")
        .save()
    )


def fill_table(spark, bootstrap: str, layout: Layout) -> list[str]:
    """The topic in a table, a commit per 500,000 records, each with its ledger entry; when each commit was made, and now."""
    table, ends = layout.events(STREAM), end_offsets([TOPIC], bootstrap=bootstrap, options={})[TOPIC]
    schema = rows_of(spark.createDataFrame([], "partition int, offset long, timestamp timestamp"), 0).schema
    plain = [field.name for field in schema if field.name not in (*EVENT_PARTITIONS, "kafka_topic")]
    create_table(spark, table, schema=schema, partitions=EVENT_PARTITIONS, statistics=plain)
    count = partial(count_records, Broker(bootstrap, {}), TOPIC)
    ledger = open_ledger(spark, name=STREAM, folder=layout.ledger(STREAM), table=table, count=count)
    start, number, times = dict.fromkeys(ends, 0), 0, list[str]()
    while start != ends:
        until = {partition: min(offset + AT_ONCE // PARTITIONS, ends[partition]) for partition, offset in start.items()}
        told = {
            "headrace": "batch",
            "stream": STREAM,
            "query": "bench",
            "batch": number,
            "topic": TOPIC,
            "from": start,
            "until": until,
        }
        observation = Observation()
        records = read(spark, bootstrap, start, until).observe(observation, F.count(F.lit(1)).alias("read"))
        append_once(rows_of(records, number), table, app_id="bench", version=number, metadata=told)
        (record,) = ledger.follow(batch=number, read=observation.get["read"])
        times.append(record.at.isoformat())
        print(f"batch {number}: {record.total} rows", flush=True) if number % 20 == 0 else None
        start, number = until, number + 1
    return [*times, datetime.now(UTC).isoformat()]


def read(spark, bootstrap: str, start: dict[int, int], until: dict[int, int]):
    """Records between offsets."""
    reader = spark.read.format("kafka").option("kafka.bootstrap.servers", bootstrap).option("subscribe", TOPIC)
    for name, offsets in (("startingOffsets", start), ("endingOffsets", until)):
        reader = reader.option(name, json.dumps({TOPIC: {str(p): offset for p, offset in offsets.items()}}))
    return reader.load()


def rows_of(records, number: int):
    """Rows of coordinates; one in a hundred is quarantined."""
    return records.selectExpr(
        *COLUMNS, f"{number}L as batch_id", "current_timestamp() as ingested_at", "current_date() as ingest_date",
        "if(offset % 100 = 0, 'quarantined', 'accepted') as verdict",
    )  # fmt: skip


def measured(folder: Path, *options: str) -> dict[str, object]:
    """One run of the command: its seconds and its highest resident memory."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    command = [sys.executable, "-m", "headrace.cli", "audit", str(folder), "--json", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    said = json.loads(process.stdout.read())
    _, status, usage = os.wait4(process.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, said
    (stream,) = said["streams"]
    looked = stream["deep"]["found_once"] if stream["deep"] else stream["read"]
    return {
        "records": looked, "seconds": round(time.monotonic() - begun, 1), "peak_rss_mb": usage.ru_maxrss // 1024,
        "cpu_s": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before.ru_utime, 1),
    }  # fmt: skip


if __name__ == "__main__":
    main()
