"""Chance that depends on a seed, a purpose and an index, and on nothing else.

A generator with a state gives other values when the range, the order or the version of its library changes. Here value
number i of a purpose is a hash of (seed, purpose, i), in whole numbers only: the same on every machine and Python, for every
range of days, and however the work is cut. The mixing is that of SplitMix64 (Steele, Lea and Flood 2014).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_30, _27, _31, _32, _11 = (np.uint64(n) for n in (30, 27, 31, 32, 11))


class Draws:
    """Every random value of a simulation. ``index``: whole numbers from 0, one value comes back for each."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._keys: dict[str, np.uint64] = {}

    def bits(self, purpose: str, index: np.ndarray) -> np.ndarray:
        """64 random bits each (``uint64``)."""
        mixed = self._key(purpose) + index.astype(np.uint64) * _STEP  # arrays of uint64 wrap around
        mixed = (mixed ^ (mixed >> _30)) * _FIRST
        mixed = (mixed ^ (mixed >> _27)) * _SECOND
        return mixed ^ (mixed >> _31)

    def below(self, purpose: str, index: np.ndarray, limit: int | np.ndarray) -> np.ndarray:
        """Whole numbers from 0 up to, not including, ``limit`` (at most 2^31), as ``int64``."""
        top = self.bits(purpose, index) >> _32
        return ((top * np.asarray(limit, dtype=np.uint64)) >> _32).astype(np.int64)

    def share(self, purpose: str, index: np.ndarray) -> np.ndarray:
        """Numbers from 0 up to, not including, 1 (``float64``, exact)."""
        return (self.bits(purpose, index) >> _11).astype(np.float64) * 2.0**-53

    def one_of(self, purpose: str, index: np.ndarray, weights: Sequence[int]) -> np.ndarray:
        """Positions in ``weights``, each as often as its weight says (``int64``)."""
        edges = np.cumsum(np.asarray(weights, dtype=np.int64))
        return np.searchsorted(edges, self.below(purpose, index, int(edges[-1])), side="right")

    def _key(self, purpose: str) -> np.uint64:
        if purpose not in self._keys:
            digest = hashlib.sha256(f"{self._seed}/{purpose}".encode()).digest()
            self._keys[purpose] = np.uint64(int.from_bytes(digest[:8], "big"))
        return self._keys[purpose]


def on_curve(share: np.ndarray, points: Sequence[int]) -> np.ndarray:
    """Whole numbers at these shares (0 to 1) of a curve through ``points``, evenly spaced: a distribution by its quantiles.

    Straight lines between the points: nothing that a mathematical library may round in another way.
    """
    curve = np.asarray(points, dtype=np.float64)
    place = share * (len(points) - 1)
    low = np.minimum(place.astype(np.int64), len(points) - 2)
    return (curve[low] + (curve[low + 1] - curve[low]) * (place - low)).astype(np.int64)
