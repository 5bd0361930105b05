"""Texts that mean something to a terminal, a spreadsheet, a browser, a database or a shell. Each is a text like any other.

What stands in the table is what was sent, but for the white space at both ends.
"""

# ruff: noqa: E501

from __future__ import annotations

import json
from collections.abc import Iterable

from catalogue.poison import CANARY, Poison, flat, kept, refused

CONTROL = [
    "a\x00b", "\x01\x02\x03", "a\x08\x08b", "bell\x07", "\x1b[2J\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "\x9b31m", "a\x7fb", "a\x85b",
    "a\nb", "a\r\nb", "a\rb", "a\tb", "a\x0bb", "a\x0cb", "a\u2028b", "a\u2029b", "line\nERROR forged: all is well",
]  # fmt: skip
BIDI_AND_INVISIBLE = [
    "\u202eevil\u202c", "\u2066a\u2069", "admin\u200b", "\u200badmin", "pass\u2060word", "\ufeffbom", "a\u00adb", "\u061cx", "x\u200dy", "\u034f",
    "\U000e0041\U000e0042", "user\u202ecod.exe", "\u115f", "\u3164", "\ufe0f", "\U000f0000\U0010fffd",
]  # fmt: skip
LETTERS = [
    "e\u0301 is not \u00e9", "\u212b\u00c5A\u030a", "раураl", "İıſßẞ", "ﬀﬃ", "Z͑ͫ̓ͪ̂ͫ̽a̴̵̜̰̝lgo", "👨‍👩‍👧‍👦🏳️‍🌈", "日本語", "עברית العربية", "𝕿𝖊𝖝𝖙", "\U00020000\U0002a6d6",
    "\u0e33\u0e33", "ﷺ" * 50, "a" + "\u0301" * 200, "NaN", "null", "None", "true", "-0", "1e999", "Infinity", "00", "0x1F", "undefined", "[]", "{}", "[object Object]",
]  # fmt: skip
INJECTIONS = [
    # SQL
    "'; DROP TABLE events; --", "' OR '1'='1", '" OR ""="', "1; SELECT pg_sleep(10)", "Robert'); DROP TABLE Students;--", "\\'; --", "`id`", "${1}", "a' UNION SELECT 1--",
    # a spreadsheet's formulas
    "=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(1+1)", '=HYPERLINK("http://example.org","x")', '"a","b"\n"c"', "a;b;c", "%0A=1+1",
    # HTML and scripts
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "<!--", "]]>", "&lt;b&gt;&amp;", "javascript:alert(1)", "<svg/onload=alert(1)>", "</td></table>", "{{7*7}}",
    # a logger's, a template's, a shell's and a path's
    "${jndi:ldap://127.0.0.1/a}", "${HEADRACE_KEYS}", "${env:PATH}", "#{7*7}", "%s%s%s%n", "%(password)s", "{0.__class__}", "$(id)", "`id`;id|id&&id", "../../etc/passwd", "..\\..\\x",
    "file:///etc/passwd", "C:\\con\\nul", "a/b=c/d", "__HIVE_DEFAULT_PARTITION__", "%2e%2e%2f", "ingest_date=2013-01-01",
    # XML and other formats
    '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "!!python/object/apply:os.system ['id']", "---\n- a", "O:8:\"stdClass\":0:{}", "*:*", "(|(uid=*))", "\\u0041", "\\",
    # what JSON within JSON looks like
    '{"a":1}', '[{"b":[2]}]', "[x]", "{", '"', '{"id":"a"}', " [ ", "[\n",
]  # fmt: skip
TIDIED = {
    "  a  ": "a", "\t\n\r\x0b\x0ca\x1c\x1d\x1e\x1f": "a", "\u00a0\u2003a\u3000": "a", "\u2028a\u2029": "a", "\x85a": "a", " ' ": "'", "\n=1+1\n": "=1+1",
}  # fmt: skip
"""White space at both ends, as Unicode has it, is trimmed; an invisible character that is no white space stays."""


def document(text: str, *, ascii_only: bool) -> str:
    return json.dumps({"id": text, "at": "2013-01-01T00:00:00Z", "owner": CANARY}, ensure_ascii=ascii_only)


def sent(texts: Iterable[str], *, ascii_only: bool) -> list[Poison]:
    return [kept(document(text, ascii_only=ascii_only), id=text.strip()) for text in texts]


RECORDS: list[Poison] = flat(
    sent(CONTROL, ascii_only=True),
    sent(BIDI_AND_INVISIBLE, ascii_only=False),
    sent(LETTERS, ascii_only=False),
    sent(INJECTIONS, ascii_only=False),
    [kept(document(text, ascii_only=True), id=tidy) for text, tidy in TIDIED.items()],
    # nothing left after the trimming: a required text is missing
    refused("decode:missing:id", *(document(text, ascii_only=True) for text in ("", "  ", "\t\n\u00a0", "\u3000", "\x1f"))),
    refused("decode:missing:id", '{"id":null,"at":"2013-01-01T00:00:00Z"}'),
    # what is no text becomes one, or does not fit
    *(kept(document("@", ascii_only=True).replace('"@"', number), id=text) for number, text in
      {"12": "12", "true": "true", "-1.50": "-1.5", "0": "0", "-0": "0", "123456789012345678901234567890": "123456789012345678901234567890"}.items()),
    refused("decode:type:id", *(document("@", ascii_only=True).replace('"@"', value) for value in
            ('{"a":1}', "[1]", "{}", "[]", ' {"a":1} ', '{"a":1,"a":2}', '[{"b":[2]}]', '["a"]', "[[]]", "1e999", "-1e999"))),
)  # fmt: skip
