"""What lies in a quarantine: how often each rule failed, when, and a few rows as the table holds them. Never a payload."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from headrace.ingest.selection import Selection
from headrace.lake.release import RELEASED
from headrace.lake.tables import read_quarantine

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

MOST_RULES = 50
MOST_STEPS = 48
STEPS = {
    "minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(weeks=1),
    "year": timedelta(days=365),
}  # fmt: skip
"""Lengths of a trend's steps; the shortest is taken of which ``MOST_STEPS`` are enough."""
_HIDDEN = {"payload", "verdict", "kafka_timestamp", "ingest_date", "batch_id", "spec_version", *RELEASED.fieldNames()}
_TOLD = ("kafka_topic", "kafka_partition", "kafka_offset", "ingested_at", "failed_rules")


@dataclass(frozen=True)
class RuleCount:
    """A decode reason or rule, and the quarantined rows that failed it."""

    rule: str
    rows: int
    first: datetime
    last: datetime
    """When the first and the last of them was ingested (UTC)."""
    trend: tuple[int, ...]
    """Rows in each step of time, oldest first."""


@dataclass(frozen=True)
class Overview:
    """A stream's quarantine, or the part of it that was chosen."""

    stream: str
    rows: int
    step: str
    """Of the trends: one of ``STEPS``."""
    start: datetime | None
    """When the first step begins (UTC), or None where there are no rows."""
    rules: tuple[RuleCount, ...]
    """Most frequent first, at most ``MOST_RULES``."""
    more_rules: int
    """Rules that are not among them."""


@dataclass(frozen=True)
class Sample:
    """A quarantined row as the table holds it: protected columns are pseudonyms or masks, or absent."""

    coordinates: str
    """``topic/partition/offset``."""
    ingested_at: datetime
    failed_rules: tuple[str, ...]
    columns: Mapping[str, Any] = field(repr=False)
    """What was decoded, in types of JSON; empty columns are left out."""


def overview(spark: SparkSession, table: str, *, stream: str, selection: Selection) -> Overview:
    """Counts and trends of the chosen rows of a stream's quarantine."""
    rows = selection.of(read_quarantine(spark, table))
    span = rows.agg(F.count("*"), F.min("ingested_at"), F.max("ingested_at")).first()
    if span is None or not span[0]:
        return Overview(stream, 0, "hour", None, (), 0)
    step, start = _step(_utc(span[1]), _utc(span[2]))
    failed = rows.select(F.explode("failed_rules").alias("rule"), "ingested_at")
    by_rule = failed.groupBy("rule").agg(
        F.count("*").alias("rows"), F.min("ingested_at").alias("first"), F.max("ingested_at").alias("last")
    )
    most: list[Any] = by_rule.orderBy(F.desc("rows"), "rule").limit(MOST_RULES).collect()
    names = [row["rule"] for row in most]
    trends = _trends(failed.where(F.col("rule").isin(names)), step=STEPS[step], start=start, end=_utc(span[2]))
    rules = tuple(
        RuleCount(row["rule"], row["rows"], _utc(row["first"]), _utc(row["last"]), trends[row["rule"]]) for row in most
    )
    more = by_rule.count() - len(rules) if len(rules) == MOST_RULES else 0
    return Overview(stream, int(span[0]), step, start, rules, more)


def samples(spark: SparkSession, table: str, *, selection: Selection, count: int) -> list[Sample]:
    """The newest of the chosen rows."""
    rows = selection.of(read_quarantine(spark, table))
    newest = rows.orderBy(F.desc("ingested_at"), "kafka_partition", F.desc("kafka_offset")).limit(count)
    return [_sample(row.asDict(recursive=True)) for row in newest.drop(*_HIDDEN).collect()]


def quarantined_row(spark: SparkSession, table: str, *, partition: int, offset: int) -> dict[str, Any] | None:
    """The quarantined row of a record, its payload included, or None."""
    rows = read_quarantine(spark, table).where(
        (F.col("kafka_partition") == partition) & (F.col("kafka_offset") == offset)
    )
    found = rows.limit(1).collect()
    return found[0].asDict(recursive=True) if found else None


def sample_of(row: Mapping[str, Any]) -> Sample:
    """A row of :func:`quarantined_row` without its payload."""
    return _sample({name: value for name, value in row.items() if name not in _HIDDEN})


def _step(first: datetime, last: datetime) -> tuple[str, datetime]:
    fitting = (name for name, step in STEPS.items() if (last - _floor(first, step)) / step < MOST_STEPS)
    name = next(fitting, "year")
    return name, _floor(first, STEPS[name])


def _floor(when: datetime, length: timedelta) -> datetime:
    monday = datetime(1970, 1, 5, tzinfo=UTC)
    return monday + (when - monday) // length * length


def _trends(failed: DataFrame, *, step: timedelta, start: datetime, end: datetime) -> dict[str, tuple[int, ...]]:
    seconds = int(step.total_seconds())
    place = F.floor((F.unix_seconds("ingested_at") - int(start.timestamp())) / seconds)
    counted: list[Any] = failed.groupBy("rule", place.alias("step")).count().collect()
    found: dict[str, list[int]] = {}
    for row in counted:
        steps = found.setdefault(row["rule"], [0] * ((end - start) // step + 1))
        steps[int(row["step"])] = row["count"]
    return {rule: tuple(steps) for rule, steps in found.items()}


def _sample(row: Mapping[str, Any]) -> Sample:
    topic, partition, offset = (row[name] for name in _TOLD[:3])
    columns = {name: _plain(value) for name, value in row.items() if name not in _TOLD and value is not None}
    return Sample(f"{topic}/{partition}/{offset}", _utc(row["ingested_at"]), tuple(row["failed_rules"] or ()), columns)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if isinstance(value, datetime):
        return _utc(value).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    return value if isinstance(value, (str, int, float, bool)) or value is None else str(value)


def _utc(when: datetime) -> datetime:
    """What Spark's Python rows give (naive, in the driver's own zone) as an aware instant."""
    return when.astimezone(UTC)
