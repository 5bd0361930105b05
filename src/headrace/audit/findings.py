"""What does not add up: one sentence each, with the batches and offsets that it is about."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

Ranges = dict[int, list[tuple[int, int]]]
"""Partition to ranges of offsets: the first, and the one after the last."""
MOST_RANGES, MOST_BATCHES = 20, 10


@dataclass(frozen=True)
class Finding:
    """One thing that does not add up."""

    kind: str
    """``log``, ``ledger``, ``unprovable``, ``batch``, ``table``, ``commit``, ``topic``, ``offsets``, ``file``, ``missing``,
    ``repeated``, ``foreign``, ``different`` or ``sealed``: docs/accounting.md tells them."""
    text: str
    batches: tuple[int, ...] = ()
    offsets: Ranges = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """For a program."""
        offsets = {str(partition): [list(span) for span in spans] for partition, spans in self.offsets.items()}
        return {"kind": self.kind, "text": self.text, "batches": list(self.batches), "offsets": offsets}


def in_words(ranges: Ranges) -> str:
    """Such as ``partition 0 offsets 5 to 9, 20``; the first ``MOST_RANGES`` of them."""
    said = [
        f"partition {partition} offsets {', '.join(_span(*span) for span in spans[:MOST_RANGES])}"
        + (f" and {len(spans) - MOST_RANGES} more ranges" if len(spans) > MOST_RANGES else "")
        for partition, spans in sorted(ranges.items())
        if spans
    ]
    return "; ".join(said)


def batches_in_words(batches: Iterable[int]) -> str:
    """Such as ``batch 7`` or ``batches 7 to 9``."""
    numbers = sorted(set(batches))
    if len(numbers) == 1:
        return f"batch {numbers[0]}"
    if len(numbers) > 1 and numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"batches {numbers[0]} to {numbers[-1]}"
    shown = ", ".join(str(number) for number in numbers[:MOST_BATCHES])
    more = len(numbers) - MOST_BATCHES
    return f"batches {shown}{f' and {more} more' if more > 0 else ''}"


def joined(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ranges in order, with those that touch made one."""
    made: list[tuple[int, int]] = []
    for first, end in sorted(spans):
        if made and first <= made[-1][1]:
            made[-1] = (made[-1][0], max(end, made[-1][1]))
        else:
            made.append((first, end))
    return made


def _span(first: int, end: int) -> str:
    return str(first) if end == first + 1 else f"{first} to {end - 1}"
