"""Finding a person in a pipeline: by what somebody says of them, and by what the rows that are found say more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from headrace.erasure.scan import Scanned, SearchedTable, scan, searched_tables
from headrace.errors import SpecError
from headrace.lake.erase import Place
from headrace.privacy.keys import KeyRing
from headrace.privacy.person import Named, Person, named_in, newest, with_all_pseudonyms
from headrace.spec.pipeline import Pipeline

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class Found:
    """Where a person is."""

    tables: tuple[SearchedTable, ...]
    scans: Mapping[str, Scanned]
    """Name of a table to what is in it; a table that was not looked at, since it can't name the person, is not here."""
    person: Person = field(repr=False)
    identifiers: Mapping[str, int] = field(default_factory=dict)
    """Kind to the number of different identifiers in the rows that were found."""

    @property
    def anything(self) -> bool:
        return any(one.found for one in self.scans.values())

    @property
    def untold(self) -> dict[str, int]:
        """Table to the rows of which nobody can tell whom they are about, where there are any."""
        return {name: one.untold for name, one in self.scans.items() if one.untold}

    @property
    def ids(self) -> frozenset[str]:
        """Of the requests for a prediction among the rows."""
        return frozenset().union(*(one.ids for one in self.scans.values()))


def person_named(pipeline: Pipeline, value: str, *, kind: str | None) -> Person:
    """The person whom a value names; without a kind, whatever kind of identifier it is.

    Raises SpecError where the pipeline file does not say how records name persons, or knows no such kind.
    """
    kinds = sorted({known for stream in pipeline.spec.streams.values() for known in stream.subject})
    if not kinds:
        raise SpecError(
            f"{pipeline.file} does not say whom its records are about; add to its streams, for example, subject: {{email: email}}"
        )
    if kind is not None and kind not in kinds:
        raise SpecError(f"no stream names a person by {kind!r}: expected one of {', '.join(kinds)}")
    if not value.strip():
        raise SpecError("the subject is an empty text; say who is meant, such as --subject ada@example.org")
    person = Person()
    for known in [kind] if kind else kinds:
        person = person.with_values(known, [value])
    return person


def find(spark: SparkSession, pipeline: Pipeline, person: Person, *, ring: KeyRing, linked: bool = True) -> Found:
    """Every row that is about the person, now and in old files.

    ``linked``: identifiers in the rows that are found lead to further rows, until no more are found.
    """
    tables, places = searched_tables(spark, pipeline), _all_places(pipeline)
    person = with_all_pseudonyms(person, places, ring=ring)
    scans: dict[str, Scanned] = {}
    kinds = {place.kind for place in places}
    while kinds:
        before = person
        for table in tables:
            if any(place.kind in kinds and before.knows(place.kind) for place in table.named):
                scans[table.name] = scan(spark, table, before, ring=ring)
                person = _merged(person, scans[table.name].learned)
        person = with_all_pseudonyms(person, places, ring=ring)
        kinds = person.grown_from(before) if linked else set[str]()
        if not linked:
            person = before
    _add_alike(spark, tables, scans, person, ring=ring)
    return Found(tuple(tables), scans, person, _identifiers(scans, places, ring=ring))


def _add_alike(
    spark: SparkSession, tables: Iterable[SearchedTable], scans: dict[str, Scanned], person: Person, *, ring: KeyRing
) -> None:
    """Records of the same topic in another table, and copies of the records that were found."""
    by_topic: dict[str, frozenset[Place]] = {}
    for table in tables:
        found = scans[table.name].found if table.name in scans else frozenset[Place]()
        by_topic[table.stream.topic] = by_topic.get(table.stream.topic, frozenset()) | found
    for table in tables:
        wanted = by_topic[table.stream.topic]
        known = scans[table.name].found if table.name in scans else frozenset[Place]()
        if wanted and (wanted - known or table.stream.duplicates):
            scans[table.name] = scan(spark, table, person, ring=ring, alike=wanted)


def _identifiers(scans: Mapping[str, Scanned], places: Iterable[Named], *, ring: KeyRing) -> dict[str, int]:
    learned, counted = Person(), dict[str, int]()
    for one in scans.values():
        learned = _merged(learned, one.learned)
    for place in places:
        known = {place.plain(value) for value in learned.values.get(place.kind, ())}
        if place.domain is not None:
            known = set(map(newest(place.domain, ring=ring), learned.pseudonyms.get(place.kind, ())))
        counted[place.kind] = max(counted.get(place.kind, 0), len(known))
    return {kind: count for kind, count in sorted(counted.items()) if count}


def _all_places(pipeline: Pipeline) -> list[Named]:
    streams = pipeline.spec.streams.values()
    return [place for stream in streams for place in named_in(stream, streams)]


def _merged(person: Person, more: Person) -> Person:
    for kind, values in more.values.items():
        person = person.with_values(kind, values)
    for kind, pseudonyms in more.pseudonyms.items():
        person = person.with_pseudonyms(kind, pseudonyms)
    return person
