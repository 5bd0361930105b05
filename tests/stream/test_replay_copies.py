"""Replay where copies are declared: what is released is held against what was accepted, so that nothing is accepted twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from pipelines import make_topic, reading, write_pipeline
from quarantined import EVERYTHING, STREAM, Lake, released, write_rules

from headrace.audit.account import audit_stream
from headrace.connections import Broker
from headrace.ingest import replay
from headrace.ingest.replay import rehearse
from headrace.ingest.run import start_ingest
from headrace.spec import load

HOUR, START = 3_600_000, 1_780_000_000_000
TOPIC, WITHIN_HOURS = "replayed-copies", 2
RECORDS = [
    ("k1", 0.0, 500), ("k1", 0.1, 5),  # the copy of a quarantined record was accepted
    ("k2", 0.0, 501), ("k2", 1.0, 501),  # both in quarantine
    ("k3", 0.0, 6),
    ("k4", 0.0, 7), ("k4", 0.5, 503),  # the first was accepted
    ("k4", 0.6, None),  # breaks off: it still fails
    ("k5", 0.0, 504),
    ("k6", 0.0, 8), ("k6", 0.1, 8),  # a copy that the ingest found
    ("k6", 0.2, 505),
    ("k2", 2.5, 501),  # a copy of a copy, but too far from the first
    ("k3", 3.0, 502),  # too far from the first
]  # fmt: skip
"""Id, hours after START, reading; above 100 a wrong rule puts it aside. Offsets follow this order."""
EXPECTED = {
    0: ("duplicate", 1), 1: ("accepted", None), 2: ("accepted", None), 3: ("duplicate", 2), 4: ("accepted", None),
    5: ("accepted", None), 6: ("duplicate", 5), 7: ("quarantined", None), 8: ("accepted", None), 9: ("accepted", None),
    10: ("duplicate", 9), 11: ("duplicate", 9), 12: ("accepted", None), 13: ("accepted", None),
}  # fmt: skip
"""By hand: the verdict after a replay by the right rule, and the offset of the first."""


def ingest(spark, lake: Path, bootstrap: str) -> None:
    start_ingest(spark, load(lake), broker=Broker(bootstrap, {}), until_caught_up=True).wait()


def produce(bootstrap: str, records: list[tuple[str, float, int | None]]) -> None:
    producer = Producer({"bootstrap.servers": bootstrap})
    for key, hours, number in records:
        value = reading(number or 0, id=key)
        producer.produce(TOPIC, value=value if number else value[:-5], partition=0, timestamp=START + int(hours * HOUR))
    assert producer.flush(30) == 0


@pytest.fixture(scope="module")
def copied(spark, bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """The records, ingested by the wrong rule. Read only."""
    folder = tmp_path_factory.mktemp("copied") / "p"
    make_topic(bootstrap, TOPIC, partitions=1)
    produce(bootstrap, RECORDS)
    extra = f"duplicates: {{by: [id], within: {WITHIN_HOURS}h}}"
    write_pipeline(folder, bootstrap=bootstrap, topic=TOPIC, extra=extra)
    write_rules(folder, maximum=100)
    ingest(spark, folder, bootstrap)
    return Lake(folder)


@pytest.fixture
def lake(copied: Lake, tmp_path: Path) -> Lake:
    """A copy of it, with the rule mended."""
    copy = copied.copy(tmp_path / "p")
    write_rules(copy.folder, maximum=1000)
    return copy


def verdicts(lake: Lake) -> dict[int, tuple[str, int | None]]:
    found: dict[int, tuple[str, int | None]] = {}
    for offset, row in lake.rows().items():
        first = row["duplicate_of"]
        assert first is None or first.startswith(f"{TOPIC}/0/")
        found[offset] = (row["verdict"], None if first is None else int(first.rpartition("/")[2]))
    return found


def accepted_twice(lake: Lake) -> set[tuple[int, int]]:
    """Pairs of accepted rows of one key whose times lie within the horizon."""
    rows: list[dict[str, Any]] = [row for row in lake.rows().values() if row["verdict"] == "accepted"]
    return {
        (one["kafka_offset"], other["kafka_offset"])
        for one in rows
        for other in rows
        if one["kafka_offset"] < other["kafka_offset"]
        and one["id"] == other["id"]
        and abs((one["kafka_timestamp"] - other["kafka_timestamp"]).total_seconds()) <= 3600 * WITHIN_HOURS
    }


def test_what_is_released_without_a_look_at_copies_is_seen_to_be_accepted_twice(
    spark, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert accepted_twice(lake) == set()
    monkeypatch.setattr(replay, "with_copies", lambda session, rows, **_: rows)
    released(spark, lake)
    assert accepted_twice(lake) == {(0, 1), (2, 3), (3, 12), (5, 6), (9, 11)}


def test_a_released_row_whose_copy_was_accepted_becomes_a_duplicate_and_nothing_is_accepted_twice(
    spark, lake: Lake, bootstrap: str
) -> None:
    before = lake.rows()
    found = rehearse(spark, lake.pipeline, stream=STREAM, selection=EVERYTHING)
    assert (found.chosen, found.passing, found.copies) == (9, 4, 4)
    told = released(spark, lake)
    assert verdicts(lake) == EXPECTED
    assert accepted_twice(lake) == set()
    assert (told["released"], told["duplicates"], told["chosen"]) == (4, 4, 9)
    assert told["still_failing"] == {"decode:malformed": 1}
    assert (lake.commit()["released"], lake.commit()["duplicates"], sum(lake.commit()["days"].values())) == (4, 4, 4)
    account = audit_stream(lake.pipeline, STREAM, broker=Broker(bootstrap, {}))
    assert (account.findings, account.released, account.rows["duplicate"]) == ((), 4, 5)
    rows = lake.rows()
    for offset in (0, 3, 6, 11):
        assert (rows[offset]["payload"], rows[offset]["released_by"]) == (None, lake.pipeline.version)
        assert rows[offset]["id"] == RECORDS[offset][0]
    untouched = {1, 4, 5, 7, 9, 10}
    assert {offset: rows[offset] for offset in untouched} == {offset: before[offset] for offset in untouched}
    again = released(spark, lake)
    assert (again["repeated"], again["released"], again["duplicates"]) == (True, 4, 4)
    assert verdicts(lake) == EXPECTED


def test_copies_that_are_released_one_after_the_other_are_known_too(spark, lake: Lake) -> None:
    write_rules(lake.folder, maximum=501)  # only k1 and k2 may pass
    told = released(spark, lake, request="first")
    assert (told["released"], told["duplicates"]) == (2, 2)
    write_rules(lake.folder, maximum=1000)
    told = released(spark, lake, request="second")
    assert (told["released"], told["duplicates"]) == (2, 2)
    assert verdicts(lake) == EXPECTED


def test_rows_that_are_all_copies_are_moved_though_none_is_released(spark, lake: Lake) -> None:
    text = (lake.folder / "suite.json").read_text()
    (lake.folder / "suite.json").write_text(text.replace("1000", "505").replace('"min_value": 0', '"min_value": 505'))
    told = released(spark, lake)
    assert (told["released"], told["duplicates"]) == (0, 1)
    assert verdicts(lake)[11] == ("duplicate", 9)
    assert lake.commit()["duplicates"] == 1
