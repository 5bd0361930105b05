"""``search``: hyperparameters, by trials over splits in time."""

from __future__ import annotations

import json
import sys
from contextlib import AbstractContextManager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Self

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from headrace.cli.app import PipelinePath, app
from headrace.cli.console import CONSOLE, say, stopping
from headrace.cli.start import Master, Memory, connect, moment, spark_for

if TYPE_CHECKING:
    from headrace.training.search import Stand


@app.command()
def search(
    pipeline: PipelinePath,
    as_of: Annotated[str, typer.Option(help="use only what was known before this date or time (UTC)")],
    trials: Annotated[
        int | None, typer.Option(min=1, help="how many in all, earlier ones included (default: model.search.trials)")
    ] = None,
    master: Master = None,
    memory: Memory = "2g",
) -> None:
    """Search hyperparameters for the model, and publish the winner.

    Each trial is judged on data that comes after what it trains on. Ctrl-C keeps what was done: the same command goes on.

    Example: headrace search conf/flights --as-of 2013-03-01 --trials 20
    """
    from headrace.connections import connect_tracking, home_folder
    from headrace.lineage.job import telling
    from headrace.parameters.event import HYPERPARAMETERS
    from headrace.parameters.table import read_table
    from headrace.spec import load
    from headrace.training.search import search as run

    loaded, when = load(pipeline), moment(as_of)
    broker = connect(loaded)
    spark = spark_for(f"headrace search {loaded.name}", master, memory)
    with (
        stopping("stopping; finished trials are kept, and the same command goes on; Ctrl-C again ends at once") as stop,
        _Shown() as shown,
        telling(spark, loaded, "search", notify=say) as told,
    ):
        found = run(
            spark, loaded, tracking=connect_tracking(loaded, home=home_folder()), broker=broker, as_of=when,
            home=home_folder(), trials=trials, stop=stop, progress=shown.tell, notify=say,
        )  # fmt: skip
        if found is None:
            raise KeyboardInterrupt
        shown.done()
        winner = read_table(spark, loaded).version(HYPERPARAMETERS, found.version)
        told.published([winner], bootstrap=broker.bootstrap)
    print(json.dumps({**asdict(found), "best": round(found.best, 6)}))


class _Shown(AbstractContextManager["_Shown"]):
    """How a search stands: a bar on a terminal, one JSON line per trial elsewhere."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._bars = Progress(*columns, console=CONSOLE, disable=not CONSOLE.is_terminal)
        self._task = self._bars.add_task("reading", total=None)
        self._told = 0

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def done(self) -> None:
        """All trials are."""
        self._bars.update(self._task, completed=self._bars.tasks[self._task].total, description="searched")

    def tell(self, stand: Stand) -> None:
        """Take in how it stands now."""
        best = "" if stand.best is None else f", best {stand.best:.4f}"
        self._bars.update(
            self._task, completed=stand.trial - 1, total=stand.trials,
            description=f"trial {stand.trial}, fold {stand.fold + 1} of {stand.folds}{best}",
        )  # fmt: skip
        if self._bars.disable and stand.trial != self._told:
            at = datetime.now(UTC).isoformat(timespec="milliseconds")
            line = {"time": at, "event": "trial", "trial": stand.trial, "of": stand.trials, "best": stand.best}
            print(json.dumps(line), file=sys.stderr, flush=True)
            self._told = stand.trial
