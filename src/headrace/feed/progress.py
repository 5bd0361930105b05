"""A feed that a person watches: a progress bar on a terminal, one JSON line at the end elsewhere."""

from __future__ import annotations

import threading
from datetime import datetime

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from headrace.connections import Broker
from headrace.feed.produce import Produced
from headrace.feed.send import feed
from headrace.feed.source import Source


def feed_with_progress(
    source: Source, *, broker: Broker, speed: float = 0.0, rate: float = 0.0, again: bool = False, stop: threading.Event | None
) -> Produced:  # fmt: skip
    """As :func:`headrace.feed.send.feed`."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not Console(stderr=True).is_terminal) as bars:
        task = bars.add_task("feeding", total=None)

        def shown(done: int, total: int, at: datetime) -> None:
            bars.update(task, completed=done, total=max(done, total), description=f"feeding {at:%Y-%m-%d %H:%M}")

        return feed(
            source, bootstrap=broker.bootstrap, speed=speed, rate=rate, kafka_options=broker.options, progress=shown,
            stop=stop, again=again,
        )  # fmt: skip
