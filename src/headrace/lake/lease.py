"""One writer per table: a lease in the table itself, so that it holds across hosts.

Taking it is a commit that sets the table property ``headrace.lease``: a change of metadata, with which Delta fails every append
that began before it, so a writer that lost its lease unawares (its machine slept) can't commit. While it is held, a small file
beside the data is written anew every few seconds. Whoever finds a lease takes it over only where the holder released it, or is
no longer a process of this host, or, being elsewhere, lets that file rest for ``WATCH_SECONDS``. Only the watcher's own clock is
used.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from py4j.protocol import Py4JError

from headrace.errors import CheckpointError
from headrace.lake import delta, files, follow

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PROPERTY = "headrace.lease"
BEAT_SECONDS = 5.0
WATCH_SECONDS = 20.0
_POLL_SECONDS = 1.0
_SAME_START_S = 0.5
_held: set[str] = set()
"""Tokens of the leases that this process holds."""


@dataclass(frozen=True)
class Holder:
    """Who took a lease: a token of its own, its host (with its process numbers' namespace), and its process."""

    token: str
    host: str
    space: str
    pid: int
    created: float

    @staticmethod
    def this_process() -> Holder:
        pid = os.getpid()
        return Holder(
            secrets.token_hex(8), socket.gethostname(), _process_space(), pid, psutil.Process(pid).create_time()
        )

    def is_here(self) -> bool:
        """Whether its process number means something on this host."""
        return (self.host, self.space) == (socket.gethostname(), _process_space())

    def lives_here(self) -> bool:
        """Whether that very process runs on this host, and still holds the lease."""
        if self.pid == os.getpid():
            return self.token in _held
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.created) < _SAME_START_S
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False


@dataclass(frozen=True)
class Lease:
    """The right to write one table. Use :func:`leased`."""

    spark: SparkSession
    table: str
    what: str
    holder: Holder

    def require(self) -> None:
        """Raise CheckpointError where another job has taken the table over."""
        now = _read(follow.table_property(self.spark, self.table, PROPERTY))
        if now is None or now.token != self.holder.token:
            raise lost(self.what)


def lost(what: str) -> CheckpointError:
    """The one sentence for a writer whose lease was taken over."""
    return CheckpointError(
        f"another job has taken over {what!r} while this one was silent (did its machine sleep?); nothing was written twice: "
        "let the other one go on"
    )


@contextmanager
def leased(
    spark: SparkSession, table: str, *, what: str, notify: Callable[[str], None] = lambda line: None
) -> Generator[Lease]:
    """Be the one writer of an existing table; ``what`` names it in messages.

    Raises CheckpointError where another live job holds it.
    """
    lease = _take(spark, table, what=what, notify=notify)
    done = threading.Event()
    beating = threading.Thread(target=_beat, args=(lease, done), name=f"lease {what}", daemon=True)
    beating.start()
    try:
        yield lease
    finally:
        done.set()
        beating.join()
        _held.discard(lease.holder.token)
        with suppress(Py4JError, OSError):  # a lease that can't be released is recognized as left by its holder's end
            _say(lease, released=True)


def _take(spark: SparkSession, table: str, *, what: str, notify: Callable[[str], None]) -> Lease:
    found = _holder(spark, table)
    if found is not None and _lives(spark, table, found, what=what, notify=notify):
        raise CheckpointError(
            f"another job is writing {what!r} in this lake (process {found.pid} on {found.host}); wait for it to end, or stop "
            "it, then start again"
        )
    lease = Lease(spark, table, what, Holder.this_process())
    _held.add(lease.holder.token)
    try:
        _say(lease, released=False)
        delta.set_property(spark, table, PROPERTY, json.dumps(asdict(lease.holder)))
        lease.require()
    except Py4JError as error:
        _held.discard(lease.holder.token)
        if "Concurrent" in str(error) or "MetadataChanged" in str(error):
            raise CheckpointError(f"another job is starting to write {what!r} in this lake; let it go on") from None
        raise files.storage_error(error, table) or error from None
    except BaseException:
        _held.discard(lease.holder.token)
        raise
    return lease


def _lives(
    spark: SparkSession, table: str, found: Holder, *, what: str, notify: Callable[[str], None]
) -> bool:  # fmt: skip
    said = _beat_of(spark, table)
    if said is not None and json.loads(said) == {"token": found.token, "released": True}:
        return False  # its process may live on, and do something else
    if found.is_here():
        return found.lives_here()
    notify(
        f"{what!r} was last written from {found.host}; watching for {WATCH_SECONDS:.0f} s whether that job still runs"
    )
    end = time.monotonic() + WATCH_SECONDS
    while time.monotonic() < end:
        time.sleep(_POLL_SECONDS)
        if _beat_of(spark, table) != said:
            return True
    return False


def _beat(lease: Lease, done: threading.Event) -> None:
    while not done.wait(BEAT_SECONDS):
        with suppress(Py4JError, OSError):  # a full disk: the next batch says so
            _say(lease, released=False)


def _say(lease: Lease, *, released: bool) -> None:
    said = {"token": lease.holder.token, "released": True} if released else {"beat": time.time_ns()}
    files.write_text(lease.spark, _beat_file(lease.table), json.dumps(said))


def _beat_of(spark: SparkSession, table: str) -> str | None:
    return files.read_text(spark, _beat_file(table))


def _beat_file(table: str) -> str:
    return f"{table}/_headrace/lease"  # Delta's readers and VACUUM leave names with _ alone


def _holder(spark: SparkSession, table: str) -> Holder | None:
    return _read(delta.table_property(spark, table, PROPERTY))


def _read(told: str | None) -> Holder | None:
    try:
        return Holder(**json.loads(told)) if told else None
    except (ValueError, TypeError):
        return None


def _process_space() -> str:
    """Names the space in which process numbers are unique: this boot of the kernel, and the container's own numbering."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""
