"""A person's identifiers: every spelling, every key version, and what is said in bytes that nobody can parse."""

from __future__ import annotations

import hmac
import json
from pathlib import Path

import pytest
from customers import write_customers

from headrace.errors import SpecError
from headrace.privacy.looking import Look, names
from headrace.privacy.mentions import mentions
from headrace.privacy.original import Original
from headrace.privacy.person import Person, named_in, with_all_pseudonyms
from headrace.privacy.ring import KeyRing

EMAIL = {
    "email": {"pseudonym": "email", "as": "email"},
    "card": {"pseudonym": "card", "as": "card"},
    "name": {"encrypt": "n"},
}


@pytest.fixture
def places(tmp_path: Path):
    pipeline = write_customers(
        tmp_path, bootstrap="localhost:1", topic="t", protect=EMAIL,
        subject={"email": "email", "card": "card", "name": "name", "contact": "contacts[].email"},
    )  # fmt: skip
    stream = pipeline.spec.streams["customers"]
    return {place.kind: place for place in named_in(stream, [stream])}


def ring(*versions: int, follows: bool = True) -> KeyRing:
    made = KeyRing("ring", {})
    for number in range(1, max(versions) + 1):
        made = made.with_key("pseudonym/email", follows=number - 1 if follows and number > 1 else None)
    for gone in set(range(1, max(versions) + 1)) - {*versions}:
        made = made.without_secret("pseudonym/email", gone)
    return made


def by_hand(made: KeyRing, value: str, *versions: int) -> str:
    for version in versions:
        value = (
            f"v{version}." + hmac.new(made.keys["pseudonym/email"][version], value.encode(), "sha256").hexdigest()[:32]
        )
    return value


def test_pseudonyms_of_every_version_of_a_chain(places) -> None:
    made = ring(1, 2)
    person = with_all_pseudonyms(Person({"email": frozenset([" ADA@Example.org "])}), places.values(), ring=made)
    expected = {by_hand(made, "ada@example.org", 1), by_hand(made, "ada@example.org", 1, 2)}
    assert person.pseudonyms["email"] == expected


def test_a_version_that_began_anew_and_one_that_is_retired(places) -> None:
    made = ring(2, follows=False)  # version 1 is retired
    person = with_all_pseudonyms(Person({"email": frozenset(["ada@example.org"])}), places.values(), ring=made)
    assert person.pseudonyms["email"] == {by_hand(made, "ada@example.org", 2)}


def test_an_old_pseudonym_leads_to_the_newest(places) -> None:
    made = ring(1, 2)
    old = by_hand(made, "ada@example.org", 1)
    person = with_all_pseudonyms(Person({}, {"email": frozenset([old])}), places.values(), ring=made)
    assert person.pseudonyms["email"] == {old, by_hand(made, "ada@example.org", 1, 2)}


@pytest.mark.parametrize(
    ("raw", "value", "found"),
    [
        (b'{"email":"ADA@example.org", broken', "ada@example.org", True),
        (b'{"email":"ada\\u0040example.org', "ada@example.org", True),
        ("mail ada@example.org now".encode("utf-16-le"), "ada@example.org", True),
        (b"my.ada@example.org", "ada@example.org", False),
        (b"ada@example.org.uk", "ada@example.org", False),
        (b"write to ada@example.org.", "ada@example.org", True),
        (b'{"id":"c12"', "c1", False),
        (b'{"id":"c1"', "c1", True),
    ],
)
def test_a_mention_is_a_word_of_its_own(raw: bytes, value: str, found: bool) -> None:
    assert mentions(raw, [value]) is found


def record(**fields: object) -> Original:
    return Original(None, json.dumps(fields).encode())


@pytest.mark.parametrize(
    ("original", "found"),
    [
        (record(email="ada@example.org"), True),
        (record(email=" Ada@EXAMPLE.org"), True),
        (record(email="bob@example.org", note="ask ada@example.org"), False),  # it is about Bob
        (record(email=None, note="ask ada@example.org"), True),  # it names nobody: whom it mentions
        (Original(None, b'{"email":"ada@example.org"'), True),
        (Original(b"ada@example.org", b"\xff\xfe"), True),
        (Original(None, rb'{"name": "half \ud800", "note": "ada@example.org'), True),
        (Original(None, rb'{"email": "half \ud800", "note": "ada@example.org"}'), False),
        (Original(None, rb'{"note": "\ud83d\ude00 half \udc00"'), False),
        (Original(None, b"\xff", (("user", b"ada@example.org"),)), True),
        (Original(None, b"\xff", (("user", b"ada@example.com"),)), False),
        (Original(None, None), False),
    ],
)
def test_an_original_record_names_the_person(places, original: Original, found: bool) -> None:
    look = Look(places["email"], Person({"email": frozenset(["ada@example.org"])}))
    assert names(original, look=look, recognize=look.recognizer(ring(1))) is found


def test_an_original_record_is_known_by_a_pseudonym_alone(places) -> None:
    made = ring(1)
    person = Person({}, {"email": frozenset([by_hand(made, "ada@example.org", 1)])})
    look = Look(places["email"], person)
    recognize = look.recognizer(made)
    assert names(record(email="ADA@example.org"), look=look, recognize=recognize)
    assert names(Original(None, b'{"email": "ada@example.org", '), look=look, recognize=recognize)
    assert not names(record(email="eve@example.org"), look=look, recognize=recognize)


def test_a_text_form_shows_nothing_of_a_person(places) -> None:
    person = Person({"email": frozenset(["ada@example.org"])})
    assert "ada" not in repr(person) + repr(Look(places["email"], person))


@pytest.mark.parametrize(
    ("subject", "wrong"),
    [
        ({"email": "mail"}, "no column 'mail'"),
        ({"email": "contacts.email"}, "no column"),
        ({"phone": "phone"}, "does not tell one person from another"),
        ({"born": "born"}, "is a date"),
        ({"email": "contacts[]["}, "is no path"),
        ({"email": "twice"}, "is derived"),
    ],
)
def test_a_wrong_subject_is_refused_where_it_is_written(tmp_path: Path, subject: dict[str, str], wrong: str) -> None:
    with pytest.raises(SpecError, match=wrong):
        write_customers(
            tmp_path, bootstrap="localhost:1", topic="t", protect={"phone": {"mask": 2}}, subject=subject,
            normalize={"derive": {"twice": "concat(email, email)"}},
        )  # fmt: skip
