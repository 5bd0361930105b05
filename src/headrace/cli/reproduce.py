"""``reproduce`` and ``snapshots``: whether a model can be built again, and the rows that it takes."""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from typer.core import TyperGroup

from headrace.cli.app import PipelinePath, app
from headrace.cli.console import CONSOLE, say
from headrace.cli.start import Master, Memory, spark_for
from headrace.errors import ModelError, NotReproduced
from headrace.located import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from headrace.connections import Tracking
    from headrace.spec import Pipeline
    from headrace.training.snapshots import Snapshot
    from headrace.training.trained import Trained

Words = Annotated[
    list[str],
    typer.Argument(
        metavar="[PIPELINE] MODEL",
        help="a run's id, NAME/VERSION or NAME/ALIAS; with a pipeline also its model's version or alias, such as 3 or champion",
    ),
]


@app.command()
def reproduce(
    words: Words,
    threads: Annotated[int | None, typer.Option(min=1, max=1024, help="threads (default: as it was trained)")] = None,
    partitions: Annotated[int | None, typer.Option(min=1, max=10_000, help="partitions of the rows")] = None,
    from_source: Annotated[
        bool, typer.Option("--from-source", help="compute the rows anew from the recorded versions of the tables")
    ] = False,
    log: Annotated[bool, typer.Option("--log", help="keep the outcome as a tag of the run")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="the outcome as one JSON object")] = False,
    master: Master = None,
    memory: Memory = "2g",
) -> None:
    """Build a model again from its training rows and settings, and compare it byte for byte with the registered one (where Spark's
    workers or a graphics card trained it: its predictions, within the recorded tolerance).

    Exit code 0 the same, 17 another (and in what), 18 if its rows are gone: erased, released, or beyond their retention. Without
    PIPELINE, the model is looked for in the folder's own pipeline, or in MLFLOW_TRACKING_URI or the embedded MLflow.

    Example: headrace reproduce conf/flights champion --threads 1 --partitions 16
    """
    from headrace.training.recipe import recipe_of
    from headrace.training.reproduce import reproduce as rebuild

    pipeline, trained = chosen(words)
    recipe = recipe_of(trained.run_id)
    spark = spark_for(f"headrace reproduce {trained.name}", master, memory)
    with _working(f"rebuilding {trained.name}") as tell:
        done = rebuild(
            spark, trained, recipe, pipeline=pipeline, threads=threads, partitions=partitions, from_source=from_source, notify=tell
        )  # fmt: skip
    if log:
        within = "" if done.tolerance is None else f" within {done.tolerance:g}"
        _log(done.run_id, f"yes{within}" if done.reproduced else "no", threads=done.threads, partitions=done.partitions)
    if as_json:
        print(json.dumps(done.as_json()))
    elif done.reproduced:
        by = f", {done.workers} workers" if done.workers else ""
        print(
            f"{done.model} is reproduced {done.how}: SHA-256 {done.rebuilt_sha256}, from {done.train_rows:,} of {done.rows:,} "
            f"rows of the {done.source}, {done.threads} threads, {done.partitions} partitions{by}"
        )
    if not done.reproduced:
        raise NotReproduced(done.sentence)


def chosen(words: list[str]) -> tuple[Pipeline | None, Trained]:
    """The pipeline, where one is named or lies here, and the training run that is named. Opens the tracking store."""
    from headrace.connections import connect_tracking, home_folder
    from headrace.spec import load
    from headrace.training import registry
    from headrace.training.trained import find

    if not 1 <= len(words) <= 2:
        raise typer.BadParameter("say a model, or a pipeline and a model")
    place = Path(words[0]) if len(words) == 2 else Path()
    pipeline = load(place) if len(words) == 2 or (place / "pipeline.yaml").is_file() else None
    registry.open_tracking(connect_tracking(pipeline, home=home_folder()) if pipeline else _own_tracking(home_folder()))
    return pipeline, find(words[-1], model=pipeline.spec.model if pipeline else None)


def _own_tracking(home: Path) -> Tracking:
    from headrace.connections import Tracking
    from headrace.embedded.mlflow_store import artifact_root, sqlite_uri
    from headrace.spec.connections import EMBEDDED

    uri = os.environ.get("MLFLOW_TRACKING_URI", EMBEDDED)
    if uri == EMBEDDED:
        return Tracking(sqlite_uri(home), "Default", artifact_root(home))
    return Tracking(uri, "Default", None)


@contextmanager
def _working(title: str) -> Generator[Callable[[str], None]]:
    """A moving bar on a terminal, with what is being done; sentences elsewhere."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    if not CONSOLE.is_terminal:
        yield say
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=CONSOLE, transient=True) as progress:
        task = progress.add_task(title, total=None)
        yield lambda line: progress.update(task, description=line)


def _log(run_id: str, outcome: str, *, threads: int, partitions: int) -> None:
    from mlflow.tracking import MlflowClient

    told = f"{outcome}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {threads} threads, {partitions} partitions"
    MlflowClient().set_tag(run_id, "headrace.reproduced", told)


class _Listing(TyperGroup):
    """``headrace snapshots PIPELINE`` is ``headrace snapshots list PIPELINE``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] != "--help":
            args = ["list", *args]
        return super().parse_args(ctx, args)


snapshots = typer.Typer(
    cls=_Listing,
    no_args_is_help=True,
    help="The training rows that are kept for models, and letting go of them.\n\nExample: headrace snapshots conf/flights",
)
app.add_typer(snapshots, name="snapshots")


@snapshots.command("list")
def list_snapshots(
    pipeline: PipelinePath,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON line for each snapshot")] = False,
    master: Master = None,
    memory: Memory = "2g",
) -> None:
    """List the training snapshots: run, model version, aliases, rows, size, and whether it is held or released.

    Example: headrace snapshots conf/flights
    """
    from headrace.connections import connect_tracking, home_folder
    from headrace.lake.layout import Layout
    from headrace.spec import load
    from headrace.training import registry
    from headrace.training.snapshots import snapshots as listed

    loaded = load(pipeline)
    experiment = registry.open_tracking(connect_tracking(loaded, home=home_folder()))
    spark = spark_for(f"headrace snapshots {loaded.name}", master, memory)
    found = listed(spark, Layout(loaded.spec.lake.root), experiment=experiment)
    if as_json:
        for one in found:
            print(json.dumps(one.as_json()))
    elif found:
        _show(found)
    else:
        print("no model was trained yet; run: headrace train PIPELINE --as-of DATE")


@snapshots.command("release")
def release_snapshot(
    pipeline: PipelinePath,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="a run's id, or a model's version")],
    even_champion: Annotated[
        bool, typer.Option("--even-champion", help="also where an alias points to the model")
    ] = False,
    master: Master = None,
    memory: Memory = "2g",
) -> None:
    """Delete the training rows of a model, which can't be rebuilt after that, and note when and by whom. Safe to repeat.

    The model itself stays, and goes on answering.

    Example: headrace snapshots release conf/flights 2
    """
    from headrace.lake.layout import Layout
    from headrace.training.snapshots import release

    loaded, trained = chosen([str(pipeline), model])
    assert loaded is not None
    if "headrace.snapshot" not in trained.tags:
        raise ModelError(
            f"{trained.name} has no training rows of its own; headrace snapshots {pipeline} lists those that do"
        )
    spark = spark_for(f"headrace snapshots {loaded.name}", master, memory)
    before = release(spark, Layout(loaded.spec.lake.root), trained, even_champion=even_champion)
    told = (
        f"were released before, on {before}"
        if before
        else "are released: the model stays, and can't be rebuilt any more"
    )
    print(f"the training rows of {trained.name} {told}")


def _show(found: list[Snapshot]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("run", "model", "alias", "rows", "MB", "state"):
        table.add_column(name, justify="right" if name in ("rows", "MB") else "left", overflow="fold")
    for one in found:
        state = f"released {one.released_at} by {one.released_by}" if one.state == "released" else one.state
        table.add_row(
            one.run_id, one.model or "", ", ".join(one.aliases), f"{one.rows:,}", f"{one.bytes / 1e6:,.1f}",
            printable(state + (", rows were erased" if one.erased else "")),
        )  # fmt: skip
    Console(highlight=False).print(table, markup=False)
