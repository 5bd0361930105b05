"""Segments of the test rows, as the gate's slices declare them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from headrace.spec.gate import Slice


def segments(declared: Slice, values: np.ndarray) -> dict[str, np.ndarray]:
    """Name of each segment that has rows, in the declared order, to a mask of its rows. Every row is in exactly one.

    ``values``: the feature in each row; NaN where it is missing.
    """
    missing = np.isnan(values)
    found = _banded(declared.bands, values) if declared.bands else _valued(declared.values, values)
    parts = {name: mask & ~missing for name, mask in found.items()} | {"missing": missing}
    return {name: mask for name, mask in parts.items() if mask.any()}


def _banded(edges: tuple[float, ...], values: np.ndarray) -> dict[str, np.ndarray]:
    place = np.searchsorted(np.array(edges), values, side="right")
    names = [f"below {edges[0]:g}"]
    names += [f"{low:g} to below {high:g}" for low, high in pairwise(edges)]
    names += [f"{edges[-1]:g} and above"]
    return {name: place == index for index, name in enumerate(names)}


def _valued(wanted: tuple[float, ...], values: np.ndarray) -> dict[str, np.ndarray]:
    found = {f"{value:g}": values == value for value in wanted}
    return found | {"others": ~np.isin(values, wanted)}
