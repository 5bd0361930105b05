"""Which records of a micro-batch are copies of an earlier one.

A record is a copy of an accepted record of the same key if their times lie at most the horizon apart. A record's time is its
Kafka timestamp, or the time of its ingest where that is earlier, so that a clock that runs ahead can't push the horizon away.

Records of one partition are judged in their order, so it makes no difference where batches end; across partitions the batch
decides, and within a batch the partition that is further back in time. To keep memory bounded, a partition remembers what
lies within the horizon of its newest record so far.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from headrace.ingest.key_index import KeyIndex, Keys

Accepted = Callable[[Keys], np.ndarray]
"""For records of the batch: a mask of those that would be accepted if they were no copies."""


@dataclass(frozen=True)
class Copies:
    """Records of a batch (by their position in it) and the coordinates of the record that each is a copy of."""

    position: np.ndarray
    partition: np.ndarray
    offset: np.ndarray


def newest(keys: Keys, before: Mapping[int, int]) -> np.ndarray:
    """For each record, the newest time in its partition up to and with it; ``before``: partition to the newest so far."""
    found = np.empty(len(keys), np.int64)
    for partition in np.unique(keys.partition):
        here = np.flatnonzero(keys.partition == partition)
        here = here[np.argsort(keys.offset[here], kind="stable")]
        times = np.maximum.accumulate(keys.time[here])
        found[here] = np.maximum(times, before.get(int(partition), np.iinfo(np.int64).min))
    return found


def find_copies(
    keys: Keys, *, index: KeyIndex, within: int, before: Mapping[int, int], reached: np.ndarray, accepted: Accepted
) -> Copies:
    """The copies among a batch's records.

    ``within``: the horizon in milliseconds. ``reached``: what :func:`newest` gives. ``before``: partition to its newest time
    before the batch. ``accepted`` is asked about records that occur more than once in the batch only, and at most once.
    """
    known = _copies_of_known(keys, index=index, within=within, before=before, reached=reached)
    fresh = np.ones(len(keys), bool)
    fresh[known.position] = False
    inside = _copies_inside(keys, fresh=fresh, within=within, reached=reached, accepted=accepted)
    return Copies(
        *(np.concatenate((getattr(known, name), getattr(inside, name))) for name in ("position", "partition", "offset"))
    )


def _copies_of_known(
    keys: Keys, *, index: KeyIndex, within: int, before: Mapping[int, int], reached: np.ndarray
) -> Copies:
    position, first = index.matches(keys)
    same = first.partition == keys.partition[position]
    limit = np.where(same, reached[position], _newest_of(first.partition, before)) - within
    near = (np.abs(keys.time[position] - first.time) <= within) & (first.time >= limit)
    position, first, same = position[near], first.at(near), same[near]
    order = np.lexsort((first.partition, first.offset, ~same, position))
    position, first = position[order], first.at(order)
    one = np.ones(len(position), bool)
    one[1:] = position[1:] != position[:-1]
    return Copies(position[one], first.partition[one], first.offset[one])


def _copies_inside(keys: Keys, *, fresh: np.ndarray, within: int, reached: np.ndarray, accepted: Accepted) -> Copies:
    left = np.flatnonzero(fresh)
    left = left[np.lexsort((keys.offset[left], keys.partition[left], reached[left], keys.low[left], keys.high[left]))]
    high, low = keys.high[left], keys.low[left]
    followed, follows = np.zeros(len(left), bool), np.zeros(len(left), bool)
    followed[:-1] = follows[1:] = (high[1:] == high[:-1]) & (low[1:] == low[:-1])
    may_be_first = np.zeros(len(keys), bool)
    if followed.any():
        may_be_first[left[followed]] = accepted(keys.at(left[followed]))
    made: list[tuple[int, int, int]] = []
    firsts: dict[int, int] = {}
    for place in np.flatnonzero(followed | follows).tolist():
        at = int(left[place])
        if not follows[place]:
            firsts = {}
        first = _first_of(keys, at, firsts=firsts, within=within, reached=int(reached[at]))
        if first is not None:
            made.append((at, int(keys.partition[first]), int(keys.offset[first])))
        elif may_be_first[at] and keys.time[at] >= reached[at] - within:
            firsts[int(keys.partition[at])] = at
    table = np.array(made, np.int64).reshape(-1, 3)
    return Copies(table[:, 0], table[:, 1], table[:, 2])


def _first_of(keys: Keys, at: int, *, firsts: Mapping[int, int], within: int, reached: int) -> int | None:
    """Position of the record that the one at ``at`` is a copy of.

    ``firsts``: partition to the last accepted record of the key. An earlier one in the partition would be past its horizon.
    """
    time, partition = int(keys.time[at]), int(keys.partition[at])
    near = [
        (other != partition, int(keys.offset[first]), other, first)
        for other, first in firsts.items()
        if abs(int(keys.time[first]) - time) <= within
        and (other != partition or int(keys.time[first]) >= reached - within)
    ]
    return min(near)[3] if near else None


def _newest_of(partitions: np.ndarray, before: Mapping[int, int]) -> np.ndarray:
    known, where = np.unique(partitions, return_inverse=True)
    lowest = np.iinfo(np.int64).min // 2  # so that the horizon can be taken from it
    return np.array([before.get(int(partition), lowest) for partition in known], np.int64)[where]
