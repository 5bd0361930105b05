"""What a person at the terminal sees and does: sentences, and Ctrl-C."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager

from rich.console import Console

from headrace.errors import INTERRUPTED

CONSOLE = Console(stderr=True, highlight=False)
"""The one console on stderr: what is said while a live table stands there is printed above it."""


def say(line: str) -> None:
    """A sentence for the person at the terminal, on stderr."""
    CONSOLE.print(line, markup=False, soft_wrap=True)


@contextmanager
def stopping(
    said: str = "stopping after the batch that runs; Ctrl-C again ends at once (nothing is lost either way)",
) -> Generator[threading.Event]:
    """An event that the first Ctrl-C (or SIGTERM) sets; ``said`` tells what happens then. A second one ends the process at once."""
    stop = threading.Event()

    def asked(_signal: int, _frame: object) -> None:
        if stop.is_set():
            os._exit(INTERRUPTED)
        stop.set()
        say(said)

    before = {number: signal.signal(number, asked) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
