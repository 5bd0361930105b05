"""Rows whose time is over, by day of ingest and verdict."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from headrace.lake import delta
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


def expired_rows(spark: SparkSession, path: str, limits: Iterable[Limit]) -> dict[str, int]:
    """Verdict to the number of rows beyond their limit, where there are any. Only the log is read."""
    condition = _any(limits)
    if condition is None:
        return {}
    rows = spark.read.format("delta").load(path).where(condition).groupBy("verdict").count().collect()
    return {row["verdict"]: row["count"] for row in rows}


def remove_expired(
    spark: SparkSession, path: str, limits: Iterable[Limit], *, told: Mapping[str, Any], lease: Lease | None
) -> dict[str, int]:
    """Remove them in one commit of whole files; verdict to rows that went.

    The commit's metadata is ``told``, its kind and the rows by verdict. Safe beside appends to today's partitions. Their files
    go with the next VACUUM.
    """
    limits = list(limits)
    rows, condition = expired_rows(spark, path, limits), _any(limits)
    if not rows:
        return {}
    session = spark.newSession()  # the metadata of a commit is a session's setting
    told = {"headrace": RETENTION, **told, "rows": rows}
    session.conf.set("spark.databricks.delta.commitInfo.userMetadata", json.dumps(told, separators=(",", ":")))
    session.conf.set("spark.databricks.delta.autoCompact.enabled", "false")  # its commit would carry the same metadata
    if lease is not None:
        lease.require()
    session.sql(f"DELETE FROM {delta.identifier(path)} WHERE {condition}")
    return rows


def _any(limits: Iterable[Limit]) -> str | None:
    return " OR ".join(limit.condition for limit in limits) or None
