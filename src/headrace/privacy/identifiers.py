"""One spelling for each identifier, so that equal ones get equal pseudonyms.

What can't be read as its kind (an e-mail column that says ``unknown``) is compared as a text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache, partial

from headrace.privacy.phone import e164
from headrace.spec.protect import Pseudonym

_INVISIBLE = "Cf"
"""Unicode's category of characters without a form: joiners, direction marks, a byte order mark."""
_GAPS = re.compile(r"[\s.\-/\u2010-\u2015]+")
_GMAIL = ("gmail.com", "googlemail.com")


def normalizer(declared: Pseudonym) -> Callable[[str], str]:
    """The function that gives an identifier its one spelling, as a pipeline file declares it."""
    match declared.kind:
        case "exact":
            return str
        case "text":
            return as_text
        case "email":
            return partial(as_email, gmail_rules=declared.gmail_rules)
        case "phone":
            return partial(as_phone, region=declared.region or "")
        case "card":
            return as_card
        case "digits":
            return as_digits


def as_text(value: str) -> str:
    """Unicode NFKC and case folding (UAX 15, 21), no invisible characters, single spaces, none at the ends."""
    folded = _visible(value).casefold()
    if not folded.isascii():
        folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", folded).casefold())
    return " ".join(folded.split())


def as_email(value: str, *, gmail_rules: bool) -> str:
    """Lower case, no spaces, the domain in Unicode; ``gmail_rules``: no dots nor ``+suffix`` in Gmail's own addresses."""
    local, at, domain = "".join(_visible(value).split()).lower().rpartition("@")
    if not at or not local or not domain:
        return as_text(value)
    domain = _domain(domain)
    if gmail_rules and domain in _GMAIL:
        local, domain = local.partition("+")[0].replace(".", ""), _GMAIL[0]
    return f"{unicodedata.normalize('NFC', local)}@{domain}"


def as_phone(value: str, *, region: str) -> str:
    """E.164, such as ``+31206241111``; ``region`` (ISO 3166) says what a number without country code means."""
    return e164(value, region) or as_text(value)


def as_card(value: str) -> str:
    """The digits of a number that is written in groups."""
    digits = _GAPS.sub("", _visible(value))
    return _ascii(digits) if digits.isdecimal() else as_text(value)


def as_digits(value: str) -> str:
    """All digits, whatever stands between them."""
    return _ascii("".join(filter(str.isdecimal, _visible(value)))) or as_text(value)


def _visible(value: str) -> str:
    """In Unicode's NFKC, without invisible characters."""
    if value.isascii():
        return value
    return "".join(c for c in unicodedata.normalize("NFKC", value) if unicodedata.category(c) != _INVISIBLE)


def _ascii(digits: str) -> str:
    return digits if digits.isascii() else "".join(str(unicodedata.decimal(digit)) for digit in digits)


@lru_cache(maxsize=4096)
def _domain(domain: str) -> str:
    """Without a final dot; labels in Punycode (RFC 3492) as what they stand for."""
    labels: list[str] = []
    for label in domain.rstrip(".").split("."):
        try:
            labels.append(label[4:].encode("ascii").decode("punycode").lower() if label.startswith("xn--") else label)
        except UnicodeError:
            labels.append(label)
    return unicodedata.normalize("NFC", ".".join(labels))
