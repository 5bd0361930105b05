"""Holds a table against what was sent, record by record, by the oracle's reading of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from catalogue.poison import Poison
from comparing import alike, as_protected
from judging import Judgement, Verdict, judge

from headrace.privacy.keys import KeyRing
from headrace.privacy.original import Original

Row = dict[str, Any]
Opener = Callable[[Row], Original]


def faults(
    sent: Mapping[int, Poison], rows: Mapping[int, list[Row]], *, schema: dict[str, Any], ring: KeyRing, opened: Opener
) -> list[str]:
    """What is wrong with the rows of a stream, one line each. ``sent`` and ``rows``: by offset; ``opened``: a row's payload."""
    found = [f"{offset}: invented" for offset in rows.keys() - sent.keys()]
    for offset, record in sorted(sent.items()):
        copies = rows.get(offset, [])
        if len(copies) != 1:
            found.append(f"{offset}: {'lost' if not copies else 'repeated'}: {record.value!r}")
            continue
        judgement = judge(record.value, schema, strict=record.stream == "strict")
        wrong = _wrong(copies[0], record, judgement, ring, opened)
        if wrong:
            found.append(f"{offset}: {wrong}: {record.value!r} ({judgement.verdict.value} {judgement.why})")
    return found


def _wrong(row: Row, record: Poison, judgement: Judgement, ring: KeyRing, opened: Opener) -> str | None:
    verdict, reasons = row["verdict"], row["failed_rules"]
    if verdict not in ("accepted", "quarantined") or (verdict == "accepted") != (not reasons):
        return f"verdict {verdict} with reasons {reasons}"
    if judgement.verdict is not Verdict.OPEN and verdict != judgement.verdict.value:
        return f"wrongly {verdict} {reasons}"
    if verdict == "quarantined":
        if not all(reason.startswith("decode:") for reason in reasons):
            return f"unknown reasons {reasons}"
        return None if opened(row) == Original(record.key, record.value, record.headers) else "another payload"
    if row["payload"] is not None:
        return "an accepted row with a payload"
    for name, value in judgement.columns.items():
        if name == "secret":
            if name in row:
                return "a column that should have been dropped"
        elif not alike(row[name], as_protected(name, value, ring)):
            return f"{name} is {row[name]!r}, expected {value!r}"
    return None
