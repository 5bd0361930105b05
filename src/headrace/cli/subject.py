"""``subject``: all that a pipeline holds of a person, as files to be given to them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.app import PipelinePath, app
from headrace.cli.console import say
from headrace.cli.held import show_held, told_of
from headrace.cli.start import Master, Memory, connect, spark_for
from headrace.cli.whom import Alone, KindOption, Subject, SubjectFile, subject_value
from headrace.located import printable

if TYPE_CHECKING:
    from headrace.erasure.export import Exported


@app.command()
def subject(
    pipeline: PipelinePath,
    export: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="a new folder for the files; nothing is overwritten")
    ] = None,
    subject: Subject = None,
    subject_file: SubjectFile = None,
    kind: KindOption = None,
    alone: Alone = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="say how many rows there are; write and open nothing")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="what was done as one JSON object")] = False,
    master: Master = None,
    memory: Memory = "2g",
) -> None:
    """Write all that a pipeline holds of a person: JSON lines for each table, and an index of where they are from.

    Encrypted values and quarantined records are in clear there, so only the folder's owner can read it, and each opening of a
    record is noted in the lake. Nothing of it is printed. Where nothing is found no folder is made. It changes no table.

    Example: headrace subject conf/payments --subject-file person.txt --export ada
    """
    from headrace.connections import connect_tracking, home_folder
    from headrace.erasure.export import export as export_to
    from headrace.erasure.find import person_named
    from headrace.erasure.held import Search
    from headrace.erasure.private_folder import require_free
    from headrace.privacy.keys import open_ring
    from headrace.spec import load

    if export is None and not dry_run:
        raise typer.BadParameter("say --export FOLDER, or --dry-run")
    loaded = load(pipeline)
    person = person_named(loaded, subject_value(subject, subject_file), kind=kind)
    ring = open_ring(loaded.spec.keys.ring)
    if export is not None:
        require_free(export)
    broker = connect(loaded)
    spark = spark_for(f"headrace subject {loaded.name}", master, memory)
    search = Search(
        spark=spark, pipeline=loaded, ring=ring, broker=broker, linked=not alone,
        tracking=lambda: connect_tracking(loaded, home=home_folder()),
    )  # fmt: skip
    done = None if dry_run or export is None else export_to(search, person, to=export)
    held = done.held if done else search.look(person)
    left = done.left if done else held.left
    if as_json:
        told = {**told_of(held), "left": list(left)}
        written = {"folder": str(export), "rows": done.rows} if done and held.anything else {}
        print(json.dumps({"dry_run": dry_run, "found": held.anything, **told, **written}))
        return
    if not held.anything:
        print("nothing was found" + ("" if dry_run else "; no folder was made"))
    elif done is None:
        show_held(held, title="would be exported")
    else:
        _show(done, export)
    for sentence in left:
        print(f"not in it: {printable(sentence)}")


def _show(done: Exported, folder: Path | None) -> None:
    for table, rows in done.rows.items():
        print(f"{table}: {rows:,} rows")
    say(
        f"{sum(done.rows.values()):,} rows are in {printable(str(folder))}, in clear: keep them from everybody but the person"
    )
