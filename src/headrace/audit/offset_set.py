"""Sets of offsets as bits, and sums over what they name, so that ten million records need a few megabytes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

SEGMENT = 4096
"""Offsets that share a sum."""
_WINDOW = 1 << 20
"""Bytes of bits looked at in one go."""


class OffsetSet:
    """Offsets of one partition from ``start`` up to but without ``end``. Memory: one bit for each, once it is touched."""

    def __init__(self, start: int, end: int) -> None:
        self.start, self.end = start, end
        size = (end - start + 7) // 8
        self.bits = np.zeros((size + 511) // 512 * 512, np.uint8)

    def add(self, offsets: np.ndarray) -> np.ndarray:
        """Take in offsets (int64, inside); a mask of those that were there already, or come twice."""
        place = offsets - self.start
        byte, bit = place >> 3, (1 << (place & 7)).astype(np.uint8)
        known = (self.bits[byte] & bit) != 0
        np.bitwise_or.at(self.bits, byte, bit)
        if len(offsets) > 1 and not (np.diff(offsets) > 0).all():
            first = np.zeros(len(offsets), bool)
            first[np.unique(offsets, return_index=True)[1]] = True
            known |= ~first
        return known

    def has(self, offsets: np.ndarray) -> np.ndarray:
        """A mask of those that are in it."""
        place = offsets - self.start
        return (self.bits[place >> 3] & (1 << (place & 7)).astype(np.uint8)) != 0

    def __len__(self) -> int:
        return sum(
            int(np.bitwise_count(self.bits[at : at + _WINDOW]).sum()) for at in range(0, len(self.bits), _WINDOW)
        )

    def without(self, other: OffsetSet) -> Iterator[np.ndarray]:
        """The offsets that are not in ``other`` (of the same start and end), in order, some at a time."""
        for at in range(0, len(self.bits), _WINDOW):
            left = self.bits[at : at + _WINDOW] & ~other.bits[at : at + _WINDOW]
            if left.any():
                yield np.flatnonzero(np.unpackbits(left, bitorder="little")) + (self.start + 8 * at)

    def same_segments(self, other: OffsetSet) -> np.ndarray:
        """A mask of the segments in which both hold the same offsets."""
        same = np.empty(len(self.bits) // 512, bool)
        for at in range(0, len(self.bits), _WINDOW):
            part = self.bits[at : at + _WINDOW] == other.bits[at : at + _WINDOW]
            same[at // 512 : (at + len(part)) // 512] = part.reshape(-1, 512).all(axis=1)
        return same


class SegmentSums:
    """For each segment of offsets a sum that does not depend on the order in which its members come."""

    def __init__(self, start: int, end: int) -> None:
        self._start = start
        self.sums = np.zeros((end - start + SEGMENT - 1) // SEGMENT, np.uint64)

    def add(self, offsets: np.ndarray, values: np.ndarray) -> None:
        """Take in the value (int64) of each offset."""
        np.add.at(self.sums, (offsets - self._start) // SEGMENT, _mixed(offsets, values))


def ranges(offsets: Iterator[np.ndarray]) -> Iterator[tuple[int, int]]:
    """Ascending offsets as ranges: the first, and the one after the last."""
    begun: tuple[int, int] | None = None
    for some in offsets:
        edges = np.flatnonzero(np.diff(some) > 1)
        firsts, ends = some[np.r_[0, edges + 1]], some[np.r_[edges, len(some) - 1]] + 1
        for first, end in zip(firsts.tolist(), ends.tolist(), strict=True):
            if begun and begun[1] == first:
                begun = (begun[0], end)
                continue
            if begun:
                yield begun
            begun = (first, end)
    if begun:
        yield begun


def _mixed(offsets: np.ndarray, values: np.ndarray) -> np.ndarray:
    """64 bits that depend on both (the finalizer of SplitMix64)."""
    with np.errstate(over="ignore"):
        mixed = offsets.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + values.astype(np.uint64)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return mixed ^ (mixed >> np.uint64(31))
