"""``keys``: the secrets for pseudonyms, encrypted columns and sealed payloads."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.app import PipelinePath, app
from headrace.cli.console import say, stopping
from headrace.cli.start import Master, Memory, spark_for

if TYPE_CHECKING:
    from headrace.spec import Pipeline

keys = typer.Typer(
    help="Make, rotate, list and retire the keys of a pipeline, and bring tables to the newest ones.\n\n"
    "Example: headrace keys list conf/flights",
    no_args_is_help=True,
)
app.add_typer(keys, name="keys")
KeyName = Annotated[str, typer.Argument(metavar="KEY", help="such as pseudonym/aircraft, column/notes or seal")]


@keys.command()
def new(pipeline: PipelinePath) -> None:
    """Make the keys that a pipeline file needs and its ring lacks. Those that are there stay.

    Example: headrace keys new conf/flights
    """
    from headrace.privacy.keys import ensure_keys, needed_keys
    from headrace.spec import load

    loaded = load(pipeline)
    made = ensure_keys(loaded.spec.keys.ring, needed_keys(loaded))
    for name in made:
        print(f"{name}: made version 1")
    say("back the ring up: without it nothing that it protects can be read or joined" if made else "nothing is lacking")


@keys.command("list")
def list_keys(
    pipeline: PipelinePath,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON line for each version")] = False,
) -> None:
    """Name every key, its versions and what each is good for; never a secret.

    Example: headrace keys list conf/flights
    """
    from rich.console import Console
    from rich.table import Table

    from headrace.privacy.keys import open_ring
    from headrace.privacy.rotation import listed
    from headrace.spec import load

    found = listed(open_ring(load(pipeline).spec.keys.ring))
    if as_json:
        for entry in found:
            print(json.dumps(asdict(entry)))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("key", "version", "state", "made", "follows"):
        table.add_column(name)
    for entry in found:
        made = entry.made if not entry.retired else f"{entry.made}, retired {entry.retired}"
        table.add_row(
            entry.name, str(entry.version), entry.state, made, "" if entry.follows is None else str(entry.follows)
        )
    Console(soft_wrap=True).print(table)


@keys.command()
def rotate(
    pipeline: PipelinePath,
    names: Annotated[list[str] | None, typer.Argument(metavar="[KEY]...", help="which; see headrace keys list")] = None,
    everything: Annotated[bool, typer.Option("--all", help="every key that the pipeline file needs")] = False,
    fresh: Annotated[
        bool, typer.Option(help="pseudonyms: begin anew; old ones can never be joined with new ones")
    ] = False,
) -> None:
    """Give keys a new version. A running ingest writes with it from its next micro-batch on.

    Example: headrace keys rotate conf/flights pseudonym/aircraft
    """
    from headrace.privacy import rotation
    from headrace.privacy.keys import needed_keys
    from headrace.spec import load

    loaded = load(pipeline)
    if bool(names) == everything:
        raise typer.BadParameter("name the keys to rotate, or say --all")
    chosen = needed_keys(loaded) if everything else list(names or ())
    ring = rotation.rotate(loaded.spec.keys.ring, chosen, fresh=fresh)
    for name in chosen:
        print(f"{name}: version {ring.current(name)} is current")
    say(f"back the ring up, then bring the tables to it: headrace keys rewrite {pipeline}")


@keys.command()
def rewrite(pipeline: PipelinePath, master: Master = None, memory: Memory = "2g") -> None:
    """Bring every table to the newest key versions, each in one commit. Safe to repeat and to interrupt.

    Old pseudonyms become the new ones, so that joins find both; encrypted values and payloads are encrypted anew.

    Example: headrace keys rewrite conf/flights
    """
    from headrace.ingest import rewrite as tables
    from headrace.privacy.keys import open_ring
    from headrace.spec import load

    loaded = load(pipeline)
    ring = open_ring(loaded.spec.keys.ring)
    with stopping() as stop:
        spark = spark_for(f"headrace keys rewrite {loaded.name}", master, memory)
        for table in tables.keyed_tables(spark, loaded):
            if stop.is_set():
                raise KeyboardInterrupt
            say(f"{table.name}: looking for rows of older versions")
            print(json.dumps({"table": table.name, "rows": tables.rewrite(spark, table, ring=ring)}))


@keys.command()
def retire(
    pipeline: PipelinePath,
    name: KeyName,
    version: Annotated[int, typer.Argument(help="see headrace keys list")],
    force: Annotated[bool, typer.Option(help="even if rows of the pipeline's tables were made with it")] = False,
    master: Master = None,
    memory: Memory = "2g",
) -> None:
    """Destroy a version's secret. It is refused while the pipeline needs it, or has rows that were made with it.

    Other pipelines that share the ring are not looked at.

    Example: headrace keys retire conf/flights seal 1
    """
    from headrace.privacy import rotation
    from headrace.privacy.keys import open_ring
    from headrace.spec import load

    loaded = load(pipeline)
    rotation.require_retirable(open_ring(loaded.spec.keys.ring), name, version)
    if not force:
        _require_unused(loaded, name, version, master, memory)
    rotation.retire(loaded.spec.keys.ring, name, version)
    print(f"{name}: version {version} is retired")


def _require_unused(pipeline: Pipeline, name: str, version: int, master: str | None, memory: str) -> None:
    from headrace.errors import KeyRingError
    from headrace.ingest import rewrite as tables

    spark = spark_for(f"headrace keys retire {pipeline.name}", master, memory)
    found = tables.rows_with_version(spark, tables.keyed_tables(spark, pipeline), name=name, version=version)
    if found:
        held = ", ".join(f"{table} ({count:,} rows)" for table, count in found.items())
        raise KeyRingError(
            f"version {version} of key {name!r} made what is in {held}; run headrace keys rewrite first, or retire it with "
            "--force: encrypted values stay closed then, and pseudonyms can't be told from whom they are"
        )
