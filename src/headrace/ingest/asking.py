"""The command's side of an errand: done at once where nobody writes the table, else asked of the job that does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from headrace.errors import CheckpointError
from headrace.ingest.abandon import abandoning
from headrace.ingest.clerk import Handler
from headrace.lake.errands import Errand, Errands
from headrace.lake.lease import Lease

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

State = Literal["doing", "waiting", "begun"]
"""``doing``: by this command; ``waiting``: for the job that writes the table; ``begun``: by that job."""
POLL_SECONDS = 0.5
TRY_SECONDS = 5.0
"""How often it is tried whether the job has ended, so that the command must do it itself."""


def _say_nothing(_state: State) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Asking:
    """An errand, and what it takes to have it done."""

    spark: SparkSession
    errands: Errands
    errand: Errand
    lease: Callable[[], AbstractContextManager[Lease]]
    """Takes the table's lease, or raises CheckpointError where another job has it."""
    handler: Handler
    stop: threading.Event
    tell: Callable[[State], None] = _say_nothing
    """Hears the state at every look."""

    def have_done(self) -> Mapping[str, Any]:
        """What came of it. A job that writes the table carries it out; if that job ends before, this command does.

        When ``stop`` is set, an errand that was not begun is withdrawn, one that this command does is broken off, and either
        way KeyboardInterrupt is raised; one that the other job has begun is waited for. Raises whatever error was met.
        """
        done = self._alone()
        if done is not None:
            return done
        self.errands.ask(self.errand)
        tried = time.monotonic()
        while True:
            answer = self.errands.answer(self.errand)
            if answer is not None:
                self.errands.forget(self.errand)
                return answer.result()
            if self.stop.is_set() and self.errands.withdraw(self.errand):
                raise KeyboardInterrupt
            self.tell("begun" if self.errands.begun(self.errand) else "waiting")
            if time.monotonic() - tried > TRY_SECONDS:
                done = self._alone()
                if done is not None:
                    return done
                tried = time.monotonic()
            time.sleep(POLL_SECONDS)

    def _alone(self) -> Mapping[str, Any] | None:
        """What came of it when this command did it, or None where another job writes the table."""
        with ExitStack() as release:
            try:
                lease = release.enter_context(self.lease())
            except CheckpointError:
                return None
            try:
                answer = self.errands.answer(self.errand)  # the last deed of the job that has ended
                if answer is not None:
                    return answer.result()
                self.tell("doing")
                return self._done(lease)
            finally:
                self.errands.forget(self.errand)

    def _done(self, lease: Lease) -> Mapping[str, Any]:
        try:
            with abandoning(self.spark, once=self.stop, grace=0, group=f"errand {self.errand.id}"):
                return self.handler(self.errand, lease)
        except Exception:
            if self.stop.is_set():
                raise KeyboardInterrupt from None
            raise
