"""Where a key ring is kept: a file, an environment variable, or a secret store.

A reference says where (``keys.ring`` of a pipeline file). It is no secret: plans carry it, and each worker reads the ring there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from headrace.privacy.providers.environment import EnvironmentRing
from headrace.privacy.providers.file import FileRing
from headrace.privacy.providers.vault import VaultRing

EditText = Callable[[str | None], str | None]
"""From a ring's text (None: there is none yet) to its new text (None: nothing changes)."""


class Provider(Protocol):
    """One place in which a ring is kept. Every method raises KeyRingError, in one sentence and without a secret."""

    reference: str
    """Names the place in messages, plans and workers."""

    def read(self) -> str | None:
        """The ring's text, or None where there is none."""
        ...

    def change(self, edit: EditText) -> None:
        """Put the ring's new text in place of the old one, whole; of two changes at once, one sees the other's."""
        ...


_KINDS: dict[str, Callable[[str], Provider]] = {"env": EnvironmentRing, "vault": VaultRing}


def provider_of(reference: str) -> Provider:
    """The provider that ``env:NAME`` or ``vault:MOUNT/PATH`` names, or the file."""
    kind, colon, place = reference.partition(":")
    return _KINDS[kind](place) if colon and kind in _KINDS else FileRing(reference)
