"""Faults to plant in the rows of a table, for an oracle to catch. The name of each is that of the finding."""

from __future__ import annotations

import pyarrow as pa


def lost(rows: pa.Table) -> pa.Table:
    return rows.slice(1)


def repeated(rows: pa.Table) -> pa.Table:
    return pa.concat_tables([rows, rows.slice(3, 1)])
