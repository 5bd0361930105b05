"""Sets of offsets as bits, held against Python's own sets."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from headrace.audit.offset_set import SEGMENT, OffsetSet, SegmentSums, ranges

START, END = 1000, 1000 + 3 * SEGMENT + 5
offsets = st.lists(st.integers(START, END - 1), max_size=60)


def held(*parts: list[int]) -> OffsetSet:
    made = OffsetSet(START, END)
    for part in parts:
        made.add(np.array(part, np.int64))
    return made


@given(offsets, offsets)
def test_it_tells_what_came_before(first: list[int], second: list[int]) -> None:
    made, seen = OffsetSet(START, END), set[int]()
    for part in (first, second):
        known = made.add(np.array(part, np.int64)).tolist()
        for offset, again in zip(part, known, strict=True):
            assert again == (offset in seen)
            seen.add(offset)
    assert len(made) == len(seen)
    assert made.has(np.array(sorted(seen), np.int64)).all()


@given(offsets, offsets)
def test_what_one_lacks_comes_in_order_and_as_ranges(first: list[int], second: list[int]) -> None:
    left = sorted(set(first) - set(second))
    assert [offset for some in held(first).without(held(second)) for offset in some.tolist()] == left
    spans = list(ranges(held(first).without(held(second))))
    assert [offset for begin, end in spans for offset in range(begin, end)] == left
    assert all(end < begin for (_, end), (begin, _) in pairwise(spans))


@given(offsets, offsets)
def test_segments_are_the_same_where_their_offsets_are(first: list[int], second: list[int]) -> None:
    same = held(first).same_segments(held(second)).tolist()
    for number in range(4):
        here = range(START + number * SEGMENT, min(START + (number + 1) * SEGMENT, END))
        assert same[number] == ({n for n in first if n in here} == {n for n in second if n in here})


def test_a_sum_depends_on_each_value_and_not_on_the_order() -> None:
    def total(pairs: list[tuple[int, int]]) -> list[int]:
        made = SegmentSums(START, END)
        for offset, value in pairs:
            made.add(np.array([offset]), np.array([value]))
        return made.sums.tolist()

    assert total([(START, 7), (START + 1, 8)]) == total([(START + 1, 8), (START, 7)])
    assert total([(START, 7), (START + 1, 8)]) != total([(START, 8), (START + 1, 7)])
    assert total([(START, -1)]) != total([(START, 1)])
