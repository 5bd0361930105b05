"""What a job read and wrote, by the commits of its tables since it began: nothing is counted beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from headrace.audit.findings import Ranges, joined
from headrace.lake import delta
from headrace.lake.columns import table_columns
from headrace.lake.log import LogEntry, offsets, read_log
from headrace.lineage.datasets import Dataset, model, table, topic

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

MADE = ("scores", "training step")
"""Commits of what is made from features: they name the versions of the events tables."""
Owned = Callable[[LogEntry], bool]
"""Whether a commit is the job's own: beside it others may write."""


@dataclass(frozen=True)
class Use:
    """Datasets that were read and written."""

    inputs: tuple[Dataset, ...] = ()
    outputs: tuple[Dataset, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.inputs or self.outputs)


@dataclass
class Watched:
    """A table, from which version on its commits are looked at, and which of them."""

    path: str
    owned: Owned
    seen: int = -1
    of_features: Mapping[str, str] = field(default_factory=dict)
    """Stream to the path of its events table, where predictions or steps of training are made from these."""

    def begin(self, spark: SparkSession) -> None:
        """Look at what comes after now."""
        self.seen = delta.version(spark, self.path) if delta.exists(spark, self.path) else -1

    def next(self, spark: SparkSession) -> list[LogEntry]:
        """The job's own commits since it was asked last."""
        if not delta.exists(spark, self.path):
            return []
        found = read_log(spark, self.path, after=self.seen)
        self.seen = max((entry.version for entry in found), default=self.seen)
        return [entry for entry in found if self.owned(entry)]


def use(spark: SparkSession, watched: Iterable[Watched], *, bootstrap: str, tracking_uri: str) -> Use:
    """All that these tables' new commits say."""
    inputs: list[Dataset] = []
    outputs: list[Dataset] = []
    for one in watched:
        entries = one.next(spark)
        if entries:
            inputs += _read(spark, one, entries, bootstrap=bootstrap, tracking_uri=tracking_uri)
            last, rows = entries[-1].version, sum(file.rows for entry in entries for file in entry.added)
            outputs.append(table(one.path, version=last, fields=fields_of(spark, one.path), rows=rows))
    return Use(tuple(inputs), tuple(outputs))


def fields_of(spark: SparkSession, path: str) -> dict[str, str]:
    """Column to type, as Spark writes it."""
    return {column.name: column.dataType.simpleString() for column in table_columns(spark, path)}


def _read(
    spark: SparkSession, one: Watched, entries: list[LogEntry], *, bootstrap: str, tracking_uri: str
) -> Iterator[Dataset]:
    batches = [entry for entry in entries if entry.is_batch]
    if batches:
        yield topic(bootstrap, str(batches[-1].metadata["topic"]), offsets=_spans(batches))
    made = [entry for entry in entries if entry.metadata.get("headrace") in MADE]
    if made:
        told = made[-1].metadata
        for stream, version in sorted(told["versions"].items()):
            path = one.of_features[stream]
            yield table(path, version=int(version), fields=fields_of(spark, path))
        if "model_version" in told:
            yield model(tracking_uri, str(told["model"]), version=int(told["model_version"]))
    if len(batches) + len(made) < len(entries):
        before = min(entry.version for entry in entries if entry not in batches and entry not in made) - 1
        yield table(one.path, version=before, fields=fields_of(spark, one.path))


def _spans(batches: Iterable[LogEntry]) -> Ranges:
    found: dict[int, list[tuple[int, int]]] = {}
    for batch in batches:
        start = offsets(batch.metadata.get("from", {}))
        for partition, end in batch.until.items():
            if start.get(partition, 0) < end:
                found.setdefault(partition, []).append((start.get(partition, 0), end))
    return {partition: joined(spans) for partition, spans in sorted(found.items())}
