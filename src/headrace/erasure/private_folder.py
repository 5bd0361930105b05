"""A folder for one person's eyes: whole or not there, and only its owner can read it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

from headrace.errors import StorageError


def require_free(path: Path) -> None:
    """Raise StorageError where something stands at ``path``, or the folder that it is to be in is absent."""
    if os.path.lexists(path):
        raise StorageError(
            f"{path} is there already, and nothing is overwritten; name a folder that does not exist yet"
        )
    if not path.parent.is_dir():
        raise StorageError(f"{path.parent} is no folder; make it first, or name another place")


@contextmanager
def private_folder(path: Path) -> Generator[Path]:
    """A folder to write to, which takes its place at ``path`` when the block ends well and is gone otherwise. Mode 0700.

    Raises StorageError where something stands there already, or it can't be written.
    """
    require_free(path)
    with _storage_errors(path):
        made = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent))
    try:
        yield made
        with _storage_errors(path):
            _synced(made)
            made.rename(path)  # refused by the system where there is anything but an empty folder
            _synced(path.parent)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def write_private(path: Path, lines: Iterable[str]) -> None:
    """Write a new file of these lines (UTF-8), mode 0600. Raises StorageError where it can't be written."""
    with _storage_errors(path):
        file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8")
        with file:
            file.writelines(f"{line}\n" for line in lines)
            file.flush()
            os.fsync(file.fileno())


def _synced(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _storage_errors(path: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{path} can't be written ({error.strerror or type(error).__name__}); free space, correct the rights, or name "
            "another place"
        ) from None
