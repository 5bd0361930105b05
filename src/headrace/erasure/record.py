"""The signed record of an erasure: when, by whom, from which tables, how many rows. Nothing in it is about the person."""

from __future__ import annotations

import hmac
import json
import socket
import uuid
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from headrace.errors import KeyRingError
from headrace.lake import files
from headrace.lake.openings import this_user
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
    body: dict[str, Any] = json.loads(text)
    mac = str(body.pop("hmac", ""))
    try:
        version, fields = int(body["key_version"]), {name: body[name] for name in Record.__dataclass_fields__}
    except (KeyError, TypeError) as error:
        raise ValueError("a field is missing") from error
    try:
        expected = _mac(body, ring.key(ERASURES, version))
        problem = None if hmac.compare_digest(mac, expected) else "it was changed after it was signed"
    except KeyRingError as error:
        problem = str(error)
    plan = {
        table: Planned(tuple((int(p), int(o)) for p, o in one["places"]), tuple(one["days"]), int(one["version"]))
        for table, one in fields.pop("plan").items()
    }
    return Record(**fields, plan=plan), problem


def read_records(spark: SparkSession, folder: str, *, ring: KeyRing) -> list[tuple[Record, str | None]]:
    """All records, oldest first, each with why its signature does not hold, if so. Raises ValueError where one is no record."""
    found: list[tuple[Record, str | None]] = []
    for name in files.names(spark, folder):
        text = files.read_text(spark, f"{folder}/{name}") if name.endswith(".json") else None
        if text:
            found.append(read_record(text, ring=ring))
    return sorted(found, key=lambda one: one[0].begun_at)


def _mac(body: dict[str, Any], secret: bytes) -> str:
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hmac.new(secret, text.encode(), "sha256").hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
