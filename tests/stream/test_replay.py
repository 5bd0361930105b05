"""Replay: what a mended rule or schema lets pass is released, once, whoever carries it out and wherever it dies."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from conftest import ROOT
from quarantined import (
    EVERYTHING,
    GOOD,
    HOSTILE,
    RECORDS,
    RELEASED,
    STREAM,
    Lake,
    offsets_in_kafka,
    released,
)

from headrace.audit import Deeply, audit_stream
from headrace.connections import Broker
from headrace.errors import KeyRingError, SpecError
from headrace.ingest.replay import STEPS, rehearse
from headrace.ingest.selection import Selection
from headrace.lake.tables import read_accepted_stream
from headrace.privacy.keys import open_ring

WAS = {HOSTILE: 25, "decode:missing:id": 1, "decode:type:reading": 1, "decode:malformed": 1, "load_known": 5}
"""By hand: what the rows of the quarantine fail under the wrong rule."""


@pytest.fixture(scope="module")
def done(spark, wronged: Lake, tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, dict]:
    """A mended lake after a replay of everything, and what that told."""
    lake = wronged.copy(tmp_path_factory.mktemp("done") / "p")
    lake.mend()
    return lake, released(spark, lake, request="one")


def data_of(lake: Lake) -> dict[int, dict]:
    """The rows as they are, to see that none was touched."""
    return {
        offset: {k: v for k, v in row.items() if not k.startswith("released")} for offset, row in lake.rows().items()
    }


def test_the_wrong_rule_had_put_aside_what_the_test_expects(wronged: Lake) -> None:
    quarantined = [row for row in wronged.rows().values() if row["verdict"] == "quarantined"]
    assert Counter(rule for row in quarantined for rule in row["failed_rules"]) == WAS
    assert wronged.accepted() == set(range(len(GOOD)))
    assert "released_at" not in quarantined[0]


def test_a_dry_run_says_what_would_pass_and_what_still_fails_and_changes_nothing(spark, lake: Lake) -> None:
    version = lake.version
    found = rehearse(spark, lake.pipeline, stream=STREAM, selection=EVERYTHING)
    assert (found.chosen, found.passing) == (28, len(RELEASED))
    assert found.by_rule == {HOSTILE: 20, "decode:missing:id": 1}
    assert found.still_failing == {HOSTILE: 5, "load_known": 5, "decode:malformed": 1, "decode:type:reading": 1}
    assert sum(found.days.values()) == 21
    assert lake.version == version


def test_what_passes_is_released_in_one_commit_and_the_rest_stays_as_it_was(
    wronged: Lake, done, bootstrap: str
) -> None:
    lake, told = done
    before, pipeline, rows = data_of(wronged), lake.pipeline, lake.rows()
    assert {offset for offset, row in rows.items() if row["released_at"]} == RELEASED
    assert lake.accepted() == RELEASED | set(range(len(GOOD)))
    for offset, row in rows.items():
        data = {name: value for name, value in row.items() if not name.startswith("released")}
        if offset not in RELEASED:
            assert data == before[offset]  # reasons, payload and all
            continue
        assert (row["verdict"], row["payload"], row["failed_rules"]) == ("accepted", None, [])
        assert (row["released_by"], row["spec_version"]) == (pipeline.version, before[offset]["spec_version"])
        assert row["released_known_at"] is None  # nothing was scored in this lake
        for name in ("batch_id", "ingested_at", "ingest_date", "kafka_timestamp"):
            assert row[name] == before[offset][name]
        sent = json.loads(RECORDS[offset])
        assert (row["id"], row["reading"], row["load"]) == (sent["id"], sent["reading"], sent["load"])
        assert row["owner"].startswith("v1.")
    assert len({rows[offset]["owner"] for offset in RELEASED}) == len(RELEASED)
    commit = lake.commit()
    day = rows[20]["ingest_date"].isoformat()
    expected = {
        "headrace": "replay", "stream": STREAM, "spec": pipeline.version, "request": "one", "released": 21, "duplicates": 0,
        "by_rule": {HOSTILE: 20, "decode:missing:id": 1}, "days": {day: 21}, "known_from": None,
    }  # fmt: skip
    assert commit == expected
    assert (told["released"], told["chosen"], told["version"]) == (21, 28, lake.version)
    assert lake.versions_of("replay") == [lake.version]
    assert sorted(rows) == sorted(offsets_in_kafka(bootstrap, "wronged"))
    written = [path for path in lake.folder.rglob("*") if path.is_file()]
    assert not [path for path in written if b"Ada " in path.read_bytes()]


def test_an_audit_counts_what_was_released(done, bootstrap: str) -> None:
    lake, _ = done
    for deeply in (None, Deeply(open_ring(lake.pipeline.spec.keys.ring))):
        found = audit_stream(lake.pipeline, STREAM, broker=Broker(bootstrap, {}), deeply=deeply)
        assert (found.findings, found.read, found.released) == ((), 48, 21)
        assert (found.committed["accepted"], found.rows) == (20, {"accepted": 41, "quarantined": 7, "duplicate": 0})
    assert (found.compared.once, found.compared.sealed) == (48, 7)


def test_streaming_readers_see_released_rows(spark, done, tmp_path: Path) -> None:
    lake, told = done
    seen: list[tuple[int, str, int]] = []

    def take(batch, _id: int) -> None:
        seen.extend((row["_commit_version"], row["_change_type"], row["kafka_offset"]) for row in batch.collect())

    changes = read_accepted_stream(spark, lake.table).writeStream.foreachBatch(take)
    changes.option("checkpointLocation", str(tmp_path / "c")).trigger(availableNow=True).start().awaitTermination()
    inserted = [("insert", offset) for offset in range(len(GOOD))]
    assert Counter(seen_of(seen, before=told["version"])) == Counter(inserted)
    assert Counter(seen) - Counter(one for one in seen if one[0] < told["version"]) == Counter(
        (told["version"], "update_postimage", offset) for offset in RELEASED
    )


def seen_of(seen: list[tuple[int, str, int]], *, before: int) -> list[tuple[str, int]]:
    return [(kind, offset) for version, kind, offset in seen if version < before]


def test_a_replay_that_is_repeated_releases_nothing_more(spark, done) -> None:
    lake, first = done
    rows = lake.rows()
    again = released(spark, lake, request="one")  # as after a crash before the answer
    assert (again["repeated"], again["released"], again["version"]) == (True, 21, first["version"])
    other = released(spark, lake, request="two")
    assert (other["repeated"], other["released"], other["chosen"]) == (False, 0, 7)
    assert lake.rows() == rows
    assert lake.versions_of("replay") == [first["version"]]


def test_rules_and_times_choose_the_rows_and_a_rules_name_is_only_compared(spark, lake: Lake) -> None:
    row = lake.rows()[20]

    def chosen(**what) -> int:
        return rehearse(spark, lake.pipeline, stream=STREAM, selection=Selection(**what)).chosen

    at = row["ingested_at"]
    assert chosen(rules=(HOSTILE, "decode:malformed"), start=at) == 26
    assert chosen(rules=("reading_plausible", "' or true --", "%")) == 0
    assert chosen(end=at) == 0
    told = released(spark, lake, selection=Selection(rules=("decode:missing:id",)))
    assert told["by_rule"] == {"decode:missing:id": 1}
    assert lake.accepted() == {*range(len(GOOD)), 45}


class Died(Exception):
    """Where a test lets a replay die."""


@pytest.mark.parametrize("point", STEPS)
def test_a_replay_that_dies_at_any_step_is_done_once_when_it_is_repeated(spark, lake: Lake, point: str) -> None:
    before = data_of(lake)

    def die(step: str) -> None:
        if step == point:
            raise Died

    with pytest.raises(Died):
        released(spark, lake, on_step=die)
    assert (data_of(lake) == before) == (point == "judged")
    told = released(spark, lake)
    assert (told["released"], told["repeated"]) == (21, point == "committed")
    assert lake.accepted() == RELEASED | set(range(len(GOOD)))
    assert len(lake.versions_of("replay")) == 1


KILLED = """
import os, signal, sys
from headrace.ingest.replay import release
from headrace.ingest.selection import Selection
from headrace.lake.lease import leased
from headrace.session import spark_session
from headrace.spec import load
folder, table, point = sys.argv[1:]
spark = spark_session(app="killed", master="local[1]", settings={"spark.sql.shuffle.partitions": "1"})
def die(step):
    if step == point:
        os.kill(os.getpid(), signal.SIGKILL)
with leased(spark, table, what="events/readings") as lease:
    release(spark, load(folder), stream="readings", selection=Selection(), request="r", lease=lease, on_step=die)
"""


def test_a_replay_that_is_killed_is_done_once_when_it_is_repeated(spark, wronged: Lake, tmp_path: Path) -> None:
    lakes = {point: wronged.copy(tmp_path / point) for point in STEPS}
    for lake in lakes.values():
        lake.mend()
    killed = [
        subprocess.Popen([sys.executable, "-c", KILLED, str(lake.folder), lake.table, point], cwd=ROOT)
        for point, lake in lakes.items()
    ]
    assert [process.wait(900) for process in killed] == [-9, -9]
    for point, lake in lakes.items():
        assert len(lake.versions_of("replay")) == (point == "committed")
        assert released(spark, lake)["repeated"] == (point == "committed")
        assert lake.accepted() == RELEASED | set(range(len(GOOD)))
        assert len(lake.versions_of("replay")) == 1


def test_without_the_right_key_ring_nothing_is_changed(spark, lake: Lake) -> None:
    ring, before = Path(lake.pipeline.spec.keys.ring), data_of(lake)
    kept = ring.rename(ring.with_suffix(".kept"))
    with pytest.raises(KeyRingError, match="no key ring at"):
        released(spark, lake)
    assert not ring.exists()  # and none is made in its place
    keys = json.loads(kept.read_text())
    keys["keys"]["seal"]["1"]["key"] = "00" * 32
    ring.write_text(json.dumps(keys))
    ring.chmod(0o600)
    with pytest.raises(KeyRingError, match=r"nothing was released: .* does not open.*28 rows in all") as caught:
        released(spark, lake)
    assert "\n" not in str(caught.value)
    assert data_of(lake) == before


def test_a_column_that_the_mended_file_adds_is_added_and_one_of_another_type_is_refused(spark, lake: Lake) -> None:
    text = (lake.folder / "pipeline.yaml").read_text()
    (lake.folder / "pipeline.yaml").write_text(
        text + "    normalize: {derive: {tenfold: cast(reading * 10 as bigint)}}\n"
    )
    released(spark, lake, selection=Selection(rules=("decode:missing:id",)))
    assert (lake.rows()[45]["tenfold"], lake.rows()[20]["tenfold"]) == (50, None)
    (lake.folder / "pipeline.yaml").write_text(text + "    normalize: {derive: {tenfold: cast(reading as string)}}\n")
    with pytest.raises(SpecError, match="tenfold"):
        released(spark, lake, request="retyped")
    (lake.folder / "pipeline.yaml").write_text(text.replace("protect: {", "protect: {load: drop, "))
    released(spark, lake, request="dropped")
    assert lake.rows()[20]["load"] is None  # protected by now: the value that was decoded then goes too
