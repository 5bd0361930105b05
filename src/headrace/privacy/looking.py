"""Looking for a person where Spark runs: in stored values, and in the original records of quarantined rows.

What is looked for travels inside the functions that the workers run, never as a value of a plan.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from headrace.errors import KeyRingError
from headrace.privacy.encrypt import open_stored
from headrace.privacy.keys import KeyRing, open_ring
from headrace.privacy.mentions import mentions, tokens, well_formed
from headrace.privacy.original import Original
from headrace.privacy.person import Named, Person, makers, newest
from headrace.privacy.seal import open_sealed
from headrace.spec.paths import ITEMS, Path, written
from headrace.spec.protect import Encrypt

if TYPE_CHECKING:
    from pyspark.sql import Column

NOT, UNTOLD, FOUND = 0, 1, 2
"""Whether a row is about the person: no; nobody can tell (its key is retired, or it does not open); yes."""


@dataclass(frozen=True, repr=False)
class Look:
    """One place, and what stands there if it names the person."""

    place: Named
    person: Person

    def judge(self, ring: KeyRing) -> Callable[[Any, bytes], int]:
        """The function from one stored value, and where it stands, to whether it is the person's."""
        domain, protection = self.place.domain, self.place.protection
        wanted = self.person.pseudonyms.get(self.place.kind, frozenset[str]())
        if domain is not None:
            renew, known = newest(domain, ring=ring), set(makers(self.place, ring=ring))

            def by_pseudonym(value: str, _at: bytes) -> int:
                if value in wanted or renew(value) in wanted:
                    return FOUND
                return NOT if value.partition(".")[0] in known else UNTOLD

            return by_pseudonym
        spelled = self._spelled()
        if isinstance(protection, Encrypt):
            key = protection.encrypt

            def by_opening(value: bytes, at: bytes) -> int:
                try:
                    clear = open_stored(value, at, key=key, ring=ring)
                except KeyRingError:
                    return UNTOLD
                return FOUND if self.place.plain(clear) in spelled else NOT

            return by_opening
        return lambda value, _: FOUND if self.place.plain(value) in spelled else NOT

    def recognizer(self, ring: KeyRing) -> Callable[[str], bool]:
        """The function from a value in clear to whether it is the person's."""
        spelled, wanted = self._spelled(), self.person.pseudonyms.get(self.place.kind, frozenset[str]())
        made = list(makers(self.place, ring=ring).values()) if self.place.domain is not None and wanted else []

        def recognize(value: str) -> bool:
            tidy = self.place.tidied(value)
            return self.place.plain(value) in spelled or any(make(tidy) in wanted for make in made)

        return recognize

    @property
    def clear(self) -> frozenset[str]:
        """What is known in clear, as it was spelled."""
        return self.person.values.get(self.place.kind, frozenset())

    def _spelled(self) -> set[str]:
        return {self.place.plain(value) for value in self.clear}


def stored_values(
    values: Column, *, look: Look, topic: Column, partition: Column, offset: Column, ring: KeyRing
) -> Column:
    """An ``int`` (``NOT``, ``UNTOLD`` or ``FOUND``) for what stands at the look's place, arrays of it too."""
    from pyspark.sql.functions import arrow_udf

    reference, path = ring.path, look.place.path

    def judge_all(values: pa.Array, topic: pa.Array, partition: pa.Array, offset: pa.Array) -> pa.Array:
        judge = look.judge(open_ring(reference))
        rows = zip(values.to_pylist(), topic.to_pylist(), partition.to_pylist(), offset.to_pylist(), strict=True)
        found = [max((judge(one, _place(path, *at)) for one in flat(value)), default=NOT) for value, *at in rows]
        return pa.array(found, pa.int32())

    return arrow_udf(judge_all, "int")(values, topic, partition, offset)  # pyright: ignore


def sealed_records(
    payload: Column, *, looks: Sequence[Look], topic: Column, partition: Column, offset: Column, ring: KeyRing
) -> Column:
    """The same for a sealed original record; ``NOT`` where there is none."""
    from pyspark.sql.functions import arrow_udf

    reference = ring.path

    def judge_all(payload: pa.Array, topic: pa.Array, partition: pa.Array, offset: pa.Array) -> pa.Array:
        if payload.null_count == len(payload):
            return pa.array([NOT] * len(payload), pa.int32())
        keys = open_ring(reference)
        known = [(look, look.recognizer(keys)) for look in looks]
        rows = zip(payload.to_pylist(), topic.to_pylist(), partition.to_pylist(), offset.to_pylist(), strict=True)
        return pa.array([NOT if row[0] is None else _judge_record(known, keys, *row) for row in rows], pa.int32())

    return arrow_udf(judge_all, "int")(payload, topic, partition, offset)  # pyright: ignore


def _judge_record(
    known: Sequence[tuple[Look, Callable[[str], bool]]], ring: KeyRing, payload: bytes, topic: str, partition: int, offset: int
) -> int:  # fmt: skip
    try:
        record = open_sealed(payload, topic=topic, partition=partition, offset=offset, ring=ring)
    except KeyRingError:
        return UNTOLD
    return FOUND if any(names(record, look=look, recognize=recognize) for look, recognize in known) else NOT


def names(record: Original, *, look: Look, recognize: Callable[[str], bool]) -> bool:
    """Whether a record is about the person: at the declared place, or, where nothing can be read there, anywhere in it."""
    if record.key is not None and recognize(record.key.decode(errors="replace")):
        return True
    place = look.place
    found = list(_texts_at(_document(record.value), (place.field, *place.path[1:])))
    if found:
        return any(recognize(text) for text in found)
    parts = [part for part in (record.value, *(value for _, value in record.headers)) if part]
    return any(mentions(part, look.clear) or any(map(recognize, tokens(part))) for part in parts)


class _Pairs(list[tuple[str, Any]]):
    """An object of JSON with all its fields, repeated ones too."""


def _document(value: bytes | None) -> Any:
    try:
        return json.loads(value or b"", object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        return None


def _texts_at(value: Any, steps: Path) -> Iterator[str]:
    if not steps:
        if isinstance(value, str) and value.strip():
            yield well_formed(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield json.dumps(value)
    elif steps[0] == ITEMS and isinstance(value, list) and not isinstance(value, _Pairs):
        for item in value:  # pyright: ignore[reportUnknownVariableType]
            yield from _texts_at(item, steps[1:])
    elif isinstance(value, _Pairs):
        for name, inner in value:
            if name.lower() == steps[0].lower():
                yield from _texts_at(inner, steps[1:])


def flat(value: Any) -> Iterable[Any]:
    """The values in a list of lists, however deep; none in null."""
    if value is None:
        return
    if isinstance(value, list):
        for item in value:  # pyright: ignore[reportUnknownVariableType]
            yield from flat(item)
    else:
        yield value


def _place(path: Path, topic: str, partition: int, offset: int) -> bytes:
    return f"{topic}/{partition}/{offset}/{written(path)}".encode()
