"""Finding what is personal in a free text: where it stands, by its form and, wherever it has one, its check digit.

No expression looks back or ahead without a bound, so a hostile text is read in time in proportion to its length.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib import import_module

Span = tuple[int, int]
"""Start and end in the text."""

_GAP = r"[ .\-/\u00a0\u2009-\u2011\u202f]"
_ADDRESS_START = re.compile(r"[^\s@<>()\[\],;:\"]+\Z")
_ADDRESS_END = re.compile(r"@[^\W_][\w-]*(?:\.[\w-]+)+")
_LOCAL_PART = 64
_IBAN = re.compile(rf"(?<![^\W_])[A-Z]{{2}}\d\d(?:{_GAP}?[A-Z0-9]){{11,30}}", re.IGNORECASE)
_DIGITS = re.compile(rf"(?<!\d)\d(?:{_GAP}?\d){{12,}}")
_GROUP = re.compile(r"\d+")
_MOST_GROUPS = 24
"""In a run of digits: more than any number is written in, so that the whole run is taken out."""
_CARD = range(13, 20)
_IP4 = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?!\.?\d)")
_IP6 = re.compile(r"(?<![\w:.])[0-9a-f:.]{3,45}(?![\w:])", re.IGNORECASE)
_WITH_PLUS = re.compile(r"\+[\s(]{0,2}\d(?:[\s().\-/]{0,2}\d){7,14}(?!\d)")
_PHONE_LIKE = re.compile(r"\d(?:[\s().\-/]{0,3}\d){5}")
_NATIONAL = {
    "be.nn": r"\d\d\.\d\d\.\d\d-\d{3}\.\d\d",
    "br.cpf": r"\d{3}\.\d{3}\.\d{3}-\d\d",
    "ch.ssn": r"756\.?\d{4}\.?\d{4}\.?\d\d",
    "cn.ric": r"\d{17}[\dX]",
    "dk.cpr": r"\d{6}-\d{4}",
    "es.dni": r"\d{8}-?[A-Z]",
    "es.nie": r"[XYZ]-?\d{7}-?[A-Z]",
    "fi.hetu": r"\d{6}[-+A-FU-Y]\d{3}[0-9A-Y]",
    "fr.nir": r"[12] ?\d\d ?\d\d ?\d[\dAB] ?\d{3} ?\d{3} ?\d\d",
    "in_.aadhaar": r"\d{4} \d{4} \d{4}",
    "it.codicefiscale": r"[A-Z]{6}\d\d[A-Z]\d\d[A-Z]\d{3}[A-Z]",
    "kr.rrn": r"\d{6}-\d{7}",
    "no.fodselsnummer": r"\d{6} ?\d{5}",
    "pl.pesel": r"\d{11}",
    "se.personnummer": r"(?:\d\d)?\d{6}[-+]\d{4}",
    "us.itin": r"9\d\d-\d\d-\d{4}",
    "us.ssn": r"\d{3}-\d\d-\d{4}",
}
"""Module of python-stdnum that checks a number, and the form in which it is looked for."""
_WITHOUT_CHECK = {"gb.nino": r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d\d ?\d\d ?\d\d ?[A-D]"}
NATIONAL_IDS = tuple(sorted({**_NATIONAL, **_WITHOUT_CHECK}))


def _alone(form: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w.-])(?:{form})(?![\w-])", re.IGNORECASE)


_FORMS = {name: _alone(form) for name, form in {**_NATIONAL, **_WITHOUT_CHECK}.items()}
_ANY_FORM = _alone("|".join([*_NATIONAL.values(), *_WITHOUT_CHECK.values()]))


def emails(text: str) -> Iterator[Span]:
    """Addresses: what stands around an ``@``."""
    start = 0
    while (at := text.find("@", start)) >= 0:
        before = _ADDRESS_START.search(text[max(start, at - _LOCAL_PART) : at])
        after = _ADDRESS_END.match(text, at)
        start = at + 1
        if before and after:
            start = after.end()
            yield at - len(before[0]), start


def ibans(text: str) -> Iterator[Span]:
    """Account numbers of the length that their country has, with a right checksum (ISO 13616)."""
    from stdnum import iban

    start = 0
    while found := _IBAN.search(text, start):
        start = found.start() + 2
        end = _end_of(found, _iban_length(found[0][:2].upper()))
        if end and iban.is_valid(re.sub(_GAP, "", text[found.start() : end]), check_country=False):
            start = end
            yield found.start(), end


def cards(text: str) -> Iterator[Span]:
    """13 to 19 digits, in groups or not, that begin as a card's do and pass Luhn's check (ISO/IEC 7812)."""
    for run in _DIGITS.finditer(text):
        groups = [(m.start() + run.start(), m.end() + run.start()) for m in _GROUP.finditer(run[0])]
        if len(groups) > _MOST_GROUPS:
            yield run.span()
            continue
        first = 0
        while first < len(groups):
            last = _card_at(text, groups, first)
            if last is not None:
                yield groups[first][0], groups[last][1]
            first = first + 1 if last is None else last + 1


def addresses(text: str) -> Iterator[Span]:
    """IPv4 and IPv6 addresses."""
    for found in _IP4.finditer(text):
        if _is_ip(found[0]):
            yield found.span()
    for found in _IP6.finditer(text):
        token = found[0].rstrip(".")
        if token.count(":") > 1 and token.strip(":") and _is_ip(token):
            yield found.start(), found.start() + len(token)


def national_ids(text: str) -> Iterator[Span]:
    """Identity numbers of the countries in ``NATIONAL_IDS``."""
    if not _ANY_FORM.search(text):
        return
    for name, form in _FORMS.items():
        for found in form.finditer(text):
            if name in _WITHOUT_CHECK or _checker(name)(found[0]):
                yield found.span()


def phones(text: str, region: str | None) -> Iterator[Span]:
    """Numbers with a ``+`` and at least 8 digits; with a region (ISO 3166), also numbers that are valid there."""
    for found in _WITH_PLUS.finditer(text):
        yield found.span()
    if region and _PHONE_LIKE.search(text):
        from phonenumbers import PhoneNumberMatcher

        for match in PhoneNumberMatcher(text, region):
            yield match.start, match.end


def luhn(digits: str) -> bool:
    """Whether the last digit is Luhn's check digit of those before it."""
    odd, even = digits[-1::-2], digits[-2::-2]
    return (sum(map(int, odd)) + sum(int("0246813579"[int(digit)]) for digit in even)) % 10 == 0


def _card_at(text: str, groups: list[Span], first: int) -> int | None:
    """The last group of the longest card number that begins with a group, or None."""
    digits, found = "", None
    for last in range(first, len(groups)):
        digits += text[slice(*groups[last])]
        if len(digits) >= _CARD.stop:
            break
        if len(digits) in _CARD and digits[0] in "23456" and luhn(digits):
            found = last
    return found


def _end_of(found: re.Match[str], characters: int) -> int:
    """Where so many characters of a match, gaps not counted, end; 0 where it has fewer, or goes on within a word."""
    counted = 0
    for at, character in enumerate(found[0]):
        counted += character.isalnum()
        if characters and counted == characters:
            end = found.start() + at + 1
            return 0 if end < len(found.string) and found.string[end].isalnum() else end
    return 0


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=1024)
def _iban_length(country: str) -> int:
    """Characters of a country's account numbers, 0 for no such country, by the registry that python-stdnum carries."""
    from stdnum import numdb

    (_, properties), *_ = numdb.get("iban").info(country)
    return 4 + sum(map(int, re.findall(r"\d+", properties["bban"]))) if "bban" in properties else 0


@lru_cache
def _checker(name: str) -> Callable[[str], bool]:
    return import_module(f"stdnum.{name}").is_valid
