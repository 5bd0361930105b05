"""One spelling for each identifier: equal ones become equal, others stay apart. The true pairs are written by hand."""

from __future__ import annotations

import itertools
import string
import unicodedata

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.privacy.identifiers import normalizer
from headrace.privacy.phone import e164
from headrace.privacy.pseudonym import maker
from headrace.spec.protect import Pseudonym

# Each list holds the spellings of one identifier; no two lists hold the same.
PEOPLE: dict[str, list[list[str]]] = {
    "email": [
        ["ada@example.org", " Ada@Example.ORG ", "ADA@EXAMPLE.ORG.", "ada @ example.org",
         "ａｄａ@example.org", "ada@exa\u200bmple.org"],
        ["ada.lovelace@example.org"], ["ada+shop@example.org"], ["a.da@example.org"],
        ["bob@müller.example", "Bob@xn--mller-kva.example", "bob@MU\u0308LLER.example"], ["bob@muller.example"],
        ["strasse@example.org"], ["straße@example.org"], ["ada.b@gmail.com"], ["adab@gmail.com"], ["adab@googlemail.com"],
        ["unknown", " UNKNOWN "], ["@example.org"], ["ada@"], [""],
    ],
    "gmail": [
        ["ada.b@gmail.com", "AdaB+shop@googlemail.com", "a.d.a.b@gmail.com"], ["ada.b@example.org"], ["adab@example.org"],
        ["ada.b+x@example.org"],
    ],
    "phone": [
        ["+31 20 624 1111", "020 624 1111", "(020) 624-1111", "0031206241111", "+31 (0)20 624 11 11", "tel:+31-20-624-1111",
         "\u200e+31 20 624 1111", "＋３１ ２０ ６２４ １１１１", "020/6241111", "+31 20 6241111 ext. 5"],
        ["+31206241112"], ["+32206241111"], ["+1 415 555 2671", "001 (415) 555-2671", "+1.415.555.2671"],
        ["+39 06 698 12345"], ["+39 6 698 12345"], ["unknown", "Unknown "], ["n/a"], [""],
    ],
    "card": [
        ["4111111111111111", "4111 1111 1111 1111", "4111-1111-1111-1111", " 4111.1111.1111.1111 ", "4111\u00a01111\u20111111 1111",
         "４１１１１１１１１１１１１１１１"],
        ["4111111111111112"], ["411111111111111"], ["4111 1111 1111 1111 exp 12/26"], ["none", "NONE"], [""],
    ],
    "digits": [["NL-12.34 (x)", "1234", "12 34", "a1b2c3d4", "١٢٣٤"], ["01234"], ["123"], ["n/a"], ["none"]],
    "text": [
        ["Zoë  Straße", "zoe\u0308 strasse",
         " ZOË\tSTRASSE\n", "ＺＯË STRASSE", "zoë\u00a0stra\u00adße"], ["zoe strasse"], ["zoëstrasse"], [""],
        ["ﬁne", "FINE"], ["İ"], ["i"],
    ],
    "exact": [["Ada"], ["ada"], [" Ada"], ["Ada\u0301"], ["Adá"], [""]],
}  # fmt: skip
KINDS = {
    "email": {"as": "email"}, "gmail": {"as": "email", "gmail_rules": True}, "phone": {"as": "phone", "region": "NL"},
    "card": {"as": "card"}, "digits": {"as": "digits"}, "text": {"as": "text"}, "exact": {},
}  # fmt: skip
SECRET = bytes(range(32))


def declared(kind: str) -> Pseudonym:
    return Pseudonym.model_validate({"pseudonym": "people", **KINDS[kind]})


def linked(kind: str, key: bytes = SECRET) -> list[set[tuple[int, str]]]:
    """The spellings that share a pseudonym, each with the number of its person."""
    make = maker([(1, key)], declared(kind))
    by_pseudonym: dict[str, set[tuple[int, str]]] = {}
    for person, spellings in enumerate(PEOPLE[kind]):
        for spelling in spellings:
            by_pseudonym.setdefault(make(spelling), set()).add((person, spelling))
    return list(by_pseudonym.values())


@pytest.mark.parametrize("kind", PEOPLE)
def test_a_pseudonym_links_the_spellings_of_one_identifier_and_no_others(kind: str) -> None:
    people = [{(person, spelling) for spelling in spellings} for person, spellings in enumerate(PEOPLE[kind])]
    assert sorted(linked(kind), key=str) == sorted(people, key=str)


def test_the_true_pairs_catch_a_normalization_that_links_too_few_or_too_many() -> None:
    """The faults are planted: none at all, and one that forgets the domain."""
    people = [{(person, s) for s in spellings} for person, spellings in enumerate(PEOPLE["email"])]
    for faulty in (str, lambda value: value.partition("@")[0].strip().lower()):
        groups: dict[str, set[tuple[int, str]]] = {}
        for person, spelling in itertools.chain.from_iterable(people):
            groups.setdefault(faulty(spelling), set()).add((person, spelling))
        assert sorted(groups.values(), key=str) != sorted(people, key=str)


@pytest.mark.parametrize("kind", PEOPLE)
@given(st.data())
def test_pseudonyms_are_equal_exactly_where_the_normalized_values_are(kind: str, data: st.DataObject) -> None:
    known = st.sampled_from([spelling for spellings in PEOPLE[kind] for spelling in spellings])
    values = st.one_of(known, st.text(max_size=12), st.text(alphabet=string.digits + " +-()@.aA", max_size=14))
    one, other = data.draw(values), data.draw(values)
    normalize, make = normalizer(declared(kind)), maker([(3, SECRET)], declared(kind))
    assert (make(one) == make(other)) == (normalize(one) == normalize(other))
    assert len(make(one)) == len("v3.") + 32


@pytest.mark.parametrize("kind", [kind for kind in PEOPLE if kind != "phone"])
@given(value=st.text(max_size=20))
def test_a_normalized_value_is_its_own_spelling(kind: str, value: str) -> None:
    normalize = normalizer(declared(kind))
    assert normalize(normalize(value)) == normalize(value)


@given(value=st.text(max_size=20), before=st.sampled_from(["", " ", "\t\n", "\u00a0"]))
def test_form_case_and_spaces_make_no_difference_to_a_text(value: str, before: str) -> None:
    normalize = normalizer(declared("text"))
    for other in (
        before + value,
        value + before,
        unicodedata.normalize("NFD", value),
        unicodedata.normalize("NFC", value),
    ):
        assert normalize(other) == normalize(value)


REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)
CODES = sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)


def by_the_library(value: str, region: str | None) -> str | None:
    try:
        return phonenumbers.format_number(phonenumbers.parse(value, region), phonenumbers.PhoneNumberFormat.E164)
    except phonenumbers.NumberParseException:
        return None


@st.composite
def written_numbers(draw: st.DrawFn) -> str:
    digits = draw(st.text(alphabet=string.digits, min_size=1, max_size=15))
    code = str(draw(st.sampled_from(CODES)))
    whole = draw(st.sampled_from(["{d}", "0{d}", "+{c}{d}", "00{c}{d}", "+{c} (0){d}", "{c}{d}", "011{c}{d}"])).format(
        d=digits, c=code
    )
    at = draw(st.integers(1, max(len(whole), 1)))
    return whole[:at] + draw(st.sampled_from(["", " ", "-", ".", "/", ") ", " x", "ext 3", ";ext=1"])) + whole[at:]


@given(number=written_numbers(), region=st.sampled_from([*REGIONS, ""]))
def test_the_short_way_to_e164_gives_what_the_library_gives(number: str, region: str) -> None:
    assert e164(number, region) == by_the_library(number, region or None)


@pytest.mark.parametrize("region", REGIONS)
def test_every_countrys_own_ways_to_write_a_number_are_one(region: str) -> None:
    example = phonenumbers.example_number(region)
    assert example is not None
    formats = phonenumbers.PhoneNumberFormat
    ways = (formats.E164, formats.INTERNATIONAL, formats.NATIONAL, formats.RFC3966)
    assert {e164(phonenumbers.format_number(example, way), region) for way in ways} == {
        phonenumbers.format_number(example, formats.E164)
    }


def test_another_key_or_domain_gives_other_pseudonyms() -> None:
    assert not {maker([(1, SECRET)], declared("text"))("x")} & {maker([(1, bytes(32))], declared("text"))("x")}
