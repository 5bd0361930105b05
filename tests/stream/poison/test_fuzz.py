"""10,000 fuzzed records through Kafka and the ingest: each is there once, and what is accepted is what the oracle reads.

Each run takes a new seed; a failure prints it. To run the same records again, or more of them:

    HEADRACE_FUZZ_SEED=1234 HEADRACE_FUZZ_RECORDS=100000 python -m pytest tests/stream/poison/test_fuzz.py
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
from accounting import Row, faults
from catalogue.poison import Poison
from fuzz import COUNT, SEED
from ingested import SCHEMAS, Ingested, struct
from judging import Verdict, judge

from headrace.privacy.keys import KeyRing
from headrace.privacy.original import Original
from headrace.privacy.seal import open_sealed

AGAIN = f"run again with HEADRACE_FUZZ_SEED={SEED}"
Rows = Mapping[int, list[Row]]


@dataclass(frozen=True)
class Fuzzed:
    """The fuzzed records of one stream and the rows that became of them, by offset."""

    stream: str
    sent: Mapping[int, Poison]
    rows: Rows
    ring: KeyRing

    @property
    def schema(self) -> dict[str, Any]:
        return struct(SCHEMAS[self.stream])

    @property
    def strict(self) -> bool:
        return self.stream == "strict"

    def first(self, count: int) -> Fuzzed:
        sent = dict(list(self.sent.items())[:count])
        return replace(self, sent=sent, rows={offset: self.rows[offset] for offset in sent})

    def faults(self) -> list[str]:
        return faults(self.sent, self.rows, schema=self.schema, ring=self.ring, opened=self.opened)

    def opened(self, row: Row) -> Original:
        place = {"topic": f"poison-{self.stream}", "partition": 0, "offset": row["kafka_offset"]}
        return open_sealed(row["payload"], **place, ring=self.ring)


@pytest.fixture(scope="module")
def both(poisoned: Ingested) -> dict[str, Fuzzed]:
    found: dict[str, Fuzzed] = {}
    for stream in SCHEMAS:
        rows = {at: copies for at, copies in poisoned.rows[stream].items() if at not in poisoned.catalogue[stream]}
        found[stream] = Fuzzed(stream, poisoned.fuzzed[stream], rows, poisoned.ring)
    return found


@pytest.fixture(params=list(SCHEMAS))
def fuzzed_stream(both: dict[str, Fuzzed], request: pytest.FixtureRequest) -> Fuzzed:
    return both[request.param]


def test_every_fuzzed_record_is_accounted_for_and_right(fuzzed_stream: Fuzzed) -> None:
    found = fuzzed_stream.faults()
    assert not found, f"{len(found)} faults, {AGAIN}\n" + "\n".join(line[:1_000] for line in found[:20])


def test_the_fuzzed_records_are_of_many_kinds(both: dict[str, Fuzzed]) -> None:
    rows = [row for stream in both.values() for copies in stream.rows.values() for row in copies]
    accepted = sum(row["verdict"] == "accepted" for row in rows)
    assert COUNT * 0.2 < accepted < COUNT * 0.8, AGAIN
    kinds = {reason.split(":")[1] for row in rows for reason in row["failed_rules"]}
    if COUNT >= 5_000:
        assert kinds >= {"malformed", "encoding", "type", "missing", "unknown", "repeated_field", "trailing_data"}, (
            AGAIN
        )


def lost(rows: dict[int, list[Row]], accepted: list[int], quarantined: list[int]) -> None:
    del rows[accepted[3]]


def lost_from_quarantine(rows: dict[int, list[Row]], accepted: list[int], quarantined: list[int]) -> None:
    del rows[quarantined[3]]


def repeated(rows: dict[int, list[Row]], accepted: list[int], quarantined: list[int]) -> None:
    rows[accepted[3]] = rows[accepted[3]] * 2


def invented(rows: dict[int, list[Row]], accepted: list[int], quarantined: list[int]) -> None:
    rows[10**9] = rows[accepted[3]]


def wrongly_accepted(rows: dict[int, list[Row]], accepted: list[int], quarantined: list[int]) -> None:
    rows[quarantined[3]] = [{**rows[quarantined[3]][0], "verdict": "accepted", "failed_rules": [], "payload": None}]


def wrongly_quarantined(rows: dict[int, list[Row]], accepted: list[int], quarantined: list[int]) -> None:
    row = rows[accepted[3]][0]
    rows[accepted[3]] = [{**row, "verdict": "quarantined", "failed_rules": ["decode:malformed"]}]


def swapped_value(rows: dict[int, list[Row]], accepted: list[int], quarantined: list[int]) -> None:
    one = rows[accepted[0]][0]
    other = next(rows[offset][0] for offset in accepted if rows[offset][0]["at"] != one["at"])
    rows[accepted[0]] = [{**one, "at": other["at"]}]


def swapped_name(rows: dict[int, list[Row]], accepted: list[int], quarantined: list[int]) -> None:
    row = next(rows[offset][0] for offset in accepted if rows[offset][0]["owner"])
    rows[row["kafka_offset"]] = [{**row, "owner": "v1." + "0" * 32}]


def swapped_payload(rows: dict[int, list[Row]], accepted: list[int], quarantined: list[int]) -> None:
    one, other = (rows[offset][0] for offset in quarantined[:2])
    rows[quarantined[0]] = [{**other, "failed_rules": one["failed_rules"]}]


PLANTED: list[Callable[[dict[int, list[Row]], list[int], list[int]], None]] = [
    lost, lost_from_quarantine, repeated, invented, wrongly_accepted, wrongly_quarantined,
    swapped_value, swapped_name, swapped_payload,
]  # fmt: skip


@pytest.mark.parametrize("plant", PLANTED)
def test_a_planted_fault_is_caught(fuzzed_stream: Fuzzed, plant: Callable[..., None]) -> None:
    some = fuzzed_stream.first(400)
    verdicts = {
        offset: judge(record.value, some.schema, strict=some.strict).verdict for offset, record in some.sent.items()
    }
    assert some.faults() == [], AGAIN
    rows = dict(some.rows)
    plant(
        rows,
        [offset for offset, verdict in verdicts.items() if verdict is Verdict.ACCEPTED],
        [offset for offset, verdict in verdicts.items() if verdict is Verdict.REFUSED],
    )
    assert len(replace(some, rows=rows).faults()) == 1
