"""A key ring in a file that only its owner can read."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from headrace.errors import KeyRingError


class FileRing:
    """A file of mode 0600. A change replaces it in one step; a lock beside it keeps two changes apart."""

    def __init__(self, path: str) -> None:
        self._file = Path(path)
        self.reference = str(self._file.absolute())

    def read(self) -> str | None:
        """The text, or None where there is no file. Refuses one that others can touch."""
        try:
            mode = stat.S_IMODE(self._file.stat().st_mode)
            text = self._file.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise KeyRingError(f"key ring {self._file} can't be read: {error.strerror}; check its owner") from None
        except UnicodeDecodeError:
            raise KeyRingError(f"{self._file} is not a key ring; restore it from your backup") from None
        if mode & 0o077:
            raise KeyRingError(
                f"key ring {self._file} can be read by others (mode {mode:o}); run: chmod 600 {self._file}"
            )
        return text

    def change(self, edit: Callable[[str | None], str | None]) -> None:
        """As :meth:`Provider.change`; the folder is made if it is absent."""
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{self._file}.lock", mode=0o600):
                text = edit(self.read())
                if text is not None:
                    self._write(text)
        except OSError as error:
            raise KeyRingError(
                f"key ring {self._file} can't be written: {error.strerror}; choose another path in keys.ring"
            ) from None

    def _write(self, text: str) -> None:
        temporary = self._file.with_name(f"{self._file.name}.{os.getpid()}.tmp")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
                handle.write(text)
                handle.flush()
                os.fsync(handle.fileno())
            temporary.replace(self._file)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
