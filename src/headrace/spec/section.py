"""What all sections of a pipeline file share: frozen, and strict about unknown keys."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints


class Section(BaseModel):
    """A part of the pipeline file."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True, allow_inf_nan=False)


Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
"""A lower-case identifier: streams, references, feature columns."""

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _duration(text: str) -> str:
    if not re.fullmatch(r"[1-9][0-9]*[smhd]", text):
        raise ValueError(f"expected a duration such as 30s, 15m, 3h or 7d, got {text!r}")
    return text


Duration = Annotated[str, AfterValidator(_duration)]
"""A number and a unit: ``30s``, ``15m``, ``3h``, ``7d``."""


def _days(text: str) -> str:
    if not re.fullmatch(r"[1-9][0-9]{0,4}d", text):
        raise ValueError(f"expected whole days such as 30d, got {text!r}")
    return text


Days = Annotated[str, AfterValidator(_days)]
"""Whole days: ``30d``."""


def seconds(duration: str) -> int:
    """Length of a Duration in seconds."""
    return int(duration[:-1]) * _SECONDS[duration[-1]]


def _size(text: str) -> str:
    if not re.fullmatch(r"[1-9][0-9]{0,5}[mg]", text):
        raise ValueError(f"expected a size such as 512m or 4g, got {text!r}")
    return text


Size = Annotated[str, AfterValidator(_size)]
"""Memory in mebibytes or gibibytes: ``512m``, ``4g``."""


def size_in_bytes(size: str) -> int:
    """A Size in bytes."""
    return int(size[:-1]) * (1 << 20 if size[-1] == "m" else 1 << 30)
