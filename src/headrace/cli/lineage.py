"""``lineage``: from a model back to the offsets of the topics."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.tree import Tree

from headrace.cli.app import app
from headrace.cli.reproduce import Words, chosen
from headrace.located import printable

if TYPE_CHECKING:
    from headrace.lineage.origin import Lineage, Origin

_WIDE = 10_000


@app.command()
def lineage(
    words: Words,
    as_json: Annotated[bool, typer.Option("--json", help="as one JSON object")] = False,
) -> None:
    """Print the way back from a model: run, training rows, versions of the tables, and the offsets of the topics in them.

    It reads MLflow, the tables' logs and the ledger; it starts neither Spark nor needs a lineage server.

    Example: headrace lineage conf/flights champion
    """
    from headrace.lineage.origin import trace
    from headrace.training.grown import made_from

    pipeline, trained = chosen(words)
    root = pipeline.spec.lake.root if pipeline else None
    found = trace(trained, made_from(trained.run_id), root=root)
    if as_json:
        print(json.dumps(found.as_json()))
    else:
        width = None if sys.stdout.isatty() else _WIDE  # a pipe gets whole lines
        Console(highlight=False, width=width).print(tree_of(found))


def tree_of(found: Lineage) -> Tree:
    """The way back as a tree."""
    from headrace.training.grown import Grown

    recipe, tags = found.recipe, {**found.trained.version_tags, **found.trained.tags}
    root = Tree(_text(f"model {found.trained.name}  SHA-256 {recipe.booster_sha256}"), highlight=False)
    run = root.add(_text(f"run {recipe.run_id}: {recipe.pipeline.name} as of {recipe.as_of:%Y-%m-%d %H:%M} UTC"))
    where = recipe.environment
    code = f"{where.commit or 'of no repository'}{', with changes' if where.dirty else ''}"
    run.add(_text(f"code {code}; pipeline file version {recipe.pipeline.version}"))
    run.add(_text(", ".join(f"{name} {version}" for name, version in {**where.packages, "on": where.python}.items())))
    settings = ", ".join(f"{name} {value}" for name, value in {**recipe.settings, "rounds": recipe.rounds}.items())
    run.add(_text(f"settings: {settings}"))
    for name, one in recipe.parameters.items():
        run.add(_text(f"parameters {name} version {one.version}"))
    step = recipe.step if isinstance(recipe, Grown) else None
    rows = run.add(
        _text(
            f"{'rows it was judged on' if step else 'training rows'}: {recipe.snapshot.rows:,}, content {recipe.snapshot.content}"
            + (f"; released on {tags['headrace.released_at']}" if "headrace.released_at" in tags else "")
            + (f"; rows of erased people are gone ({tags['headrace.erased']})" if "headrace.erased" in tags else "")
        )
    )
    if step is not None:
        told = f"step {step.step} of {step.table}, begun from {step.started_from} with step {step.chain}"
        rows = run.add(_text(f"{told}: {step.trees:,} trees of what was known before {step.as_of:%Y-%m-%d %H:%M} UTC"))
    for origin in found.origins:
        _add(rows, origin)
    return root


def _add(rows: Tree, origin: Origin) -> None:
    counts = ", ".join(f"{count:,} {verdict}" for verdict, count in origin.rows.items() if count)
    table = rows.add(_text(f"events/{origin.stream} version {origin.version}: {counts or 'no rows'}"))
    for number, said in (
        (origin.released, "rows were released by a replay"),
        (origin.erased, "rows were erased before"),
        (origin.erased_since, "rows were erased since"),
    ):
        if number:
            table.add(_text(f"{number:,} {said}"))
    if origin.unknown:
        table.add(_text(f"not all is known: {origin.unknown}"))
    topic = table.add(_text(f"topic {origin.topic}, {origin.batches:,} batch{'es' * (origin.batches != 1)}"))
    for partition, spans in origin.offsets.items():
        told = ", ".join(f"{first} to {end - 1}" for first, end in spans)
        topic.add(_text(f"partition {partition}: offsets {told}"))
    for partition, spans in origin.lost.items():
        told = ", ".join(f"{first} to {end - 1}" for first, end in spans)
        topic.add(_text(f"partition {partition}: offsets {told} were lost by acceptance"))


def _text(line: str) -> str:
    from rich.markup import escape

    return escape(printable(line))
