"""Redaction: a free text in which what looks personal is replaced by what it is."""

from __future__ import annotations

import re
from collections.abc import Iterable

from headrace.privacy import patterns
from headrace.spec.protect import Pattern

_SUSPICIOUS = re.compile(r"@|:[0-9A-Fa-f]{0,4}:|\d[^0-9]{0,3}\d[^0-9]{0,3}\d[^0-9]{0,3}\d")
"""A text without any of these holds nothing of what is looked for: the quick way for most texts."""
_LABELS = {
    "email": "[email]",
    "phone": "[phone]",
    "card": "[card]",
    "iban": "[iban]",
    "ip": "[ip]",
    "national_id": "[id]",
}
MEANINGS: dict[Pattern, str] = {
    "email": "e-mail addresses", "iban": "bank accounts", "card": "payment cards", "ip": "network addresses",
    "national_id": "identity numbers", "phone": "phone numbers",
}  # fmt: skip
"""What a finding is called in a sentence."""
_ORDER: tuple[Pattern, ...] = ("email", "iban", "card", "ip", "national_id", "phone")
"""Of two that overlap, the one that comes first here gives the label."""
_BY_DIGITS: frozenset[Pattern] = frozenset({"card", "national_id"})
"""What is known by its digits alone, so that a phone number may pass for it."""


def redacted(text: str, *, look_for: Iterable[Pattern], region: str | None) -> str:
    """The text with ``[email]``, ``[phone]``, ``[card]``, ``[iban]``, ``[ip]`` or ``[id]`` in place of what was found.

    ``region``: country (ISO 3166) whose phone numbers are found without a country code.
    """
    if not _SUSPICIOUS.search(text):
        return text
    return _replaced(text, _found(text, set(look_for), region))


def meaning_of_text(text: str) -> Pattern | None:
    """The first kind of personal value, in the order of ``_ORDER``, that is found in a text, or None."""
    if not _SUSPICIOUS.search(text):
        return None
    found = _found(text, set(_ORDER), None)
    return _ORDER[min(rank for _, _, rank in found)] if found else None


def _found(text: str, wanted: set[Pattern], region: str | None) -> list[tuple[int, int, int]]:
    """Start, end and rank of what is found, by start.

    Digits that are part of a phone number are that and nothing else, even if they pass as a card or an identity number: one
    in ten runs of digits passes Luhn's check. They are part of it where it begins before them: with ``+``, ``(``, a country
    code or a trunk prefix. Where both begin at the same digit, the check digit speaks for the card.
    """
    spans = [
        (start, end, rank)
        for rank, pattern in enumerate(_ORDER)
        if pattern in wanted
        for start, end in _spans(pattern, text, region)
    ]
    kept: list[tuple[int, int, int]] = []
    phone_end, waiting = 0, [0, 0]
    for start, end, rank in sorted(spans, key=lambda span: (span[0], span[2])):
        if waiting[0] < start:  # a phone that begins here contains nothing that begins here
            phone_end = max(phone_end, waiting[1])
        if _ORDER[rank] == "phone":
            waiting = [start, max(end, waiting[1])]
        if _ORDER[rank] not in _BY_DIGITS or end > phone_end:
            kept.append((start, end, rank))
    return kept


def _spans(pattern: Pattern, text: str, region: str | None) -> Iterable[patterns.Span]:
    match pattern:
        case "email":
            return patterns.emails(text)
        case "iban":
            return patterns.ibans(text)
        case "card":
            return patterns.cards(text)
        case "ip":
            return patterns.addresses(text)
        case "national_id":
            return patterns.national_ids(text)
        case "phone":
            return patterns.phones(text, region)


def _replaced(text: str, found: list[tuple[int, int, int]]) -> str:
    """``found``: start, end and rank of what was found, by start. What overlaps is one replacement."""
    parts: list[str] = []
    done, waiting = 0, list[tuple[int, int, int]]()
    for start, end, rank in [*found, (len(text) + 1, 0, 0)]:
        if waiting and start < waiting[0][1]:
            first = waiting[0]
            waiting[0] = (first[0], max(first[1], end), min(first[2], rank))
            continue
        if waiting:
            parts += [text[done : waiting[0][0]], _LABELS[_ORDER[waiting[0][2]]]]
            done = waiting[0][1]
        waiting = [(start, end, rank)]
    return "".join([*parts, text[done:]])
