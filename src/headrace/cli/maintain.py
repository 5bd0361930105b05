"""``maintain``: what keeps the lake small and quick."""

from __future__ import annotations

import json
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from headrace.cli.app import PipelinePath, app
from headrace.cli.console import say, stopping
from headrace.cli.start import Master, Memory, spark_for
from headrace.cli.waiting import Waiting

if TYPE_CHECKING:
    from headrace.ingest.maintain import Maintained


@app.command()
def maintain(
    pipeline: PipelinePath,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what there is to do; change nothing")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON line for each table")] = False,
    master: Master = None,
    memory: Memory = "2g",
) -> None:
    """Remove rows beyond their retention, put small files together, remove old files and old commits. Run it once a day.

    Safe beside a running ingest, which carries out what changes its tables. What a version within lake.keep_versions needs stays.

    Example: headrace maintain conf/flights --dry-run
    """
    from headrace.ingest.maintain import maintain as run
    from headrace.lineage.job import telling
    from headrace.spec import load

    loaded = load(pipeline)
    spark = spark_for(f"headrace maintain {loaded.name}", master, memory)
    with (
        stopping("stopping before the next step; Ctrl-C again ends at once (nothing is lost either way)") as stop,
        Waiting("maintain", doing="maintaining") as waiting,
        nullcontext() if dry_run else telling(spark, loaded, "maintain", notify=say),
    ):
        done = run(spark, loaded, stop=stop, dry_run=dry_run, on_table=waiting.about, tell=waiting.tell)
    if as_json:
        for one in done:
            print(json.dumps({**one.as_json(), "dry_run": dry_run}))
    else:
        _show(done, dry_run=dry_run)


def _show(done: list[Maintained], *, dry_run: bool) -> None:
    if not done:
        print("no table is there yet; run: headrace ingest PIPELINE")
        return
    table = Table(
        box=None, pad_edge=False, header_style="bold", title="to do" if dry_run else None, title_justify="left"
    )
    for name in ("table", "rows past retention", "small files joined", "old files removed", "old commits removed"):
        table.add_column(name, justify="left" if name == "table" else "right")
    for one in done:
        rows = ", ".join(f"{rows:,} {verdict}" for verdict, rows in one.expired.items()) or "0"
        table.add_row(one.table, rows, f"{one.compacted:,}", f"{one.files:,}", f"{one.commits:,}")
    Console(highlight=False).print(table, markup=False)
