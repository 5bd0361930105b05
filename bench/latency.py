"""Produce-to-readable latency: from a record's send to its row being visible to an independent reader of the table.

    python bench/latency.py [--rate 1000] [--seconds 30]

A producer sends at a steady rate while ingest runs in continuous mode; delta-rs polls the table, and a record is readable
when the version that holds it is.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from pathlib import Path

import numpy as np
from confluent_kafka import Producer
from deltalake import DeltaTable
from measure import report, workplace

from headrace.connections import Broker
from headrace.ingest.run import start_ingest
from headrace.session import spark_session

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "stream"))
from pipelines import make_topic, reading, write_pipeline

WARM_UP_S = 15


def main() -> None:
    """Print the percentiles and write them to bench/results/latency.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=1000, help="records a second")
    parser.add_argument("--seconds", type=int, default=30)
    arguments = parser.parse_args()
    with workplace() as (root, bootstrap):
        make_topic(bootstrap, "latency", **{"message.timestamp.type": "LogAppendTime"})
        pipeline = write_pipeline(root, bootstrap=bootstrap, topic="latency")
        spark = spark_session(app="bench", driver_memory="2g")
        job = start_ingest(spark, pipeline, broker=Broker(bootstrap, {}), until_caught_up=False, trigger_seconds=0.1)
        sent = threading.Event()
        sender = threading.Thread(target=_send, args=(bootstrap, arguments.rate, arguments.seconds + WARM_UP_S, sent))
        sender.start()
        delays = _watch(str(root / "lake" / "events" / "readings"), sent, skip_s=WARM_UP_S)
        sender.join()
        job.close()
    result = {
        "rate": arguments.rate,
        "records": len(delays),
        "seconds": {f"p{p}": round(float(np.percentile(delays, p)), 2) for p in (50, 90, 99)},
        "cores": os.cpu_count(),
    }
    report("latency", result)


def _send(bootstrap: str, rate: int, seconds: int, sent: threading.Event) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5})
    begun = time.monotonic()
    for number in range(rate * seconds):
        producer.produce("latency", key=f"k{number}", value=reading(number))
        producer.poll(0)
        ahead = begun + number / rate - time.monotonic()
        if ahead > 0.001:
            time.sleep(ahead)
    producer.flush(30)
    sent.set()


def _watch(table: str, sent: threading.Event, *, skip_s: float) -> np.ndarray:
    """Seconds from the broker's timestamp of each record to when its version was seen, warm-up left out."""
    version, seen, delays, first = -1, 0, [], time.time()
    quiet_since = time.monotonic()
    while not sent.is_set() or time.monotonic() - quiet_since < 8:
        try:
            now_version = DeltaTable(table).version()
        except Exception:
            time.sleep(0.1)
            continue
        if now_version == version:
            time.sleep(0.02)
            continue
        now, quiet_since = time.time(), time.monotonic()
        rows = DeltaTable(table, version=now_version).to_pyarrow_table(columns=["batch_id", "kafka_timestamp"])
        stamps = np.sort(rows.column("kafka_timestamp").to_numpy().astype("datetime64[ms]").astype("int64")) / 1000
        fresh = stamps[seen:]
        delays.append((now - fresh)[fresh > first + skip_s])
        seen, version = len(stamps), now_version
    return np.concatenate(delays)


if __name__ == "__main__":
    main()
