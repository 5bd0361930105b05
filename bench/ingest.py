"""What validation costs: the same topic through the ingest with and without its rules, and with GX's own validate().

    python bench/ingest.py [--days 59] [--rounds 3]

Ways: ``bare`` (from_json to Delta: no guards, no pseudonyms, no rules), ``without rules`` (our stages but for the rules),
``headrace`` (everything), ``GX validate()`` (our stages without rules, GX's validate() on each micro-batch, two writes).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

from measure import compared, median_cpu
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from headrace.connections import connect_broker
from headrace.embedded.kafka import KafkaBroker
from headrace.feed import feed_flights
from headrace.ingest.run import pipeline_ring
from headrace.ingest.source import read_topic
from headrace.quality import count_aggregates
from headrace.session import spark_session
from headrace.spec import load
from headrace.stages.stages import Way, finished, labelled, prepare

STREAM = "movements"


def main() -> None:
    """Print the table and write it to bench/results/ingest.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=59)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="headrace-bench-"))
    os.environ |= {
        "HEADRACE_HOME": str(root),
        "HEADRACE_LAKE": str(root / "lake"),
        "HEADRACE_KEYS": str(root / "keys.json"),
    }
    pipeline = load(Path(__file__).parents[1] / "conf" / "flights")
    broker = connect_broker(pipeline, home=root)
    try:
        start = date(2013, 1, 1)
        made = feed_flights(bootstrap=broker.bootstrap, start=start, end=start + timedelta(days=arguments.days - 1))
        rows = made.counts[pipeline.spec.streams[STREAM].topic]
        spark = spark_session(app="bench", driver_memory="3g")
        ring = pipeline_ring(pipeline)
        ruled = prepare(spark, pipeline, STREAM, ring=ring)
        plain = replace(ruled, suite=None)
        run = _Runner(spark, broker.bootstrap, ruled, root / "out")
        ways = {
            "bare": lambda: run(lambda batch, _: run.append(_bare(batch, ruled), "t")),
            "without rules": lambda: run(lambda batch, _: run.append(finished(labelled(batch, plain), plain), "t")),
            "headrace": lambda: run(lambda batch, _: _headrace(run, batch, ruled)),
            "GX validate()": lambda: run(_gx_validate(run, ruled, plain, pipeline.suite_file(STREAM))),
        }
        costs = compared(ways, rounds=arguments.rounds)
    finally:
        KafkaBroker(root / "kafka").stop()
        shutil.rmtree(root, ignore_errors=True)
    medians = {name: median_cpu(spent) for name, spent in costs.items()}
    result = {
        "rows": rows,
        "rounds": arguments.rounds,
        "rules": len(ruled.suite.rules) if ruled.suite else 0,
        "cpu_s": {name: round(value, 2) for name, value in medians.items()},
        "against_without_rules": {name: round(value / medians["without rules"], 2) for name, value in medians.items()},
        "cores": os.cpu_count(),
    }
    folder = Path(__file__).parent / "results"
    folder.mkdir(exist_ok=True)
    (folder / "ingest.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


class _Runner:
    def __init__(self, spark, bootstrap: str, way: Way, out: Path) -> None:
        self.spark, self.bootstrap, self.way, self.out = spark, bootstrap, way, out

    def __call__(self, batch) -> None:
        shutil.rmtree(self.out, ignore_errors=True)
        records = read_topic(
            self.spark, self.way.stream.topic, bootstrap=self.bootstrap, options={}, max_offsets=200_000
        )
        query = (
            records.writeStream.option("checkpointLocation", str(self.out / "checkpoint"))
            .foreachBatch(batch)
            .trigger(availableNow=True)
            .start()
        )
        query.awaitTermination()

    def append(self, rows: DataFrame, table: str, *partitions: str) -> None:
        writer = rows.write.format("delta").mode("append")
        (writer.partitionBy(*partitions) if partitions else writer).save(str(self.out / table))


def _bare(batch: DataFrame, way: Way) -> DataFrame:
    parsed = batch.withColumn("e", F.from_json(F.col("value").cast("string"), way.schema))
    return parsed.select("e.*", "topic", "partition", "offset", "timestamp")


def _headrace(run: _Runner, batch: DataFrame, way: Way) -> None:
    from pyspark.sql import Observation

    rows = labelled(batch, way)
    observation = Observation()
    counts = count_aggregates(way.suite, decoded=way.decoded)
    rows = rows.observe(observation, *(column.alias(name) for name, column in counts.items()))
    run.append(finished(rows, way).withColumn("ingest_date", F.current_date()), "t", "ingest_date", "verdict")
    assert observation.get


def _gx_validate(run: _Runner, ruled: Way, plain: Way, suite_file: Path):
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    suite = context.suites.add(gx.ExpectationSuite(**json.loads(suite_file.read_text())))
    source = context.data_sources.add_spark("spark", persist=False)
    definition = source.add_dataframe_asset("batch").add_batch_definition_whole_dataframe("all")

    def validate(batch: DataFrame, _: int) -> None:
        rows = labelled(batch, plain)
        definition.get_batch(batch_parameters={"dataframe": rows}).validate(suite, result_format="SUMMARY")
        verdict = labelled(batch, ruled)
        run.append(finished(verdict.where("verdict = 'accepted'"), ruled), "accepted")
        run.append(finished(verdict.where("verdict = 'quarantined'"), ruled), "quarantined")

    return validate


if __name__ == "__main__":
    main()
