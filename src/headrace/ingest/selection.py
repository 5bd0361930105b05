"""Which rows of a quarantine are meant: by rule, and by the time at which they were put aside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Rows that fail one of ``rules`` (any rule where there are none) and were ingested in [``start``, ``end``), UTC."""

    rules: tuple[str, ...] = ()
    start: datetime | None = None
    end: datetime | None = None

    def of(self, rows: DataFrame) -> DataFrame:
        """The chosen rows of an events table. A rule's name is compared, never parsed."""
        if self.rules:
            rows = rows.where(F.arrays_overlap("failed_rules", F.array(*(F.lit(rule) for rule in self.rules))))
        if self.start is not None:  # the day is a partition: files of other days are not read
            rows = rows.where((F.col("ingested_at") >= F.lit(self.start)) & (F.col("ingest_date") >= _day(self.start)))
        if self.end is not None:
            rows = rows.where((F.col("ingested_at") < F.lit(self.end)) & (F.col("ingest_date") <= _day(self.end)))
        return rows

    def as_arguments(self) -> dict[str, Any]:
        """As JSON can hold it."""
        start, end = (None if moment is None else moment.isoformat() for moment in (self.start, self.end))
        return {"rules": list(self.rules), "from": start, "to": end}

    @staticmethod
    def from_arguments(told: Mapping[str, Any]) -> Selection:
        """What :meth:`as_arguments` gave."""
        start, end = (None if told[name] is None else datetime.fromisoformat(told[name]) for name in ("from", "to"))
        return Selection(rules=tuple(told["rules"]), start=start, end=end)


def _day(moment: datetime) -> Any:
    return F.lit(moment.astimezone(UTC).date())
