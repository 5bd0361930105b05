"""How many records a batch may take, from how long the others took."""

from __future__ import annotations

import pytest

from headrace.ingest.pace import Pace


def test_a_batch_that_took_too_long_is_followed_by_smaller_ones_until_it_fits() -> None:
    pace = Pace(most=40_000, seconds=10)
    assert pace.limit == 40_000
    assert pace.learn(offsets=40_000, seconds=80)  # an eighth would fit, a quarter is the most at a time
    assert pace.limit == 10_000
    assert pace.learn(offsets=10_000, seconds=20)
    assert pace.limit == 5_000
    assert not pace.learn(offsets=5_000, seconds=10)


def test_a_quick_full_batch_is_followed_by_larger_ones_up_to_the_declared_most() -> None:
    pace = Pace(most=150_000, seconds=10)
    limits = [pace.limit]
    while pace.learn(offsets=pace.limit, seconds=1):
        limits.append(pace.limit)
    assert limits == [50_000, 100_000, 150_000]


def test_a_quick_batch_that_was_not_full_says_nothing_of_larger_ones() -> None:
    pace = Pace(most=200_000, seconds=10)
    assert not pace.learn(offsets=10, seconds=0.5)
    assert not pace.learn(offsets=0, seconds=0.5)
    assert pace.limit == 50_000


def test_a_slow_batch_that_was_not_full_makes_the_next_one_smaller() -> None:
    pace = Pace(most=200_000, seconds=10)
    assert pace.learn(offsets=20_000, seconds=16)
    assert pace.limit == 12_500


@pytest.mark.parametrize("most", [1, 500, 200_000])
def test_it_never_sinks_below_a_thousand_records_or_the_declared_most(most: int) -> None:
    pace = Pace(most=most, seconds=0.001)
    for _ in range(10):
        pace.learn(offsets=pace.limit, seconds=100)
    assert pace.limit == min(most, 1_000)
