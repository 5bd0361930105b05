"""Errands: what a command asks the running ingest to do with a table that only its one writer may change.

An errand is a small file under the lake, on whatever file system that is. It is ``asked`` by a command, ``begun`` by the job
that writes the table, and ``done`` when its answer stands there; each step gives the file another name, so that of an errand
that is begun and withdrawn at once only one happens. A job that dies leaves its errand begun: the next writer of the table
begins it again, so what an errand does must be safe to repeat.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from py4j.protocol import Py4JJavaError

from headrace import errors
from headrace.errors import HeadraceError
from headrace.lake import files

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ASKED, BEGUN, DONE = "asked", "begun", "done"
EXPIRES_SECONDS = 3600.0
"""An errand older than this is not begun any more: whoever asked has gone, or must ask again."""


@dataclass(frozen=True)
class Errand:
    """A verb, the table that it is about (``events/<stream>``), and arguments that JSON can hold (no secrets, no clear values)."""

    id: str
    table: str
    verb: str
    arguments: Mapping[str, Any] = field(repr=False)

    @property
    def age(self) -> float:
        """Seconds since it was asked, by the clocks of two hosts."""
        return _age(self.id)

    @property
    def expired(self) -> bool:
        return self.age > EXPIRES_SECONDS


@dataclass(frozen=True)
class Answer:
    """What came of an errand: ``found``, or an error's sentence with its exit code."""

    found: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None
    exit_code: int = 0

    @staticmethod
    def of_error(error: HeadraceError) -> Answer:
        return Answer(error=str(error), exit_code=error.exit_code)

    def result(self) -> Mapping[str, Any]:
        """What was found. Raises the error that was met instead, with its class."""
        if self.error is None:
            return self.found
        kinds = (kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, HeadraceError))
        kind = next((kind for kind in kinds if kind.exit_code == self.exit_code), HeadraceError)
        raise kind(self.error)


def new_errand(*, table: str, verb: str, arguments: Mapping[str, Any]) -> Errand:
    """An errand that nobody knows of yet. Ids sort by the time at which they were made."""
    return Errand(f"{time.time_ns() // 1_000_000:013d}-{secrets.token_hex(6)}", table, verb, dict(arguments))


@dataclass(frozen=True)
class Errands:
    """The folder of a lake's errands. Every method reads it as it is now."""

    spark: SparkSession
    folder: str

    def ask(self, errand: Errand) -> None:
        """Put it where the table's writer looks."""
        told = {"table": errand.table, "verb": errand.verb, "arguments": errand.arguments}
        files.write_text(self.spark, self._path(errand, ASKED), json.dumps(told))

    def open(self, tables: Iterable[str]) -> list[Errand]:
        """Errands about these tables without an answer, in the order in which they were asked."""
        names, wanted, found = files.names(self.spark, self.folder), set(tables), list[Errand]()
        for name in names:
            stem, _, state = name.rpartition(".")
            if state in (ASKED, BEGUN) and f"{stem}.{DONE}" not in names:
                text = files.read_text(self.spark, f"{self.folder}/{name}")  # None where it was withdrawn meanwhile
                if text and (errand := Errand(id=stem, **json.loads(text))).table in wanted:
                    found.append(errand)
        return found

    def begin(self, errand: Errand) -> bool:
        """Take it on; False where it was withdrawn. One that a dead job had begun is begun again."""
        return self._moved(errand, ASKED, BEGUN) or self.begun(errand)

    def begun(self, errand: Errand) -> bool:
        """Whether a job has taken it on."""
        return files.exists(self.spark, self._path(errand, BEGUN))

    def put_back(self, errand: Errand) -> None:
        """Leave it to the next writer."""
        self._moved(errand, BEGUN, ASKED)

    def withdraw(self, errand: Errand) -> bool:
        """Take back what was asked; False where it was begun already."""
        path = f"{self._path(errand, ASKED)}.withdrawn"
        if not _moved(self.spark, self._path(errand, ASKED), path):
            return False
        files.delete(self.spark, path)
        return True

    def finish(self, errand: Errand, answer: Answer) -> None:
        """Write the answer, then forget that it was begun."""
        told = {"found": answer.found, "error": answer.error, "exit_code": answer.exit_code}
        files.write_text(self.spark, self._path(errand, DONE), json.dumps(told))
        files.delete(self.spark, self._path(errand, BEGUN))

    def answer(self, errand: Errand) -> Answer | None:
        """The answer, or None while there is none."""
        text = files.read_text(self.spark, self._path(errand, DONE))
        return Answer(**json.loads(text)) if text else None

    def forget(self, errand: Errand) -> None:
        """Remove all that is left of it."""
        for state in (ASKED, BEGUN, DONE):
            files.delete(self.spark, self._path(errand, state))

    def clean(self) -> None:
        """Remove answers that nobody fetched."""
        for name in files.names(self.spark, self.folder):
            stem, _, state = name.rpartition(".")
            if state == DONE and _age(stem) > 2 * EXPIRES_SECONDS:
                files.delete(self.spark, f"{self.folder}/{name}")

    def _moved(self, errand: Errand, state: str, to: str) -> bool:
        return _moved(self.spark, self._path(errand, state), self._path(errand, to))

    def _path(self, errand: Errand, state: str) -> str:
        return f"{self.folder}/{errand.id}.{state}"


def _age(errand_id: str) -> float:
    return time.time() - int(errand_id.partition("-")[0]) / 1000


def _moved(spark: SparkSession, path: str, to: str) -> bool:
    try:
        files.move(spark, path, to)
    except (Py4JJavaError, OSError):  # it is not there (any more)
        return False
    return True
