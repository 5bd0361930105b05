"""One writer per table: a lock that ends with its process."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from headrace.errors import CheckpointError, StorageError


@contextmanager
def held(locks: str, name: str) -> Generator[None]:
    """Hold the lock ``name`` in the folder ``locks`` (a local path; a URI is not locked).

    Raises CheckpointError where another process holds it, StorageError where the folder can't be written.
    """
    if "://" in locks:
        yield
        return
    try:
        Path(locks).mkdir(parents=True, exist_ok=True)
        lock = FileLock(Path(locks) / f"{name.replace('/', '-')}.lock")
        lock.acquire(timeout=0)
    except Timeout:
        raise CheckpointError(
            f"another job is writing {name!r} in this lake; wait for it to end, or stop it, then start again"
        ) from None
    except OSError as error:
        raise StorageError(f"{locks} can't be written ({error.strerror}); check lake.path and its rights") from None
    try:
        yield
    finally:
        lock.release()
