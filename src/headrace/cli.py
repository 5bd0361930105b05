"""``headrace <verb>``: the same verbs as ``jobs/``, and those that only a person at a terminal needs."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console

from headrace.errors import INTERRUPTED, GateRefused, HeadraceError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from headrace.connections import Broker
    from headrace.embedded.servers import Status
    from headrace.ingest.writer import BatchReport
    from headrace.monitoring.progress import Progress
    from headrace.spec import Pipeline

app = typer.Typer(
    help="Headrace leads event streams to trained models: Kafka in, Delta and MLflow out, every record accounted for.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
PipelinePath = Annotated[Path, typer.Argument(metavar="PIPELINE", help="folder with pipeline.yaml, or the file itself")]
CaughtUp = Annotated[bool, typer.Option("--until-caught-up", help="read up to where the topics end now, then end")]
Trigger = Annotated[float, typer.Option(min=0.1, help="seconds between two micro-batches")]
Master = Annotated[str | None, typer.Option(help="Spark master (default: all cores of this machine)")]
Memory = Annotated[str, typer.Option("--driver-memory", help="memory of the Spark driver")]


def say(line: str) -> None:
    """A sentence for the person at the terminal, on stderr."""
    Console(stderr=True, highlight=False, markup=False, soft_wrap=True).print(line)


def main() -> NoReturn:
    """Run a command and exit with its code (docs/exit-codes.md)."""
    code: object = 0
    try:
        code = app(standalone_mode=False)  # typer turns Ctrl-C, and what a command exits with, into a returned code
        if code == INTERRUPTED:
            say("stopped")
    except HeadraceError as error:
        say(f"{'refused' if isinstance(error, GateRefused) else 'error'}: {error}")
        _leave(error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        say("stopped")
        _leave(INTERRUPTED)
    except typer.Exit as end:
        _leave(end.exit_code)
    except Exception as error:
        if hasattr(error, "show") and hasattr(error, "exit_code"):
            error.show()  # pyright: ignore[reportAttributeAccessIssue]
            _leave(error.exit_code)  # pyright: ignore[reportAttributeAccessIssue]
        if os.environ.get("HEADRACE_DEBUG"):
            raise
        first = (str(error).strip().splitlines() or [""])[0][:300]
        say(f"error: unexpected {type(error).__name__}: {first} (HEADRACE_DEBUG=1 shows where)")
        _leave(1)
    _leave(code if isinstance(code, int) else 0)


def _leave(code: int) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    sys.exit(code)


@contextmanager
def stopping() -> Generator[threading.Event]:
    """An event that the first Ctrl-C (or SIGTERM) sets; a second one ends the process at once."""
    stop = threading.Event()

    def asked(_signal: int, _frame: object) -> None:
        if stop.is_set():
            os._exit(INTERRUPTED)
        stop.set()
        say("stopping after the batch that runs; Ctrl-C again ends at once (nothing is lost either way)")

    before = {number: signal.signal(number, asked) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _session(app_name: str, master: str | None, memory: str) -> SparkSession:
    from headrace.session import spark_session

    return spark_session(app=app_name, master=master, driver_memory=memory, notify=say)


def _connect(pipeline: Pipeline) -> Broker:
    from headrace.connections import connect_broker, home_folder

    return connect_broker(pipeline, home=home_folder(), notify=say)


def _connect_to_topics(pipeline: Pipeline) -> Broker:
    """As :func:`_connect`; a broker that does not answer or a topic that is absent is said before Spark starts."""
    from headrace.ingest.source import end_offsets

    broker = _connect(pipeline)
    topics = [stream.topic for stream in pipeline.spec.streams.values()]
    end_offsets(topics, bootstrap=broker.bootstrap, options=broker.options)
    return broker


def _progress(pipeline: Pipeline, broker: Broker) -> Progress:
    from headrace.ingest.source import end_offsets
    from headrace.monitoring.progress import Progress

    topics = {name: stream.topic for name, stream in pipeline.spec.streams.items()}

    def ends() -> dict[str, dict[int, int]]:
        found = end_offsets(topics.values(), bootstrap=broker.bootstrap, options=broker.options)
        return {name: found[topic] for name, topic in topics.items()}

    return Progress(end_offsets=ends)


def _when(text: str) -> datetime:
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no date; write 2013-03-01 or 2013-03-01T05:00:00Z") from None
    return when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)


@app.command()
def check(
    pipeline: PipelinePath,
    as_json: Annotated[bool, typer.Option("--json", help="problems as JSON lines")] = False,
) -> None:
    """Say whether a pipeline file is right, without starting anything. Exit code 3 if it is not.

    Example: headrace check conf/flights
    """
    from headrace.errors import SpecError
    from headrace.spec import examine

    loaded, problems = examine(pipeline)
    for problem in problems:
        if as_json:
            print(json.dumps({"file": str(problem.file), "line": problem.line, "message": problem.message}))
        else:
            print(problem)
    if problems or loaded is None:
        raise SpecError(
            f"{len(problems)} problem{'s' if len(problems) != 1 else ''} in {pipeline}; correct the lines above"
        )
    streams = ", ".join(loaded.spec.streams)
    print(f"{loaded.file}: right (pipeline {loaded.name}, version {loaded.version}; streams {streams})")


@app.command("json-schema")
def json_schema() -> None:
    """Print the JSON Schema of the pipeline file, for editors.

    Example: headrace json-schema > conf/pipeline.schema.json
    """
    from headrace.spec.json_schema import pipeline_json_schema

    print(pipeline_json_schema(), end="")


@app.command()
def up() -> None:
    """Start the embedded servers of this folder (.headrace), or find those that run.

    Example: headrace up && headrace status
    """
    from headrace.connections import home_folder
    from headrace.embedded import servers

    _print_status(servers.up(home_folder(), notify=say))


@app.command()
def down() -> None:
    """End the embedded servers of this folder; their data stays.

    Example: headrace down
    """
    from headrace.connections import home_folder
    from headrace.embedded import servers

    _print_status(servers.down(home_folder()))


@app.command()
def status() -> None:
    """Say which embedded servers run, where, and how large they are.

    Example: headrace status
    """
    from headrace.connections import home_folder
    from headrace.embedded import servers

    _print_status(servers.status(home_folder()))


def _print_status(found: Status) -> None:
    for server in found.servers:
        if server.running:
            print(f"{server.name:<10} running  {server.address}  pid {server.pid}  {server.rss_mb or 0:.0f} MiB")
        else:
            print(f"{server.name:<10} stopped")


@app.command()
def ui(port: Annotated[int | None, typer.Option(help="port (default: the first free one from 5001)")] = None) -> None:
    """Serve the MLflow web interface of the embedded store until Ctrl-C.

    Example: headrace ui
    """
    from headrace.connections import home_folder
    from headrace.embedded.mlflow_store import MlflowUi

    MlflowUi(home_folder()).serve(port, notify=say)


@app.command()
def jars() -> None:
    """Print the pinned Spark jars, comma-separated, for spark-submit.

    Example: spark-submit --jars $(headrace jars) jobs/ingest.py conf/flights
    """
    from headrace.embedded.jars import SPARK, fetch

    print(",".join(str(jar) for jar in fetch(SPARK, notify=say)))


@app.command()
def feed(
    name: Annotated[str, typer.Argument(metavar="PIPELINE", help="which shipped data: flights")],
    start: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="first day (New York)")],
    end: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="last day, included")],
    speed: Annotated[float, typer.Option(min=0, help="times real time; 0 is as fast as it goes")] = 0,
    again: Annotated[bool, typer.Option(help="send days again that the topics already hold")] = False,
    conf: Annotated[Path, typer.Option(help="folder of the pipeline files")] = Path("conf"),
) -> None:
    """Send the shipped data to Kafka in the order in which it happened.

    Example: headrace feed flights --from 2013-01-01 --to 2013-03-31
    """
    from headrace.feed.progress import feed_with_progress
    from headrace.spec import load

    if name != "flights":
        raise typer.BadParameter(f"no data called {name!r}; expected flights")
    broker = _connect(load(conf / name))
    with stopping() as stop:
        made = feed_with_progress(broker=broker, start=_day(start), end=_day(end), speed=speed, again=again, stop=stop)
    first, last = (when.isoformat() if when else None for when in (made.first, made.last))
    print(
        json.dumps(
            {"records": made.records, **made.counts, "first": first, "last": last, "seconds": round(made.seconds, 2)}
        )
    )
    if not made.complete:
        raise KeyboardInterrupt


def _day(when: datetime) -> date:
    return when.date()


@app.command()
def ingest(
    pipeline: PipelinePath,
    until_caught_up: CaughtUp = False,
    trigger: Trigger = 1.0,
    master: Master = None,
    memory: Memory = "2g",
) -> None:
    """Read every declared stream into its table: decoded, checked, anonymized, each record once.

    Example: headrace ingest conf/flights --until-caught-up
    """
    from headrace.connections import home_folder
    from headrace.ingest.run import start_ingest
    from headrace.monitoring.quality import QualityLog
    from headrace.spec import load

    loaded = load(pipeline)
    broker = _connect_to_topics(loaded)
    with stopping() as stop, _progress(loaded, broker) as progress:
        spark = _session(f"headrace ingest {loaded.name}", master, memory)
        quality = QualityLog(home_folder())

        def on_batch(report: BatchReport) -> None:
            progress.on_batch(report)
            quality.on_batch(report)

        job = start_ingest(
            spark, loaded, broker=broker, until_caught_up=until_caught_up, trigger_seconds=trigger, on_batch=on_batch,
            notify=progress.notify,
        )  # fmt: skip
        try:
            job.wait(stop=stop)
        finally:
            page = quality.write(job.suites)
    if page:
        say(f"Data Docs: {page}")
    if stop.is_set() and until_caught_up:
        raise KeyboardInterrupt


@app.command()
def train(
    pipeline: PipelinePath,
    as_of: Annotated[str, typer.Option(help="use only what was known before this date or time (UTC)")],
    master: Master = None,
    memory: Memory = "2g",
) -> None:
    """Train, log, register, and promote the model if the gate allows. Exit code 0 promoted, 10 refused.

    Example: headrace train conf/flights --as-of 2013-03-01
    """
    from headrace.connections import connect_tracking, home_folder
    from headrace.spec import load
    from headrace.training.run import train as run_training

    loaded = load(pipeline)
    when = _when(as_of)
    spark = _session(f"headrace train {loaded.name}", master, memory)
    done = run_training(spark, loaded, tracking=connect_tracking(loaded, home=home_folder()), as_of=when, notify=say)
    figures = {name: round(value, 4) for name, value in done.metrics.items()}
    print(
        json.dumps(
            {
                "run_id": done.run_id, "version": done.version, "promoted": done.promoted, "train_rows": done.train_rows,
                "test_rows": done.test_rows, "excluded": done.excluded, **figures,
            }
        )
    )  # fmt: skip
    if not done.promoted:
        raise GateRefused(f"version {done.version} was not promoted: {done.verdict.refusals}")


@app.command()
def score(
    pipeline: PipelinePath,
    until_caught_up: CaughtUp = False,
    trigger: Trigger = 1.0,
    master: Master = None,
    memory: Memory = "2g",
    start: Annotated[
        str | None,
        typer.Option("--from", help="at the very first start: only requests sent at or after this time (UTC)"),
    ] = None,
) -> None:
    """Answer requests from the live topic with the promoted model, once ingest is up to their time.

    Example: headrace score conf/flights --until-caught-up
    """
    from headrace.connections import connect_tracking, home_folder
    from headrace.serving.run import start_scoring
    from headrace.spec import load

    loaded = load(pipeline)
    broker = _connect_to_topics(loaded)
    with stopping() as stop, _progress(loaded, broker) as progress:
        spark = _session(f"headrace score {loaded.name}", master, memory)
        job = start_scoring(
            spark, loaded, broker=broker, tracking=connect_tracking(loaded, home=home_folder()),
            until_caught_up=until_caught_up, trigger_seconds=trigger, on_batch=progress.on_batch, on_score=progress.on_score,
            notify=progress.notify, starting_at=_when(start) if start else None,
        )  # fmt: skip
        job.run(stop=stop)
    if stop.is_set() and until_caught_up:
        raise KeyboardInterrupt


@app.command()
def demo(
    fresh: Annotated[bool, typer.Option(help="remove what an earlier demo left and start anew")] = False,
    home: Annotated[Path | None, typer.Option(help="folder of everything the demo makes (default: .headrace)")] = None,
    speed: Annotated[float, typer.Option(min=1, help="times real time at which March is replayed")] = 60_000,
) -> None:
    """The whole loop on real data: three months of New York's flights, from Kafka to predictions.

    Example: headrace demo --fresh
    """
    from headrace.demo import run_demo

    with stopping() as stop:
        run_demo(home=home, fresh=fresh, speed=speed, stop=stop)


__all__: list[str] = ["app", "main"]

if __name__ == "__main__":
    main()
