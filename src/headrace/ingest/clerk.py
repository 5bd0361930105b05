"""The clerk of a running job: carries out, between two micro-batches, what commands ask of the tables that the job owns."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Any

from py4j.protocol import Py4JError

from headrace.errors import CheckpointError, HeadraceError
from headrace.ingest.abandon import abandoning
from headrace.ingest.writer import BatchWriter
from headrace.lake.errands import Answer, Errand, Errands
from headrace.lake.lease import Lease

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Handler = Callable[[Errand, Lease], Mapping[str, Any]]
"""Carries out errands of one verb, under the table's lease. It must be safe to repeat: a job may die before it has answered.

What it gives back goes to the command as JSON; a HeadraceError goes there as it is.
"""
LOOK_SECONDS = 1.0
"""How often the folder of errands is looked at."""


class Clerk:
    """Looks for errands in a thread of its own, whether batches run or not. Use ``start``, ``stop`` and ``join``."""

    def __init__(
        self,
        spark: SparkSession,
        errands: Errands,
        *,
        writers: Mapping[str, BatchWriter],
        handlers: Mapping[str, Handler],
        beside: Collection[str] = (),
        notify: Callable[[str], None],
    ) -> None:
        """``writers``: by table (``events/<stream>``); ``handlers``: by verb. ``beside``: verbs whose commits touch closed days
        only, so that no batch need wait for them; errands never run beside each other.
        """  # fmt: skip
        self._spark, self._errands, self._notify = spark, errands, notify
        self._writers, self._handlers, self._beside = dict(writers), dict(handlers), frozenset(beside)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="errands", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Begin no other errand, and break off one that runs: it has changed nothing, and the next writer begins it again."""
        self._stop.set()

    def join(self) -> None:
        """Wait until nothing is done any more."""
        self._thread.join()

    def _run(self) -> None:
        with suppress(Py4JError, OSError):
            self._errands.clean()
        while not self._stop.wait(LOOK_SECONDS):
            with suppress(Py4JError, OSError, ValueError):  # a file system that does not answer: it is looked at again
                for errand in self._errands.open(self._writers):
                    if not self._stop.is_set():
                        self._take(errand)

    def _take(self, errand: Errand) -> None:
        beside = errand.verb in self._beside
        with nullcontext() if beside else self._writers[errand.table].between_batches():
            if self._stop.is_set() or not self._errands.begin(errand):
                return
            begun = time.monotonic()
            where = "beside the batches" if beside else "between two batches"
            self._notify(f"{errand.verb} of {errand.table}, asked by a command: carried out {where}")
            answer = self._carried_out(errand)
            if answer is None:
                self._errands.put_back(errand)
                return
            self._errands.finish(errand, answer)
        said = "done" if answer.error is None else "refused"
        self._notify(f"{errand.verb} of {errand.table}: {said} after {time.monotonic() - begun:.1f} s")

    def _carried_out(self, errand: Errand) -> Answer | None:
        """The answer, or None where the job ends meanwhile."""
        if errand.expired:
            return Answer.of_error(CheckpointError("the job that writes the table came to it too late; ask again"))
        handler = self._handlers.get(errand.verb)
        if handler is None:
            return Answer.of_error(
                CheckpointError(
                    f"the running job can't {errand.verb}: it is of another version; stop it, ask again, start it anew"
                )
            )
        try:
            with abandoning(self._spark, once=self._stop, grace=0, group=f"errand {errand.id}"):
                return Answer(found=handler(errand, self._writers[errand.table].lease))
        except HeadraceError as error:
            return Answer.of_error(error)
        except Exception as error:  # its text may quote values
            if self._stop.is_set():
                return None
            return Answer(
                error=f"unexpected {type(error).__name__} in the running job; nothing was changed", exit_code=1
            )
