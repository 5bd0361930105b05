"""What differs between two versions, and whether it matters to a model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from headrace.parameters.event import CLASS_WEIGHTS, STATISTICS, VOCABULARY

MEAN_MOVED, SPREAD_MOVED, MISSING_MOVED, WEIGHT_MOVED = 0.05, 0.05, 0.01, 0.02
"""What counts as material: a mean, in standard deviations; a standard deviation and a weight, as a share of themselves; a share
of missing values.
"""


@dataclass(frozen=True)
class Difference:
    """One thing that is not the same."""

    what: str
    before: Any
    after: Any
    material: bool


def differences(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Difference]:
    """What differs between two values of one name, in the order in which it is shown."""
    if name == STATISTICS:
        return list(_statistics(before["features"], after["features"]))
    if name.startswith(VOCABULARY):
        return list(_vocabulary(before, after))
    if name == CLASS_WEIGHTS:
        return list(_class_weights(before, after))
    return list(_plain(before, after))


def _statistics(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Difference]:
    for feature in [*before, *(name for name in after if name not in before)]:
        old, new = before.get(feature), after.get(feature)
        if old is None or new is None:
            yield Difference(feature, "declared" if old else None, "declared" if new else None, True)
            continue
        for part in ("mean", "standard_deviation", "missing_rate", "minimum", "maximum"):
            if old[part] != new[part]:
                yield Difference(f"{feature} {part}", old[part], new[part], _moved(part, old, new))


def _moved(part: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    if part == "missing_rate":
        return abs(new[part] - old[part]) > MISSING_MOVED
    if part in ("minimum", "maximum"):
        return False  # a single row moves them
    if old[part] is None or new[part] is None:
        return True
    spread = old["standard_deviation"] or 0.0
    limit = MEAN_MOVED if part == "mean" else SPREAD_MOVED
    return abs(new[part] - old[part]) > limit * spread


def _vocabulary(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Difference]:
    for part in ("stream", "column"):
        if before[part] != after[part]:
            yield Difference(part, before[part], after[part], True)
    old, new = ({word: index for index, word in enumerate(value["values"])} for value in (before, after))
    for word in [*old, *(word for word in new if word not in old)]:
        if old.get(word) != new.get(word):
            yield Difference(f"index of {word}", old.get(word), new.get(word), True)
    for part in ("rare", "missing"):
        if before[part] != after[part]:
            yield Difference(f"{part} rows", before[part], after[part], False)


def _class_weights(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Difference]:
    old, new = before["scale_pos_weight"], after["scale_pos_weight"]
    if old != new:
        yield Difference("scale_pos_weight", old, new, abs(new - old) > WEIGHT_MOVED * old)
    for part in ("positive", "negative"):
        if before[part] != after[part]:
            yield Difference(f"{part} rows", before[part], after[part], False)


def _plain(before: Mapping[str, Any], after: Mapping[str, Any], path: str = "") -> Iterator[Difference]:
    for key in [*before, *(name for name in after if name not in before)]:
        old, new = before.get(key), after.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from _plain(old, new, f"{path}{key}.")
        elif old != new:
            yield Difference(f"{path}{key}", old, new, True)
