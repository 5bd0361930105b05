"""An audit of a large table: how long it takes and how much memory it needs.

    python bench/audit.py [--millions 100] [--deep-millions 10]

A real topic is filled with empty records. The newest of them are read by Spark into a table of coordinates, in commits of 500,000
rows. What comes before is a month of small batches in the table's log and in the ledger, without its data files: an audit
without ``--deep`` reads none. Then ``headrace audit`` runs as a user runs it, in a process of its own: once over everything, and
once with ``--deep`` on the newest records.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from deltalake import DeltaTable
from measure import report, workplace
from pyspark.sql import Observation
from pyspark.sql import functions as F

from headrace.connections import Broker
from headrace.ingest.records import count_records
from headrace.ingest.source import end_offsets
from headrace.lake.commit import append_once
from headrace.lake.layout import Layout
from headrace.lake.ledger import compact_ledger, open_ledger
from headrace.lake.ledger.blocks import blocks_of
from headrace.lake.ledger.record import BY_SPARK, Record, record_of
from headrace.lake.log import LogEntry, commit_file, parse_entry
from headrace.lake.tables import EVENT_PARTITIONS, create_table
from headrace.session import spark_session

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "stream"))
from pipelines import make_topic, write_pipeline

TOPIC, STREAM, PARTITIONS, AT_ONCE, SMALL = "audited", "readings", 4, 500_000, 8_000
MONTH = datetime(2026, 1, 1, tzinfo=UTC)
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
    arguments = parser.parse_args()
    rows, deep = arguments.millions * 1_000_000, arguments.deep_millions * 1_000_000
    with workplace() as (root, bootstrap):
        pipeline = write_pipeline(root, bootstrap=bootstrap, topic=TOPIC)
        layout = Layout(pipeline.spec.lake.root)
        spark = spark_session(app="bench", driver_memory="2g")
        fill_topic(spark, bootstrap, rows)
        make_table(spark, layout)
        small = write_month(layout, rows - deep)
        compact_ledger(spark, layout.ledger(STREAM))
        begun = datetime.now(UTC)
        large = fill_table(spark, bootstrap, layout, number=small)
        spark.stop()
        result = {
            "rows": rows, "batches": small + large, "files": len(DeltaTable(layout.events(STREAM)).file_uris()),
            "cores": os.cpu_count(), "audit": measured(root),
            f"audit --deep of {arguments.deep_millions} million": measured(root, "--deep", "--from", begun.isoformat()),
        }  # fmt: skip
    report("audit", result)


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


def make_table(spark, layout: Layout) -> None:
    """An empty table of coordinates."""
    schema = rows_of(spark.createDataFrame([], "partition int, offset long, timestamp timestamp"), 0).schema
    plain = [field.name for field in schema if field.name not in (*EVENT_PARTITIONS, "kafka_topic")]
    create_table(spark, layout.events(STREAM), schema=schema, partitions=EVENT_PARTITIONS, statistics=plain)


def write_month(layout: Layout, rows: int) -> int:
    """Commits of 8,000 rows each in the table's log and in the ledger, from ``MONTH`` on, one a minute; how many."""
    table = Path(layout.events(STREAM))
    folder = Path(layout.ledger(STREAM)) / str(DeltaTable(str(table)).metadata().id)
    folder.mkdir(parents=True)
    records: list[Record] = [record_of(_entry(table, 0), rows_of=lambda path: None)]
    for number in range(rows // SMALL):
        file = table / commit_file(number + 1)
        file.write_text("\n".join(json.dumps(action) for action in _small_batch(number)))
        record = record_of(_entry(table, number + 1), rows_of=lambda path: None)
        records.append(replace(record, read=SMALL, counted=BY_SPARK))
    for name, text in blocks_of(records).items():
        (folder / name).write_text(text)
    DeltaTable(str(table)).create_checkpoint()
    return rows // SMALL


def _entry(table: Path, version: int) -> LogEntry:
    return parse_entry(version, (table / commit_file(version)).read_text())


def _small_batch(number: int) -> list[dict[str, object]]:
    each, when = SMALL // PARTITIONS, MONTH + timedelta(minutes=number)
    stamp = int(when.timestamp() * 1000)
    spans = {
        name: dict.fromkeys(range(PARTITIONS), (number + more) * each) for name, more in (("from", 0), ("until", 1))
    }
    told = {"headrace": "batch", "stream": STREAM, "query": "bench", "batch": number, "topic": TOPIC, **spans}
    actions: list[dict[str, object]] = [
        {
            "commitInfo": {
                "timestamp": stamp,
                "operation": "WRITE",
                "operationParameters": {},
                "userMetadata": json.dumps(told),
            }
        }
    ]
    for verdict, rows in (("accepted", SMALL * 99 // 100), ("quarantined", SMALL // 100)):
        partition = {"ingest_date": f"{when:%Y-%m-%d}", "verdict": verdict}
        edges = {"batch_id": number, "kafka_partition": 0, "kafka_offset": number * each}
        stats = {"numRecords": rows, "minValues": edges, "maxValues": edges}
        path = "/".join((*(f"{name}={value}" for name, value in partition.items()), f"part-{number}.parquet"))
        add = {"path": path, "partitionValues": partition, "size": 1, "modificationTime": stamp, "dataChange": True}
        actions.append({"add": {**add, "stats": json.dumps(stats)}})
    return actions


def fill_table(spark, bootstrap: str, layout: Layout, *, number: int) -> int:
    """The rest of the topic in the table, a commit per 500,000 records, each with its ledger entry; how many."""
    table, ends = layout.events(STREAM), end_offsets([TOPIC], bootstrap=bootstrap, options={})[TOPIC]
    count = partial(count_records, Broker(bootstrap, {}), TOPIC)
    ledger = open_ledger(spark, name=STREAM, folder=layout.ledger(STREAM), table=table, count=count)
    start, first = dict.fromkeys(ends, number * SMALL // PARTITIONS), number
    while start != ends:
        until = {partition: min(offset + AT_ONCE // PARTITIONS, ends[partition]) for partition, offset in start.items()}
        told = {
            "headrace": "batch", "stream": STREAM, "query": "bench", "batch": number, "topic": TOPIC, "from": start, "until": until,
        }  # fmt: skip
        observation = Observation()
        records = read(spark, bootstrap, start, until).observe(observation, F.count(F.lit(1)).alias("read"))
        append_once(rows_of(records, number), table, app_id="bench", version=number, metadata=told)
        (record,) = ledger.follow(batch=number, read=observation.get["read"])
        assert record.read == record.total == AT_ONCE
        start, number = until, number + 1
    return number - first


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
