"""A person whom somebody looks for: what is known of them, and the places where records name them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from headrace.errors import KeyRingError
from headrace.privacy.identifiers import normalizer
from headrace.privacy.keys import KeyRing, pseudonym_key
from headrace.privacy.pseudonym import maker, renewer
from headrace.spec.paths import Path
from headrace.spec.protect import Protection, Pseudonym
from headrace.spec.stream import Stream

Texts = Mapping[str, frozenset[str]]
_BY_NAME = {"email": "email", "card": "card", "digits": "digits"}


@dataclass(frozen=True, repr=False)
class Person:
    """What is known of a person, by kind of identifier. Its text form shows the kinds only."""

    values: Texts = field(default_factory=dict)
    """Identifiers in clear, in any spelling."""
    pseudonyms: Texts = field(default_factory=dict)
    """Pseudonyms, of any version."""

    def knows(self, kind: str) -> bool:
        return bool(self.values.get(kind) or self.pseudonyms.get(kind))

    def grown_from(self, before: Person) -> set[str]:
        """Kinds of which more is known than before."""
        kinds = {*self.values, *self.pseudonyms}
        return {kind for kind in kinds if self._of(kind) != before._of(kind)}

    def _of(self, kind: str) -> tuple[frozenset[str], frozenset[str]]:
        return self.values.get(kind, frozenset()), self.pseudonyms.get(kind, frozenset())

    def with_values(self, kind: str, values: Iterable[str]) -> Person:
        return Person(_added(self.values, kind, values), self.pseudonyms)

    def with_pseudonyms(self, kind: str, pseudonyms: Iterable[str]) -> Person:
        return Person(self.values, _added(self.pseudonyms, kind, pseudonyms))

    def __repr__(self) -> str:
        return f"Person({sorted({*self.values, *self.pseudonyms})})"


@dataclass(frozen=True)
class Named:
    """A place in a stream's records and rows that names a person."""

    kind: str
    path: Path
    """In the table; the record has the same, but for the column's name."""
    field: str
    """The column's name in the record."""
    protection: Protection
    spelling: Pseudonym
    """How values of this kind are brought to one spelling, as a pseudonym of them is or would be declared."""
    trim: bool
    case: str | None

    def plain(self, value: str) -> str:
        """A value as the stream's own ``normalize``, and then its kind, spell it."""
        return normalizer(self.spelling)(self.tidied(value))

    def tidied(self, value: str) -> str:
        """A value as the stream's ``normalize`` leaves it."""
        value = value.strip() if self.trim else value
        return value if self.case is None else value.upper() if self.case == "upper" else value.lower()

    @property
    def domain(self) -> str | None:
        """Key of its pseudonyms, where it is one."""
        return pseudonym_key(self.protection.pseudonym) if isinstance(self.protection, Pseudonym) else None


def named_in(stream: Stream, streams: Iterable[Stream]) -> list[Named]:
    """The places that a stream declares under ``subject``; ``streams``: all of the pipeline, one of which may say how a kind is
    spelled.
    """  # fmt: skip
    streams = list(streams)
    sources = {new: old for old, new in stream.normalize.rename.items()}
    found: list[Named] = []
    for kind, path in stream.subjects.items():
        protection = stream.protections.get(path, "public")
        spelling = protection if isinstance(protection, Pseudonym) else _spelling(kind, streams)
        name = sources.get(path[0], path[0])
        case = stream.normalize.case.get(name) if len(path) == 1 else None
        trim = stream.normalize.trim and len(path) == 1
        found.append(Named(kind, path, name, protection, spelling, trim, case))
    return found


def with_all_pseudonyms(person: Person, places: Iterable[Named], *, ring: KeyRing) -> Person:
    """The person with the pseudonyms of all that is known in clear, under every version that the ring can still make, and with
    each known pseudonym as its newest version.
    """  # fmt: skip
    for place in places:
        if place.domain is None:
            continue
        values = {place.tidied(value) for value in person.values.get(place.kind, ())}
        made = {make(value) for make in makers(place, ring=ring).values() for value in values}
        renew = newest(place.domain, ring=ring)
        known = person.pseudonyms.get(place.kind, frozenset())
        person = person.with_pseudonyms(place.kind, made | {renew(pseudonym) for pseudonym in known})
    return person


def makers(place: Named, *, ring: KeyRing) -> dict[str, Callable[[str], str]]:
    """Version, as pseudonyms begin with it (``v2``), to the function from a value to its pseudonym. A version that follows a
    retired one, or is one, can't be made any more.
    """  # fmt: skip
    name, found = place.domain, dict[str, Callable[[str], str]]()
    assert name is not None
    for version in ring.keys.get(name, {}):
        try:
            chain = [(number, ring.key(name, number)) for number in ring.chain(name, version)]
        except KeyRingError:
            continue
        found[f"v{version}"] = maker(chain, place.spelling)
    return found


def newest(name: str, *, ring: KeyRing) -> Callable[[str], str]:
    """The function from a pseudonym to its newest version, as far as the ring can still make it."""
    links: list[tuple[int, bytes]] = []
    for number in reversed(ring.chain(name, ring.current(name)) if ring.keys.get(name) else []):
        if number not in ring.keys[name]:
            break
        links.insert(0, (number, ring.key(name, number)))
    return renewer(links) if links else str


def _spelling(kind: str, streams: Iterable[Stream]) -> Pseudonym:
    for stream in streams:
        protection = stream.protections.get(stream.subjects.get(kind, ()))
        if isinstance(protection, Pseudonym):
            return protection
    return Pseudonym.model_validate({"pseudonym": kind, "as": _BY_NAME.get(kind, "text")})


def _added(texts: Texts, kind: str, more: Iterable[str]) -> Texts:
    found = texts.get(kind, frozenset()) | frozenset(more)
    return {**texts, kind: found} if found else texts
