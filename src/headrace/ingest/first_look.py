"""The first micro-batches of a run are looked at: does a column that nobody classified hold something personal?

Counts leave the workers, never a value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from headrace.privacy.redact import MEANINGS
from headrace.spec.paths import Path, written
from headrace.spec.unclassified import REMEDY
from headrace.stages.stages import Way, clear
from headrace.stages.unclassified import findings, is_there, was_found, with_findings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

SAMPLE_ROWS, MOST_BATCHES = 1000, 3
_LEAST_ROWS, _LEAST_SHARE = 3, 0.05
"""Fewer rows, or a smaller share of those with a value, may be chance: some numbers pass a check digit."""


class FirstLook:
    """Looks at up to ``SAMPLE_ROWS`` rows of each of the first batches and warns once per column."""

    def __init__(self, way: Way, notify: Callable[[str], None]) -> None:
        self._way, self._notify = way, notify
        self._batches_left = MOST_BATCHES if way.left_open.texts else 0
        self._said: set[Path] = set()
        for path, meaning in way.left_open.by_name.items():
            self._warn(path, f"looks like {meaning}")

    def before(self, write: Callable[[DataFrame, int], None]) -> Callable[[DataFrame, int], None]:
        """``write`` (what becomes of a micro-batch), with a look at the first ones before it."""

        def looking(batch: DataFrame, batch_id: int) -> None:
            if self._batches_left:
                self._batches_left -= 1
                self.look(batch)
            write(batch, batch_id)

        return looking

    def look(self, batch: DataFrame) -> None:
        """Count what looks personal in a sample of a micro-batch. It never stops the batch."""
        try:
            rows = clear(batch.limit(SAMPLE_ROWS), self._way).where(self._way.decoded)
            rows = with_findings(rows, left_open=self._way.left_open)
            found = findings(rows, left_open=self._way.left_open)
            counts = {f"{at}": F.count_if(is_there(path)) for at, path in enumerate(found)}
            for at, (path, column) in enumerate(found.items()):
                counts |= {f"{at} {pattern}": F.count_if(was_found(column, path, pattern)) for pattern in MEANINGS}
            row = rows.agg(*(column.alias(name) for name, column in counts.items())).first() if counts else None
        except Exception:  # a batch that can't be looked at is written all the same, or fails there with its reason
            return
        for at, path in enumerate(found):
            for pattern, meaning in MEANINGS.items():
                some, of = (int(row[f"{at} {pattern}"]), int(row[f"{at}"])) if row else (0, 0)
                if some >= _LEAST_ROWS and some >= _LEAST_SHARE * of:
                    self._warn(path, f"holds {meaning} in {some} of the {of} values that were looked at")

    def _warn(self, path: Path, what: str) -> None:
        if path not in self._said:
            self._said.add(path)
            strict = "; records with such a value are quarantined" if self._way.strict else ""
            self._notify(f"warning: column {written(path)!r} of stream {self._way.name!r} {what}; {REMEDY}{strict}")
