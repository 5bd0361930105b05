"""Which of the labelled rows train a model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from headrace.errors import TrainingError
from headrace.training.dataset import GROUP, LABEL_KNOWN_AT

if TYPE_CHECKING:
    import pyarrow as pa

    from headrace.training.apart import Apart


@dataclass(frozen=True)
class Split:
    """The rows that train and those that test."""

    train: pa.Table | Apart
    test: pa.Table
    cut: datetime
    """T of the first test row."""


def require_gate_rows(rows: int, gate_rows: int) -> None:
    """Raise TrainingError where there are fewer rows than twice ``gate_rows``."""
    if rows < 2 * gate_rows:
        raise TrainingError(
            f"only {rows} labelled rows; at least {2 * gate_rows} are needed (model.gate.minimum_rows twice): ingest more "
            "data, choose a later --as-of, or set fewer minimum_rows"
        )


def split_in_time(rows: pa.Table, *, share: float, gate_rows: int) -> Split:
    """The newest ``share`` of the requests tests; the rest, as far as its outcome was known when the test began, trains.

    Where there are groups, only those test that have no row in the older part.
    Raises TrainingError where there are fewer rows than twice ``gate_rows``.
    """
    import pyarrow as pa
    from pyarrow import compute

    pc: Any = compute

    at = np.sort(rows.column("at").to_numpy())
    require_gate_rows(len(at), gate_rows)
    cut = pa.scalar(at[int(len(at) * (1 - share))]).cast(rows.schema.field("at").type)
    split = split_at(rows, cut.as_py())
    if GROUP not in rows.column_names:
        return split
    older = rows.filter(pc.less(rows.column("at"), cut)).column(GROUP)
    test = split.test.filter(pc.invert(pc.is_in(split.test.column(GROUP), value_set=older.combine_chunks())))
    return replace(split, test=test)


def split_at(rows: pa.Table, cut: datetime) -> Split:
    """Requests from ``cut`` (UTC) on test; those before it, as far as their outcome was known by then, train."""
    import pyarrow as pa
    from pyarrow import compute

    pc: Any = compute
    moment = pa.scalar(cut, rows.schema.field("at").type)
    return Split(known_before(rows, cut), rows.filter(pc.greater_equal(rows.column("at"), moment)), cut)


def known_before(rows: pa.Table, cut: datetime) -> pa.Table:
    """The rows of requests before ``cut`` whose outcome was known before it, in their order."""
    import pyarrow as pa
    from pyarrow import compute

    pc: Any = compute
    moment = pa.scalar(cut, rows.schema.field("at").type)
    return rows.filter(pc.and_(pc.less(rows.column("at"), moment), pc.less(rows.column(LABEL_KNOWN_AT), moment)))
