"""What a stream remembers of the records that it accepted, from batch to batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from headrace.ingest.copies import Accepted, Copies, find_copies, newest
from headrace.ingest.key_index import KeyIndex, Keys


@dataclass(frozen=True)
class Look:
    """What a look at a batch found; nothing is remembered of it yet."""

    keys: Keys
    """The records that have a key."""
    copies: Copies
    newest: dict[int, int]
    """Partition to the newest time so far, the batch included."""

    @property
    def fresh(self) -> Keys:
        """The records that are no copies: firsts, where they are accepted."""
        mask = np.ones(len(self.keys), bool)
        mask[self.copies.position] = False
        return self.keys.at(mask)


class Firsts:
    """The accepted records of each key within the horizon."""

    def __init__(self, *, within: int, newest: Mapping[int, int]) -> None:
        """``within``: the horizon in milliseconds. ``newest``: partition to the newest time of its records so far."""
        self.index = KeyIndex()
        self._within, self._newest = within, dict(newest)

    @property
    def floors(self) -> dict[int, int]:
        """Partition to the earliest time that is still of use."""
        return {partition: time - self._within for partition, time in self._newest.items()}

    def look(self, keys: Keys, keyed: np.ndarray, *, accepted: Accepted) -> Look:
        """The copies among the records of a batch. ``keyed``: a mask of those that have a key."""
        reached = newest(keys, self._newest)
        after = self._newest | {
            int(partition): int(reached[keys.partition == partition].max()) for partition in np.unique(keys.partition)
        }
        keys = keys.at(keyed)
        copies = find_copies(
            keys, index=self.index, within=self._within, before=self._newest, reached=reached[keyed], accepted=accepted
        )  # fmt: skip
        return Look(keys, copies, after)

    def remember(self, accepted: Keys, *, newest: Mapping[int, int]) -> None:
        """Take in the accepted records of a batch that is committed."""
        self._newest = dict(newest)
        self.index.add(accepted, floors=self.floors)
