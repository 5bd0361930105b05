"""``headrace demo``: the whole loop on real data, from Kafka to predictions that are held against what came."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from headrace.errors import AccountingError, GateRefused, HeadraceError, StorageError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from headrace.connections import Broker
    from headrace.ingest.writer import BatchReport
    from headrace.monitoring.progress import Progress
    from headrace.serving.run import Scoring
    from headrace.spec import Pipeline

HISTORY = (date(2013, 1, 1), date(2013, 2, 28))
LIVE = (date(2013, 3, 1), date(2013, 3, 31))
CUT = datetime(2013, 3, 1, 5, tzinfo=UTC)
"""Midnight in New York between the two."""
OURS = ("kafka", "lake", "mlflow", "data_docs", "keys.json", "demo.json", "demo.html", "demo-state.json")
MAY_WAIT_S = 120.0


@dataclass
class _Demo:
    home: Path
    speed: float
    stop: threading.Event
    console: Console
    begun: float = field(default_factory=time.monotonic)
    produced: int = 0
    throughput: list[tuple[float, str, int]] = field(default_factory=list)
    """Seconds since the start, stream, rows of a micro-batch."""

    def step(self, text: str) -> None:
        """Announce a step; a stop that was asked for takes effect here."""
        if self.stop.is_set():
            raise KeyboardInterrupt
        self.console.print(f"[bold cyan]{time.monotonic() - self.begun:5.0f} s[/]  {text}", highlight=False)

    def on_batch(self, report: BatchReport) -> None:
        self.throughput.append((time.monotonic() - self.begun, report.stream, report.rows))


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
    state = _prepare(home, fresh=fresh, console=console)
    os.environ |= {
        "HEADRACE_HOME": str(home),
        "HEADRACE_LAKE": str(home / "lake"),
        "HEADRACE_KEYS": str(home / "keys.json"),
    }
    demo = _Demo(home, speed, stop, console)
    with _Memory(home) as memory:
        demo.step("starting Kafka and Spark (the first time this fetches about 60 MB of jars)")
        pipeline = load(_conf())
        broker = connect_broker(pipeline, home=home, notify=console.print)
        spark = spark_session(app="headrace demo", driver_memory="2g", notify=console.print)
        try:
            if state.get("finished") is None:
                _write_state(home, {"begun": datetime.now(UTC).isoformat()})
                _history(demo, spark, pipeline, broker)
                _live(demo, spark, pipeline, broker)
            figures = _sum_up(demo, spark, pipeline, broker, memory)
        finally:
            spark.stop()
    figures = state.get("finished", {}) | {
        k: v for k, v in figures.items() if not (state and k in ("seconds", "peak_rss_mb"))
    }
    (home / "demo.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    _write_state(home, {"finished": figures})
    _show(demo, figures)
    if figures["records_accounted"] != figures["records_produced"]:
        missing = figures["records_produced"] - figures["records_accounted"]
        raise AccountingError(
            f"{missing} of {figures['records_produced']} records are not accounted for; run: headrace demo --fresh"
        )
    return figures


def _history(demo: _Demo, spark: SparkSession, pipeline: Pipeline, broker: Broker) -> None:
    """January and February: feed, ingest until caught up, train, gate."""
    from headrace.connections import connect_tracking
    from headrace.feed.progress import feed_with_progress
    from headrace.monitoring.progress import Progress
    from headrace.training.run import train

    demo.step("feeding January and February 2013 into Kafka")
    made = feed_with_progress(broker=broker, start=HISTORY[0], end=HISTORY[1], speed=0, again=False, stop=demo.stop)
    demo.produced += made.records
    demo.step(
        f"{made.records:,} records in Kafka after {made.seconds:.1f} s; ingesting: decode, check, anonymize, one commit"
    )
    with Progress(console=demo.console) as progress:
        _ingest(demo, spark, pipeline, broker, progress, until_caught_up=True).wait(stop=demo.stop)
    demo.step("training on what was known before 1 March")
    done = train(
        spark, pipeline, tracking=connect_tracking(pipeline, home=demo.home), as_of=CUT, notify=lambda line: demo.step(line)
    )  # fmt: skip
    if not done.promoted:
        raise GateRefused(f"the gate refused version {done.version}: {done.verdict.refusals}")
    demo.step(
        f"model version {done.version} passed the gate (AUC {done.metrics['auc']:.3f} on late February) and is champion"
    )


def _live(demo: _Demo, spark: SparkSession, pipeline: Pipeline, broker: Broker) -> None:
    """March as it streams: feed, ingest and score side by side."""
    from headrace.connections import connect_tracking
    from headrace.feed import feed_flights
    from headrace.monitoring.progress import Progress
    from headrace.serving.run import start_scoring

    demo.step(f"March streams in at {demo.speed:,.0f} times real time; each flight is scored an hour before it leaves")
    fed, failed = threading.Event(), list[BaseException]()

    def feed() -> None:
        try:
            made = feed_flights(
                bootstrap=broker.bootstrap, start=LIVE[0], end=LIVE[1], speed=demo.speed, kafka_options=broker.options,
                stop=demo.stop,
            )  # fmt: skip
            demo.produced += made.records
        except BaseException as error:
            failed.append(error)
        finally:
            fed.set()

    with Progress(console=demo.console) as progress:
        ingest = _ingest(demo, spark, pipeline, broker, progress, until_caught_up=False)
        feeder = threading.Thread(target=feed, name="feed", daemon=True)
        try:
            scoring: Scoring = start_scoring(
                spark, pipeline, broker=broker, tracking=connect_tracking(pipeline, home=demo.home), until_caught_up=False,
                starting_at=CUT, on_score=progress.on_score, notify=progress.notify,
            )  # fmt: skip
            feeder.start()
            scoring.run(stop=demo.stop, finish=fed)
            _caught_up(ingest, pipeline, broker, stop=demo.stop)
        finally:
            ingest.close()
            if feeder.is_alive():
                demo.stop.set()
                feeder.join()
    if failed:
        raise failed[0]
    if demo.stop.is_set():
        raise KeyboardInterrupt


def _ingest(
    demo: _Demo, spark: SparkSession, pipeline: Pipeline, broker: Broker, progress: Progress, *, until_caught_up: bool
):
    from headrace.ingest.run import start_ingest
    from headrace.monitoring.quality import QualityLog

    quality = QualityLog(demo.home)

    def on_batch(report: BatchReport) -> None:
        progress.on_batch(report)
        quality.on_batch(report)
        demo.on_batch(report)

    return start_ingest(
        spark, pipeline, broker=broker, until_caught_up=until_caught_up, on_batch=on_batch, notify=progress.notify,
        on_close=quality.write,
    )  # fmt: skip


def _caught_up(ingest: Any, pipeline: Pipeline, broker: Broker, *, stop: threading.Event) -> None:
    """Wait until every stream is ingested to where its topic ends."""
    from headrace.ingest.source import end_offsets

    topics = {name: stream.topic for name, stream in pipeline.spec.streams.items()}
    ends = end_offsets(topics.values(), bootstrap=broker.bootstrap, options=broker.options)
    deadline = time.monotonic() + MAY_WAIT_S
    while not stop.is_set():
        ingest.raise_error()
        if all(ingest.reached(name, ends[topic]) for name, topic in topics.items()):
            return
        if time.monotonic() > deadline:
            raise HeadraceError(f"ingest did not catch up within {MAY_WAIT_S:.0f} s; run headrace demo again")
        time.sleep(0.3)


def _sum_up(demo: _Demo, spark: SparkSession, pipeline: Pipeline, broker: Broker, memory: _Memory) -> dict[str, Any]:
    from headrace.audit import account
    from headrace.lake.layout import Layout
    from headrace.monitoring.outcome import failed_rule_counts, live_quality
    from headrace.monitoring.report import write_report

    demo.step("accounting for each record, with confluent-kafka and delta-rs")
    layout = Layout(pipeline.spec.lake.root)
    accounts = {
        name: account(broker, topic=stream.topic, table=layout.events(name))
        for name, stream in pipeline.spec.streams.items()
    }
    demo.step("holding the predictions against what came")
    quality, rules = live_quality(spark, pipeline), failed_rule_counts(spark, pipeline)
    verdicts = [account.verdicts for account in accounts.values()]
    figures = {
        "records_produced": demo.produced or sum(account.in_kafka for account in accounts.values()),
        "records_accounted": sum(account.accounted for account in accounts.values()),
        "accepted": sum(found.get("accepted", 0) for found in verdicts),
        "quarantined": sum(found.get("quarantined", 0) for found in verdicts),
        "predictions": quality.predictions,
        "outcomes_known": len(quality.label),
        "auc_live": round(quality.metrics()["auc"], 4),
        "streams": {name: {"records": account.in_kafka, **account.verdicts} for name, account in accounts.items()},
        "rules": rules,
        "seconds": round(time.monotonic() - demo.begun, 1),
        "peak_rss_mb": round(memory.peak_mb),
    }
    write_report(demo.home / "demo.html", figures=figures, quality=quality, throughput=demo.throughput)
    return figures


def _show(demo: _Demo, figures: dict[str, Any]) -> None:
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


def _prepare(home: Path, *, fresh: bool, console: Console) -> dict[str, Any]:
    """What an earlier demo left: its state if it finished, nothing if a new one is to begin (leftovers are removed)."""
    from headrace.embedded import servers

    file = home / "demo-state.json"
    try:
        home.mkdir(parents=True, exist_ok=True)
        state = json.loads(file.read_text(encoding="utf-8")) if file.exists() else None
    except (OSError, ValueError) as error:
        raise StorageError(f"{home} can't be used for the demo ({error}); choose another folder with --home") from None
    if state is None and (home / "lake").exists() and not fresh:
        raise StorageError(f"{home} holds a lake that is not the demo's; choose another folder with --home")
    if state and "finished" in state and not fresh:
        console.print("an earlier demo finished here: summing it up again (headrace demo --fresh starts anew)")
        return state
    if state is not None:
        console.print("removing what an earlier demo left")
    servers.down(home)
    for name in OURS:
        path = home / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    return {}


def _write_state(home: Path, state: dict[str, Any]) -> None:
    temporary = home / "demo-state.json.tmp"
    temporary.write_text(json.dumps(state), encoding="utf-8")
    temporary.replace(home / "demo-state.json")


def _conf() -> Path:
    for folder in (Path.cwd(), Path(__file__).parents[2]):
        if (folder / "conf" / "flights" / "pipeline.yaml").is_file():
            return folder / "conf" / "flights"
    raise StorageError("conf/flights is not here; run the demo from the repository's folder")


class _Memory:
    """Peak resident memory (MiB) of this process, all that it started, and the broker, sampled once a second."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self.peak_mb = 0.0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory", daemon=True)

    def __enter__(self) -> _Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._end.wait(1.0):
            self.peak_mb = max(self.peak_mb, self._now())

    def _now(self) -> float:
        from headrace.embedded.kafka import KafkaBroker

        own, total = psutil.Process(), 0
        broker = KafkaBroker(self._home / "kafka").find()
        pids = {process.pid for process in (own, *own.children(recursive=True))} | ({broker.pid} if broker else set())
        for pid in pids:
            try:
                total += psutil.Process(pid).memory_info().rss
            except psutil.Error:
                continue
        return total / 1024 / 1024
