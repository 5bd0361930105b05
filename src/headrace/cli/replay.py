"""``replay``: quarantined rows go their way again after a rule, a schema or a decoder was fixed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from headrace.cli.app import PipelinePath, app
from headrace.cli.console import say, stopping
from headrace.cli.start import Master, Memory, moment, spark_for
from headrace.cli.waiting import Waiting
from headrace.located import printable

if TYPE_CHECKING:
    import threading

    from pyspark.sql import SparkSession

    from headrace.ingest.findings import Findings
    from headrace.ingest.selection import Selection
    from headrace.spec import Pipeline

Rules = Annotated[
    list[str] | None, typer.Option("--rule", help="only rows that fail this rule or decode reason (may be repeated)")
]
From = Annotated[str | None, typer.Option("--from", help="only rows ingested at or after this time (UTC)")]
To = Annotated[str | None, typer.Option("--to", help="only rows ingested before this time (UTC)")]


@app.command()
def replay(
    pipeline: PipelinePath,
    stream: Annotated[str, typer.Option(help="whose quarantine")],
    rule: Rules = None,
    start: From = None,
    end: To = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would pass; change nothing")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="the result as one JSON object")] = False,
    master: Master = None,
    memory: Memory = "2g",
) -> None:
    """Let quarantined rows go the same way again, by the pipeline file as it is now; those that pass are released.

    A running ingest does it between two batches; where none runs, this command does. Rows that still fail stay as they are.

    Example: headrace replay conf/flights --stream weather --rule wind_speed_plausible --dry-run
    """
    from headrace.ingest.replay import rehearse
    from headrace.lineage.job import telling
    from headrace.spec import load

    loaded = load(pipeline)
    selection = chosen(loaded, stream, rule, start, end)
    spark = spark_for(f"headrace replay {loaded.name}", master, memory)
    require_table(spark, loaded, stream)
    if dry_run:
        found = rehearse(spark, loaded, stream=stream, selection=selection)
        told: Mapping[str, Any] = _rehearsed(found, stream=stream, spec=loaded.version)
    else:
        with (
            stopping("stopping: what was not begun is withdrawn; Ctrl-C again ends at once") as stop,
            telling(spark, loaded, "replay", notify=say),
        ):
            told = _replayed(spark, loaded, stream=stream, selection=selection, stop=stop)
    if as_json:
        print(json.dumps(told))
    else:
        _show(told, dry_run=dry_run)


def chosen(
    pipeline: Pipeline, stream: str | None, rules: list[str] | None, start: str | None, end: str | None
) -> Selection:
    """What the options of a verb choose. Raises SpecError for a stream that is not declared."""
    from headrace.errors import SpecError
    from headrace.ingest.selection import Selection

    if stream is not None and stream not in pipeline.spec.streams:
        raise SpecError(f"unknown stream {stream!r}: expected one of {', '.join(pipeline.spec.streams)}")
    begin, until = (None if text is None else moment(text) for text in (start, end))
    return Selection(rules=tuple(rules or ()), start=begin, end=until)


def require_table(spark: SparkSession, pipeline: Pipeline, stream: str) -> str:
    """Path of the stream's table. Raises StorageError where nothing was ingested yet."""
    from headrace.errors import StorageError
    from headrace.lake import delta
    from headrace.lake.layout import Layout

    table = Layout(pipeline.spec.lake.root).events(stream)
    if not delta.exists(spark, table):
        raise StorageError(f"stream {stream!r} has no table at {table} yet; run: headrace ingest {pipeline.folder}")
    return table


def _replayed(
    spark: SparkSession, pipeline: Pipeline, *, stream: str, selection: Selection, stop: threading.Event
) -> Mapping[str, Any]:
    from headrace.ingest.asking import Asking
    from headrace.ingest.replay_errand import replay_errand, replay_handler
    from headrace.lake.errands import Errands
    from headrace.lake.layout import Layout
    from headrace.lake.lease import leased

    layout, errand = (
        Layout(pipeline.spec.lake.root),
        replay_errand(pipeline, stream=stream, selection=selection),
    )
    with Waiting("replay", doing="judging and releasing") as waiting:
        return Asking(
            spark=spark,
            errands=Errands(spark, layout.errands),
            errand=errand,
            lease=lambda: leased(spark, layout.events(stream), what=errand.table),
            handler=replay_handler(spark, pipeline),
            stop=stop,
            tell=waiting.tell,
        ).have_done()


def _rehearsed(found: Findings, *, stream: str, spec: str) -> dict[str, Any]:
    return {
        "stream": stream, "spec": spec, "chosen": found.chosen, "would_pass": found.passing, "duplicates": found.copies,
        "by_rule": dict(found.by_rule),
        "still_failing": dict(found.still_failing), "days": dict(found.days),
    }  # fmt: skip


def _show(told: Mapping[str, Any], *, dry_run: bool) -> None:
    passed = told["would_pass"] if dry_run else told["released"]
    if told.get("repeated"):
        print(f"{told['stream']}: this request was carried out before; it released {passed:,} rows")
        return
    said = "would pass now" if dry_run else "pass now and were released"
    print(
        f"{told['stream']}: of {told['chosen']:,} quarantined rows {passed:,} {said} (pipeline version {told['spec']})"
    )
    if told["duplicates"]:
        print(
            f"{told['duplicates']:,} more are copies of accepted rows; they are no longer in quarantine but duplicates"
        )
    out = Console(highlight=False)
    for title, counts in (("failed then, pass now", told["by_rule"]), ("still fail", told["still_failing"])):
        if counts:
            table = Table(box=None, pad_edge=False, header_style="bold")
            table.add_column(title)
            table.add_column("rows", justify="right")
            for name, rows in counts.items():
                table.add_row(printable(name), f"{rows:,}")
            out.print(table, markup=False)
    if not told["chosen"]:
        say("no row of the quarantine was chosen; headrace quarantine lists its rules and times")
