"""When a stream's records have drifted from their schema, from the shapes of those that were looked at.

- **unknown**: a field that the schema lacks has a value.
- **missing**: a field that used to have values has had none for so long that, at its former rate, some ``EXPECTED`` were due.
- **renamed**: the same, and since then a field has come up that the schema lacks and whose values fit.
- **type**: more than ``TOLERATED`` of a field's values are of another type, and by now by ``EXCESS`` of them (a CUSUM; Page 1954).

A field of a struct is counted where the struct is there. Pure: shapes in, findings out.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pyspark.sql.types import (
    ArrayType,
    BooleanType,
    DataType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from headrace.stages.fields import declared, is_json, shown_path
from headrace.stages.shape import Path, Shape

EXPECTED = 30
TOLERATED, EXCESS = 0.05, 20
MOST_UNKNOWN = 50
"""So many fields that the schema lacks are followed at once."""
_FORGET_ABOVE = 20_000
_LIKE = 0.5
_SCALARS = frozenset({"string", "bigint", "decimal", "double", "float", "boolean"})
_NUMBERS = frozenset({"bigint", "decimal", "double", "float"})
_FITTING: dict[type[DataType], frozenset[str]] = {
    StringType: _SCALARS,
    IntegerType: frozenset({"bigint"}),
    LongType: frozenset({"bigint"}),
    DoubleType: _NUMBERS,
    FloatType: _NUMBERS,
    DecimalType: _NUMBERS | {"string"},
    BooleanType: frozenset({"boolean"}),
    TimestampType: frozenset({"string"}),
    DateType: frozenset({"string"}),
    StructType: frozenset({"object"}),
    ArrayType: frozenset({"array"}),
}


_WORDS = {
    "string": "a text", "bigint": "a whole number", "decimal": "a number", "double": "a number", "float": "a number",
    "boolean": "true or false", "object": "an object", "array": "an array", "variant": "values of several types",
}  # fmt: skip


@dataclass(frozen=True)
class Seen:
    """Records of one shape: what they hold, and which top-level fields could not be read."""

    shape: Shape
    unread: frozenset[str]
    records: int


@dataclass(frozen=True)
class Finding:
    """A change: its kind, the field as it may be shown, and what is to be said of it after the field's name."""

    kind: str
    field: str
    text: str


@dataclass
class Track:
    """How often a field had a value, among the records that were looked at."""

    seen: int = 0
    of: int = 0
    """Records up to the last batch in which it had one."""
    since: int = 0
    """Records since then."""
    last: int = 0
    """Records of that batch."""
    odd: float = 0.0
    """Values of another type, above what is tolerated."""

    def count(self, records: int, present: int, odd: int) -> None:
        """Take in a batch."""
        if present:
            self.seen, self.of, self.since, self.last = self.seen + present, self.of + self.since + records, 0, records
            if self.of > _FORGET_ABOVE:
                self.seen, self.of = (self.seen + 1) // 2, self.of // 2
        else:
            self.since += records
        self.odd = max(0.0, round(self.odd + odd - TOLERATED * present, 2))

    @property
    def is_missing(self) -> bool:
        return bool(self.seen) and self.since * self.seen >= EXPECTED * self.of


@dataclass
class DriftRules:
    """The counts of a stream. ``tracks`` may be written down and given to the next run."""

    tracks: dict[str, Track] = field(default_factory=dict)

    def observe(self, batch: Iterable[Seen], schema: StructType, *, fate: str) -> list[Finding]:
        """What this batch tells, again for as long as it lasts. ``fate``: what becomes of records with an unknown field."""
        seen = [(one, {path: part for path, part in one.shape.walk() if part.kind != "void"}) for one in batch]
        known = dict(declared(schema))
        findings: list[Finding] = []
        for path, spec in known.items():
            findings += self._declared(path, spec, seen)
        unknown = self._unknown(seen, known)
        findings += [
            Finding("unknown", name, f"is not in the schema ({words(part)}); {fate}")
            for name, (_, part) in unknown.items()
        ]
        return [self._renamed(one, known, unknown) if one.kind == "missing" else one for one in findings]

    def _declared(
        self, path: Path, spec: StructField, seen: Sequence[tuple[Seen, Mapping[Path, Shape]]]
    ) -> list[Finding]:
        records = present = odd = 0
        kinds: set[str] = set()
        for one, parts in seen:
            if len(path) > 1 and path[:-1] not in parts:
                continue
            records += one.records
            part = parts.get(path)
            if part is None:
                continue
            present += one.records
            if not fits(part, spec):
                odd += one.records
                kinds.add(words(part))
            elif len(path) == 1 and spec.name in one.unread and not _has_odd_part(parts, path, spec):
                odd += one.records
                kinds.add(f"{words(part)} of another form")
        name = shown_path(path)
        track = self.tracks.setdefault(name, Track())
        track.count(records, present, odd)
        found: list[Finding] = []
        if odd and track.odd >= EXCESS:
            told = " or ".join(sorted(kinds))
            text = f"often holds {told}, and the schema says {spec.dataType.typeName()}; such records are quarantined"
            found.append(Finding("type", name, text))
        if track.is_missing:
            share = track.seen / track.of
            text = f"has had no value in the last {track.since:,} records looked at; {share:.0%} had one before"
            found.append(Finding("missing", name, text))
        return found

    def _unknown(
        self, seen: Sequence[tuple[Seen, Mapping[Path, Shape]]], known: Mapping[Path, StructField]
    ) -> dict[str, tuple[Path, Shape]]:
        """What the schema lacks and this batch holds, by the name to show: the topmost of them."""
        structs = {path[:-1] for path in known}
        found: dict[str, tuple[Path, Shape]] = {}
        counted: dict[str, int] = {}
        for one, parts in seen:
            for path, part in parts.items():
                if path in known or path[:-1] not in structs:
                    continue
                name = shown_path(path)
                if name in found or len(found) < MOST_UNKNOWN:
                    found[name] = path, part
                    counted[name] = counted.get(name, 0) + one.records
        total = sum(one.records for one, _ in seen)
        declared_names = {shown_path(path) for path in known}
        for name in {*found, *(name for name in self.tracks if name not in declared_names)}:
            if name not in self.tracks and len(self.tracks) >= len(declared_names) + MOST_UNKNOWN:
                continue
            self.tracks.setdefault(name, Track()).count(total, counted.get(name, 0), 0)
        return found

    def _renamed(
        self, missing: Finding, known: Mapping[Path, StructField], unknown: Mapping[str, tuple[Path, Shape]]
    ) -> Finding:
        path, spec = next((path, spec) for path, spec in known.items() if shown_path(path) == missing.field)
        gone = self.tracks[missing.field]
        fitting = [name for name, (p, part) in unknown.items() if p[:-1] == path[:-1] and fits(part, spec)]
        fitting += [
            shown_path(p)
            for p, other in known.items()
            if p != path and p[:-1] == path[:-1] and other.dataType == spec.dataType
        ]
        fresh = [name for name in fitting if self._came_when_it_went(name, gone)]
        alike = [name for name in fresh if _alike(name, missing.field)]
        chosen = alike or (fresh if len(fresh) == 1 else [])
        if not chosen:
            return missing
        return Finding("renamed", missing.field, f"{missing.text}; since then there is {chosen[0]!r}: was it renamed?")

    def _came_when_it_went(self, name: str, gone: Track) -> bool:
        track = self.tracks.get(name)
        return track is not None and track.since == 0 < track.seen and track.of <= gone.since + gone.last


def words(part: Shape) -> str:
    """A kind in words."""
    return _WORDS.get(part.kind, part.kind)


def fits(part: Shape, spec: StructField) -> bool:
    """Whether a value of this kind can be read as the field (its form aside: a text that is no time, a number too large)."""
    return part.kind == "void" or is_json(spec) or part.kind in _FITTING.get(type(spec.dataType), _SCALARS)


def _has_odd_part(parts: Mapping[Path, Shape], path: Path, spec: StructField) -> bool:
    inner = {(*path, *below): other for below, other in declared(spec.dataType)}
    return any(at in parts and not fits(parts[at], other) for at, other in inner.items())


def _alike(one: str, other: str) -> bool:
    last = [name.split(".")[-1].lower().replace("_", "") for name in (one, other)]
    return last[0] in last[1] or last[1] in last[0] or difflib.SequenceMatcher(a=last[0], b=last[1]).ratio() >= _LIKE
