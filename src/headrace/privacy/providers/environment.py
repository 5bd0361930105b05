"""A key ring in an environment variable, as an orchestrator injects a secret. It is read, never changed."""

from __future__ import annotations

import os
from collections.abc import Callable

from headrace.errors import KeyRingError


class EnvironmentRing:
    """The variable holds the text of a ring file. Every worker needs it too, before its process starts."""

    def __init__(self, variable: str) -> None:
        self._variable = variable
        self.reference = f"env:{variable}"

    def read(self) -> str | None:
        """The text, or None where the variable is not set or empty."""
        return os.environ.get(self._variable) or None

    def change(self, edit: Callable[[str | None], str | None]) -> None:
        """Raises KeyRingError where something would change: a command can't reach where the variable is set."""
        text = self.read()
        if edit(text) is None:
            return
        if text is None:
            raise KeyRingError(
                f"the environment variable {self._variable} with the key ring is not set; set it to the content of a ring file"
            )
        raise KeyRingError(
            f"the key ring in the environment variable {self._variable} can't be changed by a command; change a ring file "
            "with headrace keys, then set the variable to its content"
        )
