"""The rows of one table that are about a person: those of now, and those that only old files still hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pyspark.sql import Observation
from pyspark.sql import functions as F

from headrace.errors import KeyRingError
from headrace.lake import delta
from headrace.lake.erase import Place
from headrace.lake.layout import Layout
from headrace.lake.maintain import unreferenced_files
from headrace.privacy.encrypt import open_stored
from headrace.privacy.keys import KeyRing
from headrace.privacy.looking import FOUND, UNTOLD, Look, flat, sealed_records, stored_values
from headrace.privacy.nested import taken
from headrace.privacy.person import Named, Person, named_in
from headrace.spec.paths import written
from headrace.spec.pipeline import Pipeline
from headrace.spec.protect import Encrypt
from headrace.spec.stream import Stream

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, Row, SparkSession

_HIT, _NAMED, _ID = "__hit", "__named", "__id"
_COORDINATES = ("topic", "partition", "offset")


@dataclass(frozen=True)
class SearchedTable:
    """A table of records, and the places in it that name a person."""

    name: str
    """As messages and leases call it, such as ``events/payments``."""
    path: str
    stream: Stream
    named: tuple[Named, ...]
    id_column: str | None = None
    """What identifies a request, in a table of requests."""


@dataclass(frozen=True)
class Scanned:
    """What one look at a table found."""

    places: frozenset[Place] = frozenset()
    """Records whose row is there now."""
    days: frozenset[str] = frozenset()
    rows: Mapping[str, int] = field(default_factory=dict)
    """Verdict to rows."""
    old: frozenset[Place] = frozenset()
    """Records that files hold which the table needs no more."""
    untold: int = 0
    """Rows of which nobody can tell whom they are about: their key is retired, or they do not open."""
    learned: Person = field(default_factory=Person)
    """The identifiers in the rows that were found."""
    ids: frozenset[str] = field(default=frozenset(), repr=False)
    """Of the requests among them, as the table has them."""
    newest: datetime | None = None
    """Kafka's time of the newest record that was found (UTC)."""

    @property
    def found(self) -> frozenset[Place]:
        return self.places | self.old


def searched_tables(spark: SparkSession, pipeline: Pipeline) -> list[SearchedTable]:
    """The tables that exist, of streams that say whom their records are about: events, and the requests of scoring."""
    spec, layout = pipeline.spec, Layout(pipeline.spec.lake.root)
    places = {n: tuple(named_in(s, spec.streams.values())) for n, s in spec.streams.items()}
    asked, wanted = spec.features.requests if spec.features else None, spec.features.id if spec.features else None
    found = [
        SearchedTable(f"events/{n}", layout.events(n), stream, places[n], wanted if n == asked else None)
        for n, stream in spec.streams.items()
    ]
    if spec.model and asked:
        model = spec.model.name
        found.append(
            SearchedTable(
                f"serving/{model}/requests", layout.requests(model), spec.streams[asked], places[asked], wanted
            )
        )
    return [table for table in found if table.named and delta.exists(spark, table.path)]


def scan(
    spark: SparkSession, table: SearchedTable, person: Person, *, ring: KeyRing, alike: Iterable[Place] = ()
) -> Scanned:
    """Look at every row of a table, and at every row of its old files. ``alike``: records that are the person's in any case."""
    rows = spark.read.format("delta").load(table.path)
    looks = [Look(place, person) for place in table.named if person.knows(place.kind)]
    hits, untold = _hits(rows, table, looks, ring=ring, alike=frozenset(alike))
    old_files, past = unreferenced_files(spark, table.path), []
    if old_files:
        reader = (
            spark.read.schema(rows.schema).option("ignoreCorruptFiles", "true").option("ignoreMissingFiles", "true")
        )
        past, _ = _hits(reader.parquet(*old_files), table, looks, ring=ring, alike=frozenset(alike))
    return Scanned(
        places=_places(hits),
        days=frozenset(row["ingest_date"].isoformat() for row in hits),
        rows=dict(Counter(row["verdict"] for row in hits)),
        old=_places(past),
        untold=untold,
        learned=_learned([*hits, *past], table, ring=ring),
        ids=frozenset(row[_ID] for row in (*hits, *past) if row[_ID] is not None),
        newest=max(
            (row["kafka_timestamp"].astimezone(UTC) for row in (*hits, *past) if row["kafka_timestamp"]), default=None
        ),
    )


def _hits(
    rows: DataFrame, table: SearchedTable, looks: list[Look], *, ring: KeyRing, alike: frozenset[Place]
) -> tuple[list[Row], int]:  # fmt: skip
    at = {name: F.col(f"kafka_{name}") for name in _COORDINATES}
    judged: list[Column] = [F.lit(0)]
    for look in looks:
        column = look.place.path[0]
        if column in rows.columns:
            judged.append(stored_values(_leaves(F.col(column), look.place), look=look, ring=ring, **at))
    if "payload" in rows.columns and looks:
        judged.append(sealed_records(F.col("payload"), looks=looks, ring=ring, **at))
    if alike:
        judged.append(F.when(among(alike), F.lit(FOUND)).otherwise(F.lit(0)))
        if "duplicate_of" in rows.columns:
            firsts = [f"{table.stream.topic}/{partition}/{offset}" for partition, offset in sorted(alike)]
            judged.append(F.when(F.col("duplicate_of").isin(*firsts), F.lit(FOUND)).otherwise(F.lit(0)))
    columns = {
        f"{_NAMED}{n}": _leaves(F.col(p.path[0]), p) for n, p in enumerate(table.named) if p.path[0] in rows.columns
    }
    id_column = F.col(table.id_column).cast("string") if table.id_column in rows.columns else F.lit(None).cast("string")
    seen = Observation()
    chosen = (
        rows.withColumns({f"{_HIT}{n}": one for n, one in enumerate(judged)})
        .withColumn(_HIT, F.greatest(*(F.col(f"{_HIT}{n}") for n in range(len(judged))), F.lit(0)))
        .select(*(f"kafka_{name}" for name in (*_COORDINATES, "timestamp")), "ingest_date", "verdict", _HIT,
                *(column.alias(name) for name, column in columns.items()), id_column.alias(_ID))
        .observe(seen, F.count_if(F.col(_HIT) == UNTOLD).alias("untold"))
        .where(F.col(_HIT) == FOUND)
    )  # fmt: skip
    found = chosen.collect()
    return found, int(seen.get["untold"] or 0)


def _learned(rows: Iterable[Row], table: SearchedTable, *, ring: KeyRing) -> Person:
    """The identifiers in rows that were found. What does not open teaches nothing."""
    person = Person()
    for row in rows:
        at = f"{row['kafka_topic']}/{row['kafka_partition']}/{row['kafka_offset']}"
        for number, place in enumerate(table.named):
            values = list(flat(row[f"{_NAMED}{number}"])) if f"{_NAMED}{number}" in row else []
            if place.domain is not None:
                person = person.with_pseudonyms(place.kind, values)
            else:
                opened = (_opened(value, place, at, ring=ring) for value in values)
                person = person.with_values(place.kind, (value for value in opened if value is not None))
    return person


def _opened(value: Any, place: Named, at: str, *, ring: KeyRing) -> str | None:
    if not isinstance(place.protection, Encrypt):
        return str(value)
    where = f"{at}/{written(place.path)}".encode()
    try:
        return open_stored(bytes(value), where, key=place.protection.encrypt, ring=ring)
    except KeyRingError:
        return None


def _leaves(column: Column, place: Named) -> Column:
    sealed = isinstance(place.protection, Encrypt)
    return taken(column, place.path[1:], (lambda leaf: leaf) if sealed else (lambda leaf: leaf.cast("string")))


def among(places: frozenset[Place]) -> Column:
    """Whether a row is of one of these records."""
    by_partition: dict[int, list[int]] = {}
    for partition, offset in sorted(places):
        by_partition.setdefault(partition, []).append(offset)
    found = F.lit(False)
    for partition, offsets in by_partition.items():
        found = found | ((F.col("kafka_partition") == partition) & F.col("kafka_offset").isin(*offsets))
    return found


def _places(rows: Iterable[Row]) -> frozenset[Place]:
    return frozenset((row["kafka_partition"], row["kafka_offset"]) for row in rows)
