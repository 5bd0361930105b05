"""``feed``: the shipped data into Kafka."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.app import app
from headrace.cli.console import say, stopping

if TYPE_CHECKING:
    from headrace.feed import Produced

DAY = ["%Y-%m-%d"]


@app.command()
def feed(
    name: Annotated[str, typer.Argument(metavar="PIPELINE", help="which shipped data: flights")],
    start: Annotated[datetime, typer.Option("--from", formats=DAY, help="first day (New York)")],
    end: Annotated[datetime, typer.Option("--to", formats=DAY, help="last day, included")],
    speed: Annotated[float, typer.Option(min=0, help="times real time; 0 is as fast as it goes")] = 0,
    rate: Annotated[float, typer.Option(min=0, help="records a second; 0 is as fast as it goes")] = 0,
    again: Annotated[bool, typer.Option(help="send days again that the topics already hold")] = False,
    conf: Annotated[Path, typer.Option(help="folder of the pipeline files")] = Path("conf"),
) -> None:
    """Send the shipped data to Kafka in the order in which it happened.

    Example: headrace feed flights --from 2013-01-01 --to 2013-03-31
    """
    from headrace.connections import connect_broker, home_folder
    from headrace.feed import flights_of
    from headrace.feed.progress import feed_with_progress
    from headrace.spec import load

    if name != "flights":
        raise typer.BadParameter(f"no data called {name!r}; expected flights")
    if speed and rate:
        raise typer.BadParameter("--speed and --rate both set the pace; give one")
    pipeline = load(conf / name)
    source = flights_of(start.date(), end.date())
    broker = connect_broker(pipeline, home=home_folder(), notify=say)
    with stopping() as stop:
        made = feed_with_progress(source, broker=broker, speed=speed, rate=rate, again=again, stop=stop)
    _print_result(made)
    if not made.complete:
        raise KeyboardInterrupt


def _print_result(made: Produced) -> None:
    first, last = (when.isoformat() if when else None for when in (made.first, made.last))
    print(
        json.dumps(
            {"records": made.records, **made.counts, "first": first, "last": last, "seconds": round(made.seconds, 2)}
        )
    )
