"""Which of the labelled rows train a model."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from headrace.training.dataset import LABEL_KNOWN_AT

if TYPE_CHECKING:
    import pyarrow as pa


def known_before(rows: pa.Table, cut: datetime) -> pa.Table:
    """The rows of requests before ``cut`` whose outcome was known before it, in their order."""
    import pyarrow as pa
    from pyarrow import compute

    pc: Any = compute
    moment = pa.scalar(cut, rows.schema.field("at").type)
    return rows.filter(pc.and_(pc.less(rows.column("at"), moment), pc.less(rows.column(LABEL_KNOWN_AT), moment)))
