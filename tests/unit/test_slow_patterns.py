"""Which regexes are refused by their form. What is let through can still take the square or cube of a text's length."""

from __future__ import annotations

import pytest

from headrace.quality.slow_patterns import slowness

SLOW = [
    "a*a*a*a*b",
    r"^(a+)+\1$",
    r"(\w+)-\1",
    "(x+x+)+y",
    "(.*)(.*)(.*)(.*)(.*)[xyz]",
    ".*a.*b.*c.*d",
    r"\s*\s*\s*\s*$",
    r"[a-z]*[a-f]*[a-d]*[a-b]*x",
    "((a+)+)+b",
    r"(?:\d+\d+){2}x",
    r"(.*a){12}",
    r"(?<word>\w+)\k<word>",
    "(" * 2000 + "a" + ")" * 2000,
]
FAST = [
    "",
    "a",
    "^[A-Z]{2}[0-9]+$",
    r"^[^@\s]+@[^@\s]+\.[^@\s]+$",
    r"^\d{4}-\d{2}-\d{2}T\d+:\d+:\d+(\.\d+)?Z?$",
    r"\w+\s+\w+\s+\w+\s+\w+\s+\w+",
    r"^([a-z]+,)*[a-z]+$",
    r"(\w+\.)+\w+",
    "(a+)+b",
    "(a|b)*c",
    "foo|bar|" + "|".join(f"word{number}" for number in range(300)),
    ".*foo.*bar",
    r"^[^,]*,[^,]*,[^,]*,[^,]*,[^,]*$",
    ".*+a",
    "a*+a*+a*+a*+b",
    r"\Qa*b*c*d*\E",
    r"[*+*+]{3}",
    r"(?i)^https?://[\w.-]+(:\d+)?(/.*)?$",
    r"^\+?[0-9 ()-]{7,20}$",
    r"\\1",
]


@pytest.mark.parametrize("regex", SLOW, ids=lambda regex: regex[:30])
def test_refused(regex: str) -> None:
    assert slowness(regex)


@pytest.mark.parametrize("regex", FAST, ids=lambda regex: regex[:30])
def test_let_through(regex: str) -> None:
    assert slowness(regex) is None
