"""What is taken out of a free text, what stays, and that no form of writing hides a number with a right check digit."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.privacy.patterns import NATIONAL_IDS
from headrace.privacy.redact import meaning_of_text, redacted
from headrace.spec.protect import PATTERNS

# Numbers that their registries and card schemes publish for tests.
CARDS = [
    "4111111111111111",
    "5555555555554444",
    "378282246310005",
    "30569309025904",
    "6011111111111117",
    "4222222222222",
]
IBANS = [
    "GB82WEST12345698765432", "DE89370400440532013000", "NL91ABNA0417164300", "FR1420041010050500013M02606",
    "MT84MALT011000012345MTLCAST001S", "NO9386011117947", "SA0380000000608010167519",
]  # fmt: skip
IDS = {
    "be.nn": "85.07.30-033.28", "br.cpf": "390.533.447-05", "ch.ssn": "756.9217.0769.85", "cn.ric": "360426199101010071",
    "dk.cpr": "211062-5629", "es.dni": "54362315K", "es.nie": "X-2482300W", "fi.hetu": "131052-308T",
    "fr.nir": "2 95 10 99 126 111 93", "gb.nino": "AB 12 34 56 C", "in_.aadhaar": "2341 2341 2346",
    "it.codicefiscale": "RCCMNL83S18D969H", "kr.rrn": "971013-9019902", "no.fodselsnummer": "151086 95088",
    "pl.pesel": "44051401359", "se.personnummer": "880320-0016", "us.itin": "912-90-3456", "us.ssn": "536-90-4399",
}  # fmt: skip


def clean(text: str, *patterns: str, region: str | None = None) -> str:
    return redacted(text, look_for=patterns or PATTERNS, region=region)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("write to Ada.Lovelace+x@mail.example.co.uk.", "write to [email]."),
        ("<bob@müller.example>, mailto:eve_1@a-b.example", "<[email]>, mailto:[email]"),
        ("call +31 20 624 1111 or +1 (415) 555-2671!", "call [phone] or [phone]!"),
        ("from 203.0.113.9 and 2001:db8::ff00:42:8329.", "from [ip] and [ip]."),
        ("ada@example.org,4111 1111 1111 1111", "[email],[card]"),
        ("paid by NL91 ABNA 0417 1643 00 today", "paid by [iban] today"),
        ("123 4111111111111111 and 5500-0000-0000-0004", "123 [card] and [card]"),
        ("4111\u00a01111\u20111111/1111", "[card]"),
    ],
)
def test_what_is_personal_is_replaced_and_the_rest_stays(text: str, expected: str) -> None:
    assert clean(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", "nothing", "at 12:30:45 on 2026-03-04", "order 12345678", "4111111111111112", "NL91ABNA0417164301", "v1.2.3",
        "999.1.1.1", "a@b", "@", "ada @ example.org", "ratio 10:20:30", "::", "1234567890123456789012", "000-12-3456",
        "54362315A", "AB12CD34", "€ 1.234.567,89", "std::string", "+49", "2026-03-04T05:06:07Z",
    ],
)  # fmt: skip
def test_what_is_not_personal_stays(text: str) -> None:
    assert clean(text) == text
    assert meaning_of_text(text) is None


def passes_luhn(digits: str) -> bool:
    """By hand (ISO/IEC 7812-1, annex B): every second digit from the right doubled, nines taken off above nine."""
    doubled = [int(d) * (1 + i % 2) for i, d in enumerate(reversed(digits))]
    return sum(n - 9 if n > 9 else n for n in doubled) % 10 == 0


LIKE_CARDS = ("4915753303614", "4915112345678", "6421234567891")
"""Digits of phone numbers in full (Germany, New Zealand) that begin as a card's do and pass Luhn's check."""


@pytest.mark.parametrize("digits", LIKE_CARDS)
def test_a_phone_number_that_passes_for_a_card_is_a_phone_number(digits: str) -> None:
    assert passes_luhn(digits)
    spaced = f"+{digits[:2]} {digits[2:6]} {digits[6:]}"
    for spelled in (f"+{digits}", spaced, f"+{digits[:2]} ({digits[2:6]}) {digits[6:]}", f"+ {digits}"):
        assert clean(f"Bitte unter {spelled} anrufen") == "Bitte unter [phone] anrufen"
        assert meaning_of_text(f"call {spelled}") == "phone"
    assert clean(f"card {digits}") == "card [card]", "without a plus the check digit speaks for a card"
    assert clean(f"+{digits}", "card") == "+[card]", "who looks for cards only finds it"
    assert clean(f"+{digits}, {digits}, +{digits}") == "[phone], [card], [phone]"


def test_a_national_number_that_holds_a_card_or_an_id_is_a_phone_number() -> None:
    assert passes_luhn("4915753303614")
    assert clean("unter 0049 1575 3303614 anrufen", region="FR") == "unter [phone] anrufen"
    assert clean("call +48 44051401359") == "call [phone]"  # its last digits are a Polish identity number
    assert clean("id 44051401359") == "id [id]"


@pytest.mark.parametrize("region", [None, "DE", "US", "FR", "AT"])
@pytest.mark.parametrize("card", CARDS)
def test_a_card_is_never_left_in_clear_whatever_stands_before_it(card: str, region: str | None) -> None:
    spaced = " ".join(card[at : at + 4] for at in range(0, len(card), 4))
    for spelled in (card, spaced, f"+{card}", f"+{spaced}", f"+49 {spaced}", f"({spaced})", f"0{card}", f"+1 {card}"):
        left = clean(f"paid {spelled} today", region=region)
        assert sum(character.isdigit() for character in left) < 4 or spelled == f"0{card}", left
    assert clean(f"paid {spaced} today", region=region) == "paid [card] today"


def test_a_number_without_country_code_needs_a_region() -> None:
    assert clean("call 020 624 1111") == "call 020 624 1111"
    assert clean("call 020 624 1111", region="NL") == "call [phone]"


def test_every_national_id_is_found() -> None:
    assert set(IDS) == set(NATIONAL_IDS)
    assert {name: clean(f"id {text}, ok", "national_id") for name, text in IDS.items()} == dict.fromkeys(
        IDS, "id [id], ok"
    )


def test_only_what_was_asked_for_is_taken_out() -> None:
    text = f"ada@example.org {IBANS[0]} {CARDS[0]} 203.0.113.9 {IDS['us.ssn']} +31206241111"
    for pattern, label in [("email", "email"), ("iban", "iban"), ("card", "card"), ("ip", "ip"), ("national_id", "id")]:
        left = clean(text, pattern)
        assert left.count("[") == 1
        assert f"[{label}]" in left
        assert meaning_of_text(left) != pattern


@given(st.sampled_from(CARDS), st.data())
def test_a_card_is_found_however_it_is_grouped(card: str, data: st.DataObject) -> None:
    gaps = data.draw(st.lists(st.sampled_from(["", " ", "-", "."]), min_size=len(card) - 1, max_size=len(card) - 1))
    spelled = "".join(digit + gap for digit, gap in zip(card, [*gaps, ""], strict=True))
    assert clean(f"card {spelled} here", "card") == "card [card] here"


@given(st.sampled_from(IBANS), st.data())
def test_an_account_number_is_found_however_it_is_grouped(iban: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(1, 6))
    spelled = " ".join(iban[start : start + at] for start in range(0, len(iban), at)) if at > 3 else iban
    case = data.draw(st.sampled_from([str.upper, str.lower]))
    assert clean(f"to {case(spelled)}, thanks", "iban") == "to [iban], thanks"


@given(st.sampled_from(CARDS), st.integers(0, 12), st.integers(1, 9))
def test_one_wrong_digit_is_no_card(card: str, at: int, step: int) -> None:
    """Luhn's check finds every single wrong digit."""
    wrong = card[:at] + str((int(card[at]) + step) % 10) + card[at + 1 :]
    assert clean(wrong, "card") == wrong


@given(st.text(alphabet=string.ascii_letters + string.digits + " @.:-+()[],/é", max_size=200))
def test_a_second_pass_finds_nothing(text: str) -> None:
    once = clean(text)
    assert clean(once) == once


def test_a_run_of_digits_that_no_number_has_is_taken_out_whole() -> None:
    run = " ".join("4" * 60)
    assert clean(f"a {run} b", "card") == "a [card] b"
