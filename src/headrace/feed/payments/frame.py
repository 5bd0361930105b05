"""Events as columns of equal length."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Frame = dict[str, np.ndarray]
"""Column name to values, one per event."""


def size(frame: Frame) -> int:
    """How many events."""
    return len(next(iter(frame.values())))


def taken(frame: Frame, which: np.ndarray) -> Frame:
    """The events that a mask or an array of positions names."""
    return {name: values[which] for name, values in frame.items()}


def stacked(frames: Sequence[Frame]) -> Frame:
    """The events of all frames, one after the other; the first frame says which columns."""
    return {name: np.concatenate([frame[name] for frame in frames]) for name in frames[0]}


def index(day: int | np.ndarray, number: np.ndarray) -> np.ndarray:
    """What chance goes by: one number for each event of the simulation; ``number`` is its number in the day, below 2^32."""
    return (day << 32) + number


def repeated(times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each position as often as ``times`` says, and beside it 0, 1, 2, ... anew for each position."""
    which = np.repeat(np.arange(len(times)), times)
    return which, np.arange(len(which)) - np.repeat(np.cumsum(times) - times, times)
