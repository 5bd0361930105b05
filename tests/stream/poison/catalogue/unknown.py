"""Fields that the schema lacks, where they quarantine their record: the reason names them, whatever they are called."""

# ruff: noqa: E501

from __future__ import annotations

import json

from catalogue.poison import GOOD, Poison, kept, refused, refused_beside, strict

SHOWN = {
    "zz": "zz", "": "", "ID": "ID", "id ": "id ", "a.b": "a.b", "k" * 100: "k" * 64, "\U0001f600" * 65: "\U0001f600" * 64,
    "<script>alert(1)</script>": "<script>alert(1)</script>", "=cmd|' /C calc'!A0": "=cmd|' /C calc'!A0", "'; DROP TABLE events; --": "'; DROP TABLE events; --",
    "verdict": "verdict", "decode:malformed": "decode:malformed", "kafka_offset": "kafka_offset", "__value": "__value",
}  # fmt: skip
"""Field name to what the reason shows of it: its first 64 characters."""
DEFUSED = {
    "a\x00b": "a\ufffdb", "\x1b[2J": "\ufffd[2J", "a\nb": "a\ufffdb", "a\r\nb": "a\ufffd\ufffdb", "\u202eevil": "\ufffdevil", "a\u200bb": "a\ufffdb", "a\u2028b": "a\ufffdb",
}  # fmt: skip
"""Control and formatting characters, which could rule a terminal or hide a name, show as U+FFFD."""


def named(name: str) -> list[Poison]:
    return refused_beside("decode:unknown:" + {**SHOWN, **DEFUSED}[name], f"{json.dumps(name)}:1")


RECORDS: list[Poison] = strict(
    kept(f"{{{GOOD}}}"),
    *(named(name) for name in (*SHOWN, *DEFUSED)),
    refused_beside(("decode:unknown:zz", "decode:unknown:", "decode:unknown:ID"), '"zz":1,"":{"id":2},"ID":3'),
    refused_beside("decode:type:n", '"n":"x","zz":1'),
    refused_beside(("decode:type:x", "decode:unknown:zz"), '"x":1e999,"zz":1'),
    refused(("decode:missing:id", "decode:missing:at", "decode:unknown:zz"), '{"zz":1}'),
    refused(("decode:missing:id", "decode:missing:at"), "{}"),
)  # fmt: skip
