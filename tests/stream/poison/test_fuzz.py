"""10,000 fuzzed records through Kafka and the ingest: each is there once, and what is accepted is what the oracle reads.

Each run takes a new seed; a failure prints it. To run the same records again, or more of them:

    HEADRACE_FUZZ_SEED=1234 HEADRACE_FUZZ_RECORDS=100000 python -m pytest tests/stream/poison/test_fuzz.py
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from accounting import Row, faults
from catalogue.poison import CANARY, Poison
from fuzz import fuzzed
from ingested import SCHEMAS, places_of, rows_by_offset, send, struct, write_pipeline
from judging import Verdict, judge

from headrace.connections import Broker
from headrace.ingest.run import start_ingest
from headrace.privacy.keys import KeyRing, open_ring
from headrace.privacy.original import Original
from headrace.privacy.seal import open_sealed

SEED = int(os.environ.get("HEADRACE_FUZZ_SEED") or random.randrange(10**9))
COUNT = int(os.environ.get("HEADRACE_FUZZ_RECORDS") or 10_000)
AGAIN = f"run again with HEADRACE_FUZZ_SEED={SEED}"
Rows = Mapping[int, list[Row]]


@dataclass(frozen=True)
class Fuzzed:
    """The fuzzed records of one stream and the rows that became of them, by offset."""

    stream: str
    sent: Mapping[int, Poison]
    rows: Rows
    ring: KeyRing
    lake: Path

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
        place = {"topic": f"fuzz-{self.stream}", "partition": 0, "offset": row["kafka_offset"]}
        return open_sealed(row["payload"], **place, ring=self.ring)


@pytest.fixture(scope="module")
def both(spark, bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Fuzzed]:
    folder = tmp_path_factory.mktemp("fuzz")
    pipeline = write_pipeline(folder, bootstrap=bootstrap, topics="fuzz")
    records = list(fuzzed(SEED, COUNT))
    sent: dict[str, dict[int, Poison]] = {}
    for stream in SCHEMAS:
        mine = [record for record in records if record.stream == stream]
        sent[stream] = dict(zip(send(bootstrap, f"fuzz-{stream}", mine, in_a_transaction=1_000), mine, strict=True))
    start_ingest(spark, pipeline, broker=Broker(bootstrap, {}), until_caught_up=True).wait()
    ring, events = open_ring(folder / "keys.json"), folder / "lake" / "events"
    return {
        stream: Fuzzed(stream, sent[stream], rows_by_offset(events / stream), ring, folder / "lake")
        for stream in SCHEMAS
    }


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


def test_no_name_of_a_fuzzed_record_is_in_clear(both: dict[str, Fuzzed]) -> None:
    assert places_of(CANARY, both["plain"].lake) == [], AGAIN


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
