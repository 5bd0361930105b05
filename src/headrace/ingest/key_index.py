"""The keys that a stream has accepted within its horizon, in memory: who came first, and when.

A key is 128 bits of hash. The keys lie in sorted runs of geometrically growing size, as in a log-structured merge tree: a
batch is one small run, and runs of like size are merged, so that a key is moved some ten times in its life and a look-up
searches about as many runs. A key takes ``BYTES_PER_KEY`` bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

BYTES_PER_KEY = 36
LARGEST_RUN = 4_000_000
"""No run grows beyond it, so that no merge holds up a batch for long."""


@dataclass(frozen=True)
class Keys:
    """Records and their keys, as columns of one length."""

    high: np.ndarray
    """``int64``: first half of the key's hash."""
    low: np.ndarray
    """``int64``: second half."""
    time: np.ndarray
    """``int64``: the record's time, in milliseconds since 1970."""
    partition: np.ndarray
    """``int32``."""
    offset: np.ndarray
    """``int64``."""

    def __len__(self) -> int:
        return len(self.high)

    def at(self, chosen: np.ndarray) -> Keys:
        """These records (a mask, or positions)."""
        return Keys(*(getattr(self, column.name)[chosen] for column in fields(self)))

    def __add__(self, other: Keys) -> Keys:
        pairs = ((getattr(self, column.name), getattr(other, column.name)) for column in fields(self))
        return Keys(*(np.concatenate(pair) for pair in pairs))


def no_keys() -> Keys:
    """No record."""
    long = np.empty(0, np.int64)
    return Keys(long, long, long, np.empty(0, np.int32), long)


@dataclass(frozen=True)
class _Run:
    """Keys sorted by the first half of their hash, and the newest time of each partition among them."""

    keys: Keys
    newest: Mapping[int, int]

    def __len__(self) -> int:
        return len(self.keys)

    def is_past(self, floors: Mapping[int, int]) -> bool:
        return all(partition in floors and time < floors[partition] for partition, time in self.newest.items())


class KeyIndex:
    """What was accepted. ``floors`` forget: partition to the earliest time that is still of use."""

    def __init__(self) -> None:
        self._runs: list[_Run] = []

    def __len__(self) -> int:
        return sum(len(run) for run in self._runs)

    def add(self, keys: Keys, *, floors: Mapping[int, int]) -> None:
        """Take in accepted records; forget those before the floor of their partition, as runs are merged or wholly past."""
        self._runs = [run for run in self._runs if not run.is_past(floors)]
        made = _sorted(_current(keys, floors))
        while self._runs and len(self._runs[-1]) <= 2 * len(made) and len(self._runs[-1]) + len(made) <= LARGEST_RUN:
            made = _sorted(_current(self._runs.pop().keys, floors) + made)
        if len(made):
            partitions = np.unique(made.partition)
            self._runs.append(_Run(made, {int(p): int(made.time[made.partition == p].max()) for p in partitions}))

    def matches(self, keys: Keys) -> tuple[np.ndarray, Keys]:
        """Every accepted record with the key of one of ``keys``: the position in ``keys``, and the record; in no order."""
        order = np.argsort(keys.high)  # a sorted search walks through the run instead of jumping in it
        wanted = keys.high[order]
        positions, found = [np.empty(0, np.int64)], no_keys()
        for run in (run.keys for run in self._runs):
            begin, end = np.searchsorted(run.high, wanted, "left"), np.searchsorted(run.high, wanted, "right")
            counts = end - begin
            hit = np.flatnonzero(counts)
            if not len(hit):
                continue
            repeats = counts[hit]
            within = np.arange(repeats.sum()) - np.repeat(np.cumsum(repeats) - repeats, repeats)
            where = np.repeat(begin[hit], repeats) + within
            asked = np.repeat(order[hit], repeats)
            same = run.low[where] == keys.low[asked]
            positions.append(asked[same])
            found = found + run.at(where[same])
        return np.concatenate(positions), found


def _sorted(keys: Keys) -> Keys:
    return keys.at(np.argsort(keys.high, kind="stable"))  # of two sorted runs: one merge


def _current(keys: Keys, floors: Mapping[int, int]) -> Keys:
    kept = np.ones(len(keys), bool)
    for partition, floor in floors.items():
        kept &= (keys.partition != partition) | (keys.time >= floor)
    return keys if kept.all() else keys.at(kept)
