"""The poison catalogue: hostile records and what must become of each, one file per kind."""

from __future__ import annotations

from catalogue import duplicates, encodings, envelopes, grammar, numbers, parts, personal, sizes, texts, times, unknown
from catalogue.poison import Poison

KINDS: dict[str, list[Poison]] = {
    "grammar": grammar.RECORDS,
    "encodings": encodings.RECORDS,
    "numbers": numbers.RECORDS,
    "times": times.RECORDS,
    "texts": texts.RECORDS,
    "sizes": sizes.RECORDS,
    "duplicates": duplicates.RECORDS,
    "parts": parts.RECORDS,
    "unknown": unknown.RECORDS,
    "envelopes": envelopes.RECORDS,
    "personal": personal.RECORDS,
}

__all__ = ["KINDS", "Poison"]
