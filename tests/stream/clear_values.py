"""Searches every byte below a folder for thousands of clear values at once, plain or encoded, also where they are compressed."""

from __future__ import annotations

import base64
import urllib.parse
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from leaks import contents

SHORTEST = 8
"""Values of fewer bytes than this would be found by chance."""


def encoded(value: str | bytes) -> set[bytes]:
    """How a value may stand in a file: UTF-8 and UTF-16, JSON's and URLs' escapes, hexadecimal, base64 at any place."""
    if isinstance(value, bytes):
        plain, forms = value, {value}
    else:
        plain = value.encode()
        forms = {plain, value.encode("utf-16-le"), value.encode("utf-16-be"), value.encode("ascii", "backslashreplace")}
    forms |= {urllib.parse.quote(value, safe="").encode(), urllib.parse.quote_plus(value).encode()}
    forms |= {plain.hex().encode(), plain.hex().upper().encode()}
    for shift in range(3):  # the first and last letters of base64 depend on the neighbours
        coded = base64.b64encode(b"\0" * shift + plain)
        forms.add(coded[-(-shift * 8 // 6) : (shift + len(plain)) * 8 // 6])
    return {form for form in forms if len(form) >= SHORTEST}


class Search:
    """Looks for many values at once: by their first eight bytes, then whole."""

    def __init__(self, values: Iterable[str | bytes]) -> None:
        self._by_start: dict[int, list[tuple[bytes, str | bytes]]] = {}
        for value in set(values):
            for form in encoded(value):
                self._by_start.setdefault(int.from_bytes(form[:SHORTEST], "little"), []).append((form, value))
        self._starts = np.sort(np.fromiter(self._by_start, dtype=np.uint64, count=len(self._by_start)))

    def inside(self, data: bytes) -> set[str | bytes]:
        """The values that some bytes hold, in any form."""
        if len(data) < SHORTEST:
            return set()
        found: set[str | bytes] = set()
        array = np.frombuffer(data, dtype=np.uint8)
        windows = np.lib.stride_tricks.sliding_window_view(array, SHORTEST)
        for first in range(0, len(windows), 1 << 20):
            part = np.ascontiguousarray(windows[first : first + (1 << 20)]).view("<u8").ravel()
            place = np.minimum(np.searchsorted(self._starts, part), len(self._starts) - 1)
            for hit in np.flatnonzero(self._starts[place] == part).tolist():
                for form, value in self._by_start[int(part[hit])]:
                    if data.startswith(form, first + hit):
                        found.add(value)
        return found

    def below(self, folder: Path) -> dict[str, set[str | bytes]]:
        """File to the values found in it, of all files below a folder."""
        found: dict[str, set[str | bytes]] = {}
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            values = set().union(*(self.inside(data) for data in contents(path)))
            if values:
                found[str(path.relative_to(folder))] = values
        return found
