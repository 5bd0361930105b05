"""``features``: what there is, what its values look like, and the table of them."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from headrace.cli.app import PipelinePath, app
from headrace.cli.console import CONSOLE, say
from headrace.cli.start import Master, Memory, spark_for
from headrace.errors import SpecError
from headrace.located import printable

if TYPE_CHECKING:
    from headrace.features.catalogue import Entry, Figures
    from headrace.features.table import Built


@app.command()
def features(
    pipeline: PipelinePath,
    build: Annotated[bool, typer.Option("--build", help="first bring the table up to what was ingested")] = False,
    anew: Annotated[bool, typer.Option("--anew", help="with --build: compute every request again")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON line per feature")] = False,
    master: Master = None,
    memory: Memory = "2g",
) -> None:
    """List the features: where each comes from, what it sees of a request at T, and what its values look like.

    The values are those of the feature table, which --build makes; only requests that new or late records touch are computed.

    Example: headrace features conf/flights --build
    """
    from headrace.features.catalogue import catalogue, figures
    from headrace.features.table import build_features, built_by, in_table
    from headrace.lake.layout import Layout
    from headrace.spec import load

    loaded = load(pipeline)
    declared = loaded.spec.features
    if declared is None:
        raise SpecError(f"{loaded.file} has no section 'features'; docs/pipeline-file.md says how to declare them")
    if anew and not build:
        raise SpecError("--anew says how to build the table; give it with --build")
    spark = spark_for(f"headrace features {loaded.name}", master, memory)
    path = Layout(loaded.spec.lake.root).features(declared.requests)
    if build:
        with CONSOLE.status("features"):
            _say(build_features(spark, loaded, anew=anew, notify=say))
    there = built_by(spark, path, declared)
    found = figures(spark.read.format("delta").load(path), in_table(declared).names) if there else {}
    entries = catalogue(declared)
    if as_json:
        for entry in entries:
            values = asdict(found[entry.name]) if entry.name in found else None
            typer.echo(json.dumps({**asdict(entry), "values": values}))
        return
    CONSOLE.print(_table(entries, found))
    if not there:
        say("there is no table of their values by this declaration; --build makes it")


def _say(built: Built) -> None:
    how = f"all, since {built.whole}" if built.whole else "those that a change touched"
    what = f"computed {built.computed:,} of {built.requests:,} requests ({how})"
    say(what if built.computed else f"up to date: {built.requests:,} requests")


def _table(entries: list[Entry], found: dict[str, Figures]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("feature", "stream", "what", "sees"):
        table.add_column(name, overflow="fold")
    for name in ("missing", "mean", "p05", "p50", "p95") if found else ():
        table.add_column(name, justify="right", no_wrap=True)
    for entry in entries:
        cells = [entry.name, entry.stream, printable(entry.what), printable(entry.sees)]
        if entry.name in found:
            one = found[entry.name]
            missing = f"{one.missing / one.rows:.1%}" if one.rows else ""
            cells += [
                missing,
                *("" if value is None else f"{value:.4g}" for value in (one.mean, one.p05, one.p50, one.p95)),
            ]
        table.add_row(*cells)
    return table
