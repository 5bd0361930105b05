"""How an errand stands, for the person or the program that asked for it."""

from __future__ import annotations

import json
import sys
import time
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from headrace.cli.console import CONSOLE

if TYPE_CHECKING:
    from rich.status import Status

    from headrace.ingest.asking import State

_SAID = {
    "waiting": "waiting for the ingest that writes this table to finish its batch",
    "begun": "the running ingest carries it out",
}
REMIND_SECONDS = 10.0


class Waiting(AbstractContextManager["Waiting"]):
    """How an errand stands: a moving line on a terminal, JSON lines elsewhere (at a change, then every ten seconds)."""

    def __init__(self, verb: str, *, doing: str) -> None:
        """``doing``: what this command does where no other job does it, for the person at the terminal."""
        self._said = _SAID | {"doing": doing}
        self._verb, self._begun, self._told, self._state, self._table = verb, time.monotonic(), 0.0, "", ""
        self._status: Status | None = CONSOLE.status("") if CONSOLE.is_terminal else None

    def __enter__(self) -> Self:
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status is not None:
            self._status.stop()

    def about(self, table: str) -> None:
        """Say which table the errand is about."""
        self._table = f" {table}"

    def tell(self, state: State) -> None:
        """Take in the state as it is now."""
        now = time.monotonic()
        seconds = now - self._begun
        if self._status is not None:
            self._status.update(f"{self._said[state]}{self._table} ({seconds:.0f} s; Ctrl-C stops)")
        elif state != self._state or now - self._told > REMIND_SECONDS:
            at = datetime.now(UTC).isoformat(timespec="milliseconds")
            line = {"time": at, "event": self._verb, "state": state, "seconds": round(seconds, 1)}
            print(json.dumps(line), file=sys.stderr, flush=True)
            self._told = now
        self._state = state
