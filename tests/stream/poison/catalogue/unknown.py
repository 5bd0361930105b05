"""Fields that the schema lacks, where they quarantine their record: the reason names them, whatever they are called."""

# ruff: noqa: E501

from __future__ import annotations

import hashlib
import json

from catalogue.poison import GOOD, Poison, kept, refused, refused_beside, strict

PLAIN = ["zz", "ID", "verdict", "kafka_offset", "__value", "k" * 64]
"""Names that the reason shows."""
HASHED = [
    "", "id ", "a.b", "k" * 65, "\U0001f600" * 65, "é", "1a", "a\n",
    "<script>alert(1)</script>", "=cmd|' /C calc'!A0", "'; DROP TABLE events; --", "decode:malformed",
    "a\x00b", "\x1b[2J", "a\r\nb", "\u202eevil", "a\u200bb", "a\u2028b",
]  # fmt: skip
"""Names that could be personal, or rule a terminal, a page or a query: shown as ``#`` and 8 hex digits of their SHA-256."""


def shown(name: str) -> str:
    return name if name in PLAIN else "#" + hashlib.sha256(name.encode()).hexdigest()[:8]


def named(name: str) -> list[Poison]:
    return refused_beside(f"decode:unknown:{shown(name)}", f"{json.dumps(name)}:1")


RECORDS: list[Poison] = strict(
    kept(f"{{{GOOD}}}"),
    *(named(name) for name in (*PLAIN, *HASHED)),
    refused_beside(("decode:unknown:zz", "decode:unknown:#e3b0c442", "decode:unknown:ID"), '"zz":1,"":{"id":2},"ID":3'),
    refused_beside("decode:type:n", '"n":"x","zz":1'),
    refused_beside(("decode:type:x", "decode:unknown:zz"), '"x":1e999,"zz":1'),
    refused(("decode:missing:id", "decode:missing:at", "decode:unknown:zz"), '{"zz":1}'),
    refused(("decode:missing:id", "decode:missing:at"), "{}"),
    refused_beside("decode:unknown:zz", '"zz":null'),
    refused_beside(("decode:unknown:#2e7336dc", "decode:unknown:ab"), '"a.b":1,"a\\u0062":2'),
    # more than 20 are not named; those within a struct have a path
    refused_beside((*(f"decode:unknown:f{n:02}" for n in range(20)), "decode:unknown"), ",".join(f'"f{n:02}":1' for n in range(30))),
    refused_beside("decode:unknown:address.floor", '"address":{"zip":1,"floor":2}'),
    refused_beside("decode:unknown:items[].colour", '"items":[{"sku":"a"},{"colour":1},null,{"colour":null}]'),
)  # fmt: skip
