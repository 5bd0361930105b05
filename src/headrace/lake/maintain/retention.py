"""Rows whose time is over, by day of ingest and verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from headrace.lake import delta
from headrace.lake.commit import carry_metadata
from headrace.lake.lease import Lease

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

RETENTION = "retention"
"""Kind of the commit, in its metadata."""


@dataclass(frozen=True)
class Limit:
    """Rows with one of ``verdicts`` that were ingested before ``day`` (``ingest_date``, UTC) go."""

    verdicts: tuple[str, ...]
    day: date

    @property
    def condition(self) -> str:
        """As SQL over the table's partitions."""
        verdicts = ", ".join(f"'{verdict}'" for verdict in self.verdicts)
        return f"(ingest_date < DATE'{self.day.isoformat()}' AND verdict IN ({verdicts}))"

    def holds(self, day: str, verdict: str) -> bool:
        """Whether it covers the rows of a partition; ``day`` as ``2026-11-24``."""
        return verdict in self.verdicts and day < self.day.isoformat()


def expired_rows(spark: SparkSession, path: str, limits: Iterable[Limit]) -> dict[str, int]:
    """Verdict to the number of rows beyond their limit, where there are any. Only the log is read."""
    limits, expired = list(limits), Counter[str]()
    for (day, verdict), rows in delta.rows_by_partition(spark, path).items():
        if any(limit.holds(day, verdict) for limit in limits):
            expired[verdict] += rows
    return dict(expired)


def remove_expired(
    spark: SparkSession, path: str, limits: Iterable[Limit], *, told: Mapping[str, Any], lease: Lease | None
) -> dict[str, int]:
    """Remove them in one commit of whole files; verdict to rows that went.

    The commit's metadata is ``told``, its kind and the rows by verdict. Safe beside appends to today's partitions. Their files
    go with the next VACUUM.
    """
    limits = list(limits)
    rows = expired_rows(spark, path, limits)
    if not rows:
        return {}
    session = spark.newSession()  # the metadata of a commit is a session's setting
    carry_metadata(session, {"headrace": RETENTION, **told, "rows": rows})
    if lease is not None:
        lease.require()
    session.sql(f"DELETE FROM {delta.identifier(path)} WHERE {' OR '.join(limit.condition for limit in limits)}")
    return rows
