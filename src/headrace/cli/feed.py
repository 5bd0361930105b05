"""``feed``: the shipped data into Kafka."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.app import app
from headrace.cli.console import say, stopping

if TYPE_CHECKING:
    from headrace.feed import Produced
    from headrace.feed.source import Source

DAY = ["%Y-%m-%d"]
FIRST = {"flights": date(2013, 1, 1), "payments": date(2025, 1, 1)}
"""Shipped data, and the first day of each."""


@app.command()
def feed(
    name: Annotated[str, typer.Argument(metavar="PIPELINE", help="which shipped data: flights or payments")],
    start: Annotated[
        datetime | None, typer.Option("--from", formats=DAY, help="first day (default: the data's)")
    ] = None,
    end: Annotated[datetime | None, typer.Option("--to", formats=DAY, help="last day, included")] = None,
    days: Annotated[int | None, typer.Option(min=1, help="how many days, instead of --to")] = None,
    customers: Annotated[int | None, typer.Option(help="payments: how many customers (default: 2000)")] = None,
    seed: Annotated[
        int | None, typer.Option(help="payments: the same seed gives the same records (default: 7)")
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(help="payments: folder for the truth (default: truth in the home folder)")
    ] = None,
    speed: Annotated[float, typer.Option(min=0, help="times real time; 0 is as fast as it goes")] = 0,
    rate: Annotated[float, typer.Option(min=0, help="records a second; 0 is as fast as it goes")] = 0,
    again: Annotated[bool, typer.Option(help="send days again that the topics already hold")] = False,
    conf: Annotated[Path, typer.Option(help="folder of the pipeline files")] = Path("conf"),
) -> None:
    """Send the shipped data to Kafka in the order in which it happened.

    Example: headrace feed flights --from 2013-01-01 --to 2013-03-31
    """
    from headrace.connections import connect_broker, home_folder
    from headrace.feed.progress import feed_with_progress
    from headrace.spec import load

    if name not in FIRST:
        raise typer.BadParameter(f"no data called {name!r}; expected {' or '.join(FIRST)}")
    if speed and rate:
        raise typer.BadParameter("--speed and --rate both set the pace; give one")
    pipeline = load(conf / name)
    first, last = _range(start.date() if start else FIRST[name], end.date() if end else None, days)
    source = _source(name, first, last, customers=customers, seed=seed, truth=truth)
    broker = connect_broker(pipeline, home=home_folder(), notify=say)
    with stopping() as stop:
        made = feed_with_progress(source, broker=broker, speed=speed, rate=rate, again=again, stop=stop)
    _print_result(made)
    if not made.complete:
        raise KeyboardInterrupt


def _range(first: date, last: date | None, days: int | None) -> tuple[date, date]:
    if (last is None) == (days is None):
        raise typer.BadParameter("say which day is the last: --to DAY or --days N")
    return first, last or first + timedelta(days=(days or 1) - 1)


def _source(
    name: str, first: date, last: date, *, customers: int | None, seed: int | None, truth: Path | None
) -> Source:  # fmt: skip
    from headrace.connections import home_folder
    from headrace.feed import flights_of
    from headrace.feed.payments import Payments, Simulation

    if name == "flights":
        given = {"--customers": customers, "--seed": seed, "--truth": truth}
        wrong = [option for option, value in given.items() if value is not None]
        if wrong:
            raise typer.BadParameter(f"{wrong[0]} is for simulated data; the flights are recorded")
        return flights_of(first, last)
    chosen = {"customers": customers, "seed": seed}
    simulation = Simulation(first, last, **{option: value for option, value in chosen.items() if value is not None})
    return Payments(simulation, truth=truth or home_folder() / "truth")


def _print_result(made: Produced) -> None:
    first, last = (when.isoformat() if when else None for when in (made.first, made.last))
    print(
        json.dumps(
            {"records": made.records, **made.counts, "first": first, "last": last, "seconds": round(made.seconds, 2)}
        )
    )
