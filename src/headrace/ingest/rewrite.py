"""Tables whose pseudonyms, encrypted values and payloads are of old key versions, brought to the newest: one commit each.

The commit says of its files that no data changed (Delta's ``dataChange``): no reader of the change data feed sees rows arrive
again, and predictions are not published anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from headrace.errors import HeadraceError, KeyRingError
from headrace.lake import delta
from headrace.lake.commit import as_user_metadata
from headrace.lake.files import storage_error
from headrace.lake.layout import Layout
from headrace.lake.lease import Lease, leased
from headrace.lake.tables import EVENT_PARTITIONS
from headrace.privacy.keys import KeyRing
from headrace.spec.pipeline import Pipeline
from headrace.spec.protect import Pseudonym
from headrace.spec.stream import Stream
from headrace.stages.renew import holds_version, is_stale, renew

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row, SparkSession


@dataclass(frozen=True)
class KeyedTable:
    """A table that keys have left their mark on."""

    name: str
    """As messages and leases call it, such as ``events/payments``."""
    path: str
    stream: Stream
    """Whose ``protect`` says what the keys made in it."""
    partitions: tuple[str, ...]

    def rows(self, spark: SparkSession) -> DataFrame:
        """All its rows."""
        return spark.read.format("delta").load(self.path)


def keyed_tables(spark: SparkSession, pipeline: Pipeline) -> list[KeyedTable]:
    """The tables of a pipeline that exist: events of each stream, requests, and predictions (their ``id``).

    Predictions come before requests, and requests before events: what is joined later is rewritten first.
    """
    spec, layout = pipeline.spec, Layout(pipeline.spec.lake.root)
    found: list[KeyedTable] = []
    if spec.model and spec.features:
        asked, model = spec.streams[spec.features.requests], spec.model.name
        protection = asked.protect.get(spec.features.id)
        if isinstance(protection, Pseudonym):
            answers = asked.model_copy(update={"protect": {"id": protection}})
            found.append(KeyedTable(f"serving/{model}/predictions", layout.predictions(model), answers, ()))
        found.append(KeyedTable(f"serving/{model}/requests", layout.requests(model), asked, EVENT_PARTITIONS))
    found += [
        KeyedTable(f"events/{n}", layout.events(n), stream, EVENT_PARTITIONS) for n, stream in spec.streams.items()
    ]
    return [table for table in found if delta.exists(spark, table.path)]


def stale_rows(spark: SparkSession, table: KeyedTable, *, ring: KeyRing) -> int:
    """How many rows have a value of an older version that leads to the newest one."""
    rows = table.rows(spark)
    return rows.where(is_stale(rows, stream=table.stream, ring=ring)).count()


def rows_with_version(spark: SparkSession, tables: Iterable[KeyedTable], *, name: str, version: int) -> dict[str, int]:
    """Table to the number of its rows that hold something of a key's version, where there are any."""
    counted: dict[str, int] = {}
    for table in tables:
        rows = table.rows(spark)
        counted[table.name] = rows.where(holds_version(rows, stream=table.stream, name=name, version=version)).count()
    return {table: count for table, count in counted.items() if count}


def rewrite(spark: SparkSession, table: KeyedTable, *, ring: KeyRing, lease: Lease | None = None) -> int:
    """Bring a table to the newest key versions in one commit; how many rows were of an older one.

    Safe to repeat and to interrupt: before the commit nothing has changed, after it nothing is left to do. ``lease``: of who
    writes the table already. Raises CheckpointError where another job does, KeyRingError where a value does not open.
    """
    with nullcontext(lease) if lease else leased(spark, table.path, what=table.name) as held:
        rows = table.rows(spark)
        old = rows.where(is_stale(rows, stream=table.stream, ring=ring))
        stale = old.groupBy(*table.partitions).count().collect() if table.partitions else _counted(old)
        if not stale:
            return 0
        chosen = _condition(stale, table.partitions)
        held.require()
        _replace(renew(rows.where(chosen), stream=table.stream, ring=ring), table, chosen, _newest(table.stream, ring))
        return sum(row["count"] for row in stale)


def _counted(rows: DataFrame) -> list[Row]:
    return [row for row in rows.agg(F.count(F.lit(1)).alias("count")).collect() if row["count"]]


def _condition(stale: list[Row], partitions: tuple[str, ...]) -> str:
    """The partitions in which something is to be done, as SQL; everything where a table has none."""
    if not partitions:
        return "true"
    terms = (" and ".join(f"{name} = '{row[name]}'" for name in partitions) for row in stale)
    return " or ".join(f"({term})" for term in sorted(terms))


def _newest(stream: Stream, ring: KeyRing) -> Mapping[str, int]:
    names = [name for name in ring.keys if ring.keys[name]]
    return {name: ring.current(name) for name in sorted(names)}


def _replace(rows: DataFrame, table: KeyedTable, condition: str, versions: Mapping[str, int]) -> None:
    told = as_user_metadata({"headrace": "rewrite", "keys": versions})
    writer = rows.write.format("delta").mode("overwrite").option("dataChange", "false").option("userMetadata", told)
    if table.partitions:
        writer = writer.option("replaceWhere", condition)
    try:
        writer.save(table.path)
    except Exception as error:
        raise _why(error, table) or error from None


def _why(error: Exception, table: KeyedTable) -> HeadraceError | None:
    text = str(error)
    closed = next((line.split("KeyRingError: ")[1] for line in text.splitlines() if "KeyRingError: " in line), None)
    if closed:
        return KeyRingError(f"{table.name}: {closed}; nothing was changed in this table")
    return storage_error(error, table.path)
