"""What came out: the figures, the page on the terminal and the report."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from rich.panel import Panel
from rich.table import Table

from headrace.demo.run import Demo

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from headrace.connections import Broker
    from headrace.demo.memory import PeakMemory
    from headrace.spec import Pipeline


def sum_up(demo: Demo, spark: SparkSession, pipeline: Pipeline, broker: Broker, memory: PeakMemory) -> dict[str, Any]:
    """Account for each record with independent readers, hold predictions against outcomes, write the report; the figures."""
    from headrace.audit import Deeply, audit_stream
    from headrace.lake.tables import ACCEPTED, QUARANTINED
    from headrace.monitoring.outcome import failed_rule_counts, live_quality
    from headrace.monitoring.report import write_report

    demo.step("accounting for each record, with confluent-kafka and delta-rs")
    accounts = {name: audit_stream(pipeline, name, broker=broker, deeply=Deeply()) for name in pipeline.spec.streams}
    compared = {name: found.compared for name, found in accounts.items() if found.compared}
    demo.step("holding the predictions against what came")
    quality, rules = live_quality(spark, pipeline), failed_rule_counts(spark, pipeline)
    figures = {
        "records_produced": demo.produced or sum(found.in_kafka for found in compared.values()),
        "records_accounted": sum(found.once for found in compared.values()),
        "findings": [f"{name}: {finding.text}" for name, found in accounts.items() for finding in found.findings],
        "accepted": sum(found.rows.get(ACCEPTED, 0) for found in accounts.values()),
        "quarantined": sum(found.rows.get(QUARANTINED, 0) for found in accounts.values()),
        "predictions": quality.predictions,
        "outcomes_known": len(quality.label),
        "auc_live": round(quality.metrics()["auc"], 4),
        "streams": {name: {"records": compared[name].in_kafka, **accounts[name].rows} for name in compared},
        "rules": rules,
        "seconds": round(time.monotonic() - demo.begun, 1),
        "peak_rss_mb": round(memory.peak_mb),
    }
    if demo.throughput:  # the page of a finished demo stays: its throughput is not known to a later one
        write_report(demo.home / "demo.html", figures=figures, quality=quality, throughput=demo.throughput)
    return figures


def show(demo: Demo, figures: dict[str, Any]) -> None:
    """The one-page summary."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_column()
    table.add_row("records produced", f"{figures['records_produced']:,}", "")
    same = figures["records_accounted"] == figures["records_produced"]
    table.add_row(
        "records accounted for", f"{figures['records_accounted']:,}", "each exactly once" if same else "[red]NOT ALL[/]"
    )
    table.add_row("accepted", f"{figures['accepted']:,}", "")
    table.add_row("quarantined", f"{figures['quarantined']:,}", "")
    for stream, verdicts in figures["rules"].items():
        for rule, rows in verdicts.get("quarantined", {}).items():
            table.add_row(f"  {stream}: {rule}", f"{rows:,}", "")
    table.add_row("predictions", f"{figures['predictions']:,}", f"{figures['outcomes_known']:,} with a known outcome")
    table.add_row("AUC against what came", f"{figures['auc_live']:.3f}", "an hour before departure")
    table.add_row("time and memory", f"{figures['seconds']:.0f} s", f"{figures['peak_rss_mb']:,} MiB at the peak")
    where = "\n".join(
        [
            f"tables      {demo.home / 'lake'}",
            f"report      {demo.home / 'demo.html'}",
            f"Data Docs   {demo.home / 'data_docs' / 'index.html'}",
            f"figures     {demo.home / 'demo.json'}",
            "MLflow UI   headrace ui"
            if demo.home.name == ".headrace"
            else f"MLflow UI   HEADRACE_HOME={demo.home} headrace ui",
            "clean up    headrace down",
        ]
    )
    demo.console.print(
        Panel(table, title="Headrace: New York's flights, January to March 2013", title_align="left", expand=False)
    )
    demo.console.print(where, soft_wrap=True)
