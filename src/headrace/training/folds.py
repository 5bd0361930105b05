"""Splits in time: each validation part comes after what is trained on, and labels count only where they were known by then."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from headrace.errors import TrainingError
from headrace.training.dataset import LABEL, LABEL_KNOWN_AT

if TYPE_CHECKING:
    import pyarrow as pa

LEAST = 100
"""Rows that a part needs at the very least: a metric of fewer is chance."""


@dataclass(frozen=True)
class Fold:
    """Positions of rows, in the table's order."""

    train: np.ndarray
    """Rows before ``begin`` whose label was known before ``begin``."""
    validation: np.ndarray
    """Rows from ``begin`` to the next fold's."""
    begin: datetime
    """UTC."""


def time_folds(rows: pa.Table, *, folds: int, at: str = "at") -> tuple[Fold, ...]:
    """An expanding window: the rows, by time, in ``folds + 1`` equal parts, all but the first of which validate in turn.

    A row before a validation part trains only if its label was known before that part begins, as it would have been in
    operation: that leaves out the rows just before it whose labels came late. Rows of one moment stay together.

    Raises TrainingError where a part has too few rows, or labels of one kind only.
    """
    when, known = _micros(rows, at), _micros(rows, LABEL_KNOWN_AT)
    label = rows.column(LABEL).to_numpy()
    if len(when) < (folds + 1) * LEAST:
        raise TrainingError(
            f"only {len(when)} labelled rows for {folds} folds; at least {(folds + 1) * LEAST} are needed: choose a later "
            "--as-of, or set fewer model.search.folds"
        )
    ordered = np.sort(when)
    begins = [int(ordered[len(ordered) * part // (folds + 1)]) for part in range(1, folds + 1)]
    made: list[Fold] = []
    for begin, end in zip(begins, [*begins[1:], None], strict=True):
        validation = when >= begin if end is None else (when >= begin) & (when < end)
        fold = Fold(np.flatnonzero((when < begin) & (known < begin)), np.flatnonzero(validation), _moment(begin))
        _require_enough(fold, label)
        made.append(fold)
    return tuple(made)


def newest_share(rows: pa.Table, *, share: float, at: str = "at") -> Fold:
    """The newest ``share`` of the rows validates; what was known before it trains. Raises TrainingError as time_folds."""
    when, known = _micros(rows, at), _micros(rows, LABEL_KNOWN_AT)
    if not len(when):
        raise TrainingError("there is no labelled row to train on; choose a later --as-of")
    begin = int(np.sort(when)[int(len(when) * (1 - share))])
    fold = Fold(np.flatnonzero((when < begin) & (known < begin)), np.flatnonzero(when >= begin), _moment(begin))
    _require_enough(fold, rows.column(LABEL).to_numpy())
    return fold


def _require_enough(fold: Fold, label: np.ndarray) -> None:
    for part, positions in (("training", fold.train), ("validation", fold.validation)):
        if len(positions) < LEAST or len(np.unique(label[positions])) < 2:
            raise TrainingError(
                f"the {part} part of the split at {fold.begin:%Y-%m-%d %H:%M} UTC has {len(positions)} rows with a known label, "
                f"or outcomes of one kind only, and needs {LEAST} of both kinds; choose a later --as-of, or fewer folds"
            )


def _micros(rows: pa.Table, name: str) -> np.ndarray:
    """A timestamp column as microseconds since 1970."""
    import pyarrow as pa

    column: Any = rows.column(name)
    return column.cast(pa.timestamp("us", column.type.tz)).cast(pa.int64()).to_numpy()


def _moment(micros: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
