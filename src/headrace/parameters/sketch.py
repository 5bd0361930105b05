"""A histogram whose buckets grow by a fixed ratio: quantiles within 1 % of themselves, and the same for any partitioning.

A value x > 0 is in bucket ``ceil(ln(x) / ln(g))``, of the values in (g^(k-1), g^k], with g = (1 + a) / (1 - a) for the accuracy
a; its middle 2 g^k / (g + 1) is off by at most a of the value. Negative values mirror this. Buckets are counted, and counts add
up to the same in any order, which can't be said of sketches that merge samples (Masson, Rim and Lee, DDSketch, VLDB 2019). For
the moments each bucket has the sums of d, d² and d³ of the relative distance d = x / middle - 1, as whole numbers, so that they
too come out the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

ACCURACY = 0.01
GAMMA = (1 + ACCURACY) / (1 - ACCURACY)
MIDDLE = 2 / (GAMMA + 1)
"""Of a bucket, as a share of its upper end."""
SMALLEST = 1e-9
"""What is nearer to 0 counts as 0."""
OFFSET = 10_000
"""Added to a bucket's number, which makes all of them positive: the sign is the value's own. 0 is bucket 0."""
UNITS = (2**40, 2**46, 2**52)
"""Parts of 1 in which the three powers of distances are summed: 64 bits hold those of 800 million rows in a bucket."""
SHARES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


@dataclass(frozen=True)
class Bucket:
    """What is in one bucket: the rows, the sums of the first three powers of the distance (in ``UNITS``), and the bounds."""

    number: int
    count: int
    sums: tuple[int, int, int]
    lowest: float
    highest: float


def middle(number: int) -> float:
    """The value that stands for a bucket."""
    if number == 0:
        return 0.0
    return math.copysign(GAMMA ** (abs(number) - OFFSET) * MIDDLE, number)


def quantile(buckets: Sequence[Bucket], share: float) -> float:
    """The value at or below which ``share`` of the values lie; ``buckets`` in the order of their numbers, at least one."""
    wanted, seen = share * (sum(bucket.count for bucket in buckets) - 1), 0
    for bucket in buckets:
        seen += bucket.count
        if seen > wanted:
            return min(max(middle(bucket.number), bucket.lowest), bucket.highest)
    return buckets[-1].highest


def moments(buckets: Sequence[Bucket]) -> tuple[float, float, float | None]:
    """Mean, standard deviation (of the population) and skewness (None where the values are all but equal), from exact sums."""
    total = sum(bucket.count for bucket in buckets)
    parts = [(bucket.count, *_central(bucket)) for bucket in buckets]
    mean = sum((count * own for count, own, _, _ in parts), Fraction(0)) / total
    second = third = Fraction(0)
    for count, own, squares, cubes in parts:
        away = own - mean
        second += squares + count * away**2
        third += cubes + 3 * away * squares + count * away**3
    low, high = buckets[0].lowest, buckets[-1].highest
    if low == high:
        return low, 0.0, None
    scale = max(abs(low), abs(high))  # the square of 1e300 is no double
    relative = math.sqrt(max(float(second / total / Fraction(scale) ** 2), 0.0))
    deviation = relative * scale
    if deviation <= 1e-5 * abs(float(mean)):  # too near to what the rounding of distances leaves
        return float(mean), deviation, None
    return float(mean), deviation, float(third / total / Fraction(scale) ** 3) / relative**3


def as_json(buckets: Sequence[Bucket]) -> dict[str, Any]:
    """The sketch as an event holds it."""
    return {
        "accuracy": ACCURACY,
        "zero": sum(bucket.count for bucket in buckets if bucket.number == 0),
        "positive": [[bucket.number - OFFSET, bucket.count] for bucket in buckets if bucket.number > 0],
        "negative": [[-bucket.number - OFFSET, bucket.count] for bucket in buckets if bucket.number < 0],
    }


def counts_of(sketch: Mapping[str, Any]) -> dict[float, int]:
    """The sketch of an event: the value that stands for a bucket, in order, and its count; only buckets with rows."""
    found = {middle(-(number + OFFSET)): count for number, count in sketch["negative"]}
    found |= {0.0: sketch["zero"]} if sketch["zero"] else {}
    return found | {middle(number + OFFSET): count for number, count in sketch["positive"]}


def _central(bucket: Bucket) -> tuple[Fraction, Fraction, Fraction]:
    """A bucket's mean, and the sums of the squares and cubes of what its values are away from it."""
    scale, count = Fraction(middle(bucket.number)), bucket.count
    first, second, third = (Fraction(*part) for part in zip(bucket.sums, UNITS, strict=True))
    near = first / count
    squares = second - count * near**2
    cubes = third - 3 * near * second + 2 * count * near**3
    return scale * (1 + near), scale**2 * squares, scale**3 * cubes
