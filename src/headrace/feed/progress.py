"""A feed that a person watches: a progress bar on a terminal, one JSON line at the end elsewhere."""

from __future__ import annotations

import threading
from datetime import date, datetime

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from headrace.connections import Broker
from headrace.feed.flights import feed_flights
from headrace.feed.produce import Produced


def feed_with_progress(
    *, broker: Broker, start: date, end: date, speed: float, again: bool, stop: threading.Event | None
) -> Produced:  # fmt: skip
    """As :func:`feed_flights`."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not Console(stderr=True).is_terminal) as bars:
        task = bars.add_task("feeding", total=None)

        def shown(done: int, total: int, at: datetime) -> None:
            bars.update(task, completed=done, total=total, description=f"feeding {at:%Y-%m-%d %H:%M}")

        return feed_flights(
            bootstrap=broker.bootstrap, start=start, end=end, speed=speed, kafka_options=broker.options, progress=shown,
            stop=stop, again=again,
        )  # fmt: skip
