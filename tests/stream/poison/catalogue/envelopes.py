"""What surrounds a value: keys, headers, tombstones, and the time that the producer's clock told."""

# ruff: noqa: E501

from __future__ import annotations

from dataclasses import replace

from catalogue.poison import CANARY, GOOD, Headers, Poison, flat, kept, refused

WHOLE = f"{{{GOOD}}}"
FINE = kept(WHOLE)
(BAD,) = refused("decode:malformed", f"{{{GOOD}")
(TOMBSTONE,) = refused("decode:tombstone", None)
(EMPTY,) = refused("decode:empty", b"")

KEYS: list[bytes | None] = [
    None, b"", b"\x00", b"\xff\xfe\xc0\x80", b"k" * 500_000, "\u202e\U0001f600".encode(), b'{"id":1}', b"'; DROP TABLE events; --", CANARY.encode(), b"\x00\x00\x00\x00\x01k", b" ",
]  # fmt: skip
HEADERS: list[Headers] = [
    (("a", None),), (("a", b""),), (("", b"nameless"),), (("a", b"1"), ("a", b"2"), ("b", b"3"), ("a", b"1")), (("bytes", b"\xff\x00\xc0"),),
    (("\u202eevil\U0001f600", b"x"),), (("</td><script>", b"<script>"),), (("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),),
    (("large", b"x" * 500_000),), tuple((f"h{n}", b"v") for n in range(5_000)), ((CANARY, CANARY.encode()),), (("__value_schema_id", b"\x01" * 17),),
    (("n" * 20_000, b"x"),), (("line\nfeed", b"a\r\nb"),),
]  # fmt: skip
TIMESTAMPS = [
    1,
    -5,
    -11_676_096_000_000,
    -11_676_096_000_001,
    -62_135_596_800_001,
    -(10**15),
    253_402_300_800_000,
    10**15,
]
"""Milliseconds: the beginnings of 1970 and of 1600, before them, before the year 1, and after the year 9999."""

RECORDS: list[Poison] = flat(
    [replace(record, key=key) for record in (FINE, BAD, TOMBSTONE) for key in KEYS],
    [replace(record, headers=headers) for record in (FINE, BAD, TOMBSTONE) for headers in HEADERS],
    [replace(record, timestamp=stamp) for record in (FINE, BAD) for stamp in TIMESTAMPS],
    replace(EMPTY, key=None),
    replace(EMPTY, key=b"", headers=(("", b""),)),
    replace(TOMBSTONE, key=None, headers=(("", None),)),
)  # fmt: skip
