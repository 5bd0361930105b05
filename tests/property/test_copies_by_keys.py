"""Copies equal a plain dictionary's, whatever the keys and times, wherever batches end, however often ingest starts anew."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from headrace.ingest import key_index
from headrace.ingest.firsts import Firsts
from headrace.ingest.key_index import KeyIndex, Keys

WITHIN = 10
Verdicts = dict[tuple[int, int], tuple[int, int] | str]
"""Partition and offset to the coordinates of the first record, or ``accepted`` or ``quarantined``."""


@dataclass(frozen=True)
class Sent:
    """A record. ``good``: whether it is accepted if it is no copy; a key of -1 is none."""

    partition: int
    time: int
    key: int
    good: bool


# Keys belong to one partition each, as a producer that partitions by key sends them.
sent = st.builds(
    lambda partition, time, key, good: Sent(partition, time, key * 2 + partition if key >= 0 else -1, good),
    st.integers(0, 1), st.integers(0, 40), st.integers(-1, 3), st.sampled_from([True, True, True, False]),
)  # fmt: skip


def by_dictionary(records: Sequence[Sent]) -> Verdicts:
    """The oracle: one record after the other."""
    found: Verdicts = {}
    newest: dict[int, int] = {}
    accepted: dict[tuple[int, int], list[tuple[int, int]]] = {}
    ends: dict[int, int] = {}
    for record in records:
        p, offset = record.partition, ends.get(record.partition, 0)
        ends[p] = offset + 1
        newest[p] = max(record.time, newest.get(p, record.time))
        firsts = accepted.setdefault((p, record.key), [])
        near = [o for t, o in firsts if abs(t - record.time) <= WITHIN and t >= newest[p] - WITHIN]
        if not record.good:
            found[p, offset] = "quarantined"
        elif record.key >= 0 and near:
            found[p, offset] = (p, near[0])
        else:
            found[p, offset] = "accepted"
            firsts.append((record.time, offset))
    return found


def by_batches(
    records: Sequence[Sent], cuts: Sequence[int], starts: frozenset[int], *, forgetful: bool = False
) -> Verdicts:
    """The product: batch after batch. ``starts``: numbers of the batches before which ingest starts anew."""
    found: Verdicts = {}
    rows: list[tuple[int, int, int, int]] = []
    ends, newest = {0: 0, 1: 0}, dict[int, int]()
    firsts = Firsts(within=WITHIN, newest={})
    bounds = sorted({0, len(records), *(cut % (len(records) + 1) for cut in cuts)})
    for number, (begin, end) in enumerate(itertools.pairwise(bounds)):
        if number in starts:
            firsts = Firsts(within=WITHIN, newest=newest)
            if not forgetful:
                firsts.index.add(_keys(rows), floors=firsts.floors)
        batch, good = list[tuple[int, int, int, int]](), dict[tuple[int, int], bool]()
        for record in records[begin:end]:
            good[record.partition, ends[record.partition]] = record.good
            batch.append((record.key, record.time, record.partition, ends[record.partition]))
            ends[record.partition] += 1

        def accepted(asked: Keys, good=good) -> np.ndarray:
            return np.array([good[p, o] for p, o in zip(asked.partition.tolist(), asked.offset.tolist(), strict=True)])

        look = firsts.look(_keys(batch), np.array([key >= 0 for key, *_ in batch]), accepted=accepted)
        for (p, o), fine in good.items():
            found[p, o] = "accepted" if fine else "quarantined"
        for at, p, o in zip(look.copies.position, look.copies.partition, look.copies.offset, strict=True):
            place = int(look.keys.partition[at]), int(look.keys.offset[at])
            found[place] = (int(p), int(o)) if good[place] else "quarantined"
        fresh = look.fresh
        firsts.remember(fresh.at(accepted(fresh) if len(fresh) else np.zeros(0, bool)), newest=look.newest)
        newest = look.newest
        rows += [row for row in batch if row[0] >= 0 and found[row[2], row[3]] == "accepted"]
    return found


def _keys(rows: Sequence[tuple[int, int, int, int]]) -> Keys:
    table = np.array(rows, np.int64).reshape(-1, 4)
    return Keys(table[:, 0] // 2, table[:, 0] % 2, table[:, 1], table[:, 2].astype(np.int32), table[:, 3])


numbers = st.lists(st.integers(0, 60), max_size=6)
a, b = Sent(0, 0, 2, True), Sent(0, 10, 2, True)


@settings(max_examples=600, deadline=None)
@given(records=st.lists(sent, max_size=60), cuts=numbers, starts=st.frozensets(st.integers(0, 6)))
@example(records=[a, b], cuts=[1], starts=frozenset({1}))  # exactly the horizon apart
@example(records=[a, Sent(0, 11, 2, True)], cuts=[1], starts=frozenset())
@example(records=[Sent(0, 0, 2, False), b, b], cuts=[1, 2], starts=frozenset())
@example(records=[a, Sent(0, 30, 4, True), Sent(0, 5, 2, True)], cuts=[2], starts=frozenset())  # too late to be known
@example(records=[a, Sent(1, 30, 5, True), Sent(0, 5, 2, True)], cuts=[2], starts=frozenset({1}))
def test_copies_equal_a_dictionary(records: list[Sent], cuts: list[int], starts: frozenset[int]) -> None:
    assert by_batches(records, cuts, starts) == by_dictionary(records)


def test_the_dictionary_catches_an_index_that_forgets() -> None:
    assert by_dictionary([a, b])[0, 1] == (0, 0)
    assert by_batches([a, b], [1], frozenset({1}), forgetful=True)[0, 1] == "accepted"


def test_copies_in_other_partitions_are_known_too() -> None:
    records = [Sent(0, 5, 2, True), Sent(1, 3, 2, True), Sent(1, 15, 2, True), Sent(0, 16, 2, True)]
    # In one batch the partition that is further back in time comes first; in two the earlier batch does.
    assert by_batches(records, [], frozenset()) == {
        (0, 0): (1, 0), (1, 0): "accepted", (1, 1): "accepted", (0, 1): (1, 1),
    }  # fmt: skip
    assert by_batches(records, [1], frozenset({1})) == {
        (0, 0): "accepted", (1, 0): (0, 0), (1, 1): (0, 0), (0, 1): "accepted",
    }  # fmt: skip


def test_a_full_index_is_searched_run_by_run_and_forgets_what_is_past(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_index, "LARGEST_RUN", 64)
    index, size, rng = KeyIndex(), 16, np.random.default_rng(4)
    kept: dict[int, int] = {}
    for number in range(40):
        keys = Keys(
            rng.integers(0, 400, size), np.zeros(size, np.int64), np.full(size, number), np.zeros(size, np.int32),
            np.arange(number * size, (number + 1) * size),
        )  # fmt: skip
        index.add(keys, floors={0: number - 20})
        kept |= dict(zip(keys.offset.tolist(), keys.high.tolist(), strict=True))
    assert len(index) <= 2 * 21 * size
    asked = Keys(*(np.arange(400, dtype=np.int64),) * 2, *(np.zeros(400, np.int64),) * 3)
    none, _ = index.matches(asked)
    assert none.tolist() == [0] * len(none)  # the other half of the hash differs, but for the key 0
    position, found = index.matches(Keys(asked.high, np.zeros(400, np.int64), *(asked.time,) * 3))
    current = found.time >= 19
    by_offset = sorted(zip(found.offset[current].tolist(), position[current].tolist(), strict=True))
    assert by_offset == [(offset, key) for offset, key in sorted(kept.items()) if offset // size >= 19]
