"""What a window makes of the rows in it: one number, the same for any order and partitioning of the rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from headrace.spec.features import Aggregate

    Array = np.ndarray[Any, Any]

ROUNDED: frozenset[Aggregate] = frozenset({"sum", "mean", "std", "decayed_sum", "decayed_mean"})
"""What is added up is rounded to ``DIGITS`` decimals: the last digits depend on how a processor adds and raises to a power."""
DIGITS = 9
_GATHERED = 4_000_000
"""So many rows of frames are gathered at once, or one frame if it has more."""


@dataclass(frozen=True)
class Frames:
    """The frames of some requests, none empty, over rows in their order.

    ``rows``: the numbers of the rows, frame after frame. ``first``: where each frame begins in ``rows``; ``size``: how many it
    has. ``now``: the requests' T, in microseconds since 1970.
    """

    rows: Array
    first: Array
    size: Array
    now: Array

    def spread(self, values: Array) -> Array:
        """One value per frame, repeated for each of its rows."""
        return np.repeat(values, self.size)


def frames(start: Array, end: Array, now: Array) -> Iterator[tuple[Array, Frames]]:
    """The frames ``[start, end)`` that are not empty, in pieces: the numbers of the requests, and their frames."""
    filled = np.flatnonzero(end > start)
    size = (end - start)[filled]
    piece = (np.cumsum(size) - size) // _GATHERED
    for bounds in np.split(np.arange(len(filled)), np.flatnonzero(np.diff(piece)) + 1):
        if len(bounds):
            sizes, begins = size[bounds], start[filled[bounds]]
            first = np.cumsum(sizes) - sizes
            rows = np.arange(sizes.sum()) + np.repeat(begins - first, sizes)
            yield filled[bounds], Frames(rows, first, sizes, now[filled[bounds]])


def aggregated(aggregate: Aggregate, values: Array, times: Array, of: Frames, *, half_life: int) -> Array:
    """The feature for each frame (``float64``), of ``values`` (``float64``; of ``distinct`` numbers that stand for them).

    ``times`` and ``half_life`` in microseconds. Quantiles interpolate linearly between the two nearest ranks (type 7 of Hyndman
    and Fan, Sample Quantiles in Statistical Packages, 1996). A decayed value weighs a row of age a by 2^(-a / half_life). ``std``
    is that of a sample; NaN for a single row.
    """
    seen = values[of.rows]
    match aggregate:
        case "sum":
            return np.add.reduceat(seen, of.first)
        case "mean":
            return np.add.reduceat(seen, of.first) / of.size
        case "min":
            return np.fmin.reduceat(seen, of.first)
        case "max":
            return np.maximum.reduceat(seen, of.first)
        case "std":
            return _std(seen, of)
        case "distinct":
            return _distinct(seen, of)
        case "decayed_sum" | "decayed_mean":
            weights = np.exp2((times[of.rows] - of.spread(of.now)) / half_life)
            total = np.add.reduceat(seen * weights, of.first)
            return total / np.add.reduceat(weights, of.first) if aggregate == "decayed_mean" else total
        case _:
            return _quantile(seen, of, share=int(aggregate[1:]) / 100)


def _std(seen: Array, of: Frames) -> Array:
    mean = np.add.reduceat(seen, of.first) / of.size
    squares = np.add.reduceat((seen - of.spread(mean)) ** 2, of.first)
    return np.sqrt(np.divide(squares, of.size - 1, out=np.full(len(squares), np.nan), where=of.size > 1))


def _distinct(seen: Array, of: Frames) -> Array:
    ranked = _ranked(seen, of)
    new = np.ones(len(ranked))
    new[1:] = ranked[1:] != ranked[:-1]
    new[of.first] = 1.0
    return np.add.reduceat(new, of.first)


def _quantile(seen: Array, of: Frames, *, share: float) -> Array:
    ranked = _ranked(seen, of)
    place = (of.size - 1) * share
    below, above = np.floor(place).astype(np.int64), np.ceil(place).astype(np.int64)
    low, high = ranked[of.first + below], ranked[of.first + above]
    return low + (high - low) * (place - below)


def _ranked(seen: Array, of: Frames) -> Array:
    """The values of each frame in ascending order."""
    return seen[np.lexsort((seen, of.spread(np.arange(len(of.size)))))]
