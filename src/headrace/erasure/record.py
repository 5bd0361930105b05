"""The signed record of an erasure: when, by whom, from which tables, how many rows. Nothing in it is about the person."""

from __future__ import annotations

import hmac
import json
import socket
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import TypeAdapter

from headrace.errors import AccountingError, KeyRingError
from headrace.lake import files
from headrace.lake.openings import this_user
from headrace.located import printable
from headrace.privacy.keys import ERASURES, KeyRing

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

BEGUN, DONE = "begun", "done"


@dataclass(frozen=True)
class Planned:
    """What is to go from one table: where its rows are, and nothing that they say."""

    places: tuple[tuple[int, int], ...]
    """Partition and offset of each."""
    days: tuple[str, ...]
    version: int
    """Of the table, before anything went."""


@dataclass(frozen=True)
class Record:
    """An erasure, begun or done."""

    id: str
    pipeline: str
    spec: str
    begun_at: str
    """ISO 8601, UTC."""
    user: str
    host: str
    state: str = BEGUN
    done_at: str | None = None
    identifiers: dict[str, int] = field(default_factory=dict)
    """Kind of identifier to how many of the person's were known."""
    rows: dict[str, dict[str, int]] = field(default_factory=dict)
    """Table to verdict to the rows that went."""
    files: dict[str, int] = field(default_factory=dict)
    """Table to the files that went."""
    predictions: int = 0
    snapshots: dict[str, int] = field(default_factory=dict)
    """Training run to the rows that went from its snapshot."""
    models: list[str] = field(default_factory=list)
    """Versions of models that were trained on such a snapshot: ``NAME/VERSION``."""
    left: list[str] = field(default_factory=list)
    """What could not be reached, in sentences."""
    plan: dict[str, Planned] = field(default_factory=dict)
    """While it is not done: table to what is to go."""

    def done(self) -> Record:
        """The record of what is done now, without its plan."""
        return replace(self, state=DONE, done_at=_now(), plan={})


def new_record(*, pipeline: str, spec: str) -> Record:
    """A record of what begins now, by this user on this host."""
    return Record(uuid.uuid4().hex, pipeline, spec, _now(), this_user(), socket.gethostname())


def write_record(spark: SparkSession, folder: str, record: Record, *, ring: KeyRing) -> None:
    """Write a record, signed, in place of an earlier state of it."""
    files.write_text(spark, f"{folder}/{record.id}.json", signed(record, ring=ring))


def signed(record: Record, *, ring: KeyRing) -> str:
    """The record as JSON, with the HMAC-SHA256 of all of it under the newest key for erasures."""
    version = ring.current(ERASURES)
    body = {**asdict(record), "key": ERASURES, "key_version": version}
    return json.dumps({**body, "hmac": _mac(body, ring.key(ERASURES, version))}, indent=1)


def read_record(text: str, *, ring: KeyRing) -> tuple[Record, str | None]:
    """A record, and why its signature does not hold, or None where it does. Raises ValueError where it is no record."""
    body: Any = json.loads(text)
    if not isinstance(body, dict) or not isinstance(body.get("key_version"), int):
        raise ValueError("it is no record")
    mac = str(body.pop("hmac", ""))
    fields = {name: body[name] for name in Record.__dataclass_fields__ if name in body}
    record = TypeAdapter(Record).validate_python(fields)
    try:
        expected = _mac(body, ring.key(ERASURES, body["key_version"]))
        holds = hmac.compare_digest(mac.encode(), expected.encode())
        problem = None if holds else "it was changed after it was signed"
    except KeyRingError as error:
        problem = str(error)
    return record, problem


class Records(NamedTuple):
    """The records of a lake."""

    found: list[tuple[Record, str | None]]
    """Oldest first, each with why its signature does not hold, if so."""
    damaged: list[str]
    """Names of files that hold none."""


def read_records(spark: SparkSession, folder: str, *, ring: KeyRing) -> Records:
    """All records."""
    found, damaged = list[tuple[Record, str | None]](), list[str]()
    for name in files.names(spark, folder):
        text = files.read_text(spark, f"{folder}/{name}") if name.endswith(".json") else None
        if text is not None:
            try:
                found.append(read_record(text, ring=ring))
            except (ValueError, RecursionError):
                damaged.append(name)
    return Records(sorted(found, key=lambda one: one[0].begun_at), damaged)


def no_records(names: Sequence[str], folder: str) -> AccountingError:
    """The one sentence for files that should be records, or of which nobody can tell whether they were begun so."""
    return AccountingError(
        f"{len(names)} files in {folder} are no records of erasures, or their signatures do not hold "
        f"({', '.join(map(printable, names))}); restore them from a copy, or move them elsewhere and ask once more for the erasure "
        "that may have begun there"
    )


def _mac(body: dict[str, Any], secret: bytes) -> str:
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hmac.new(secret, text.encode(), "sha256").hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
