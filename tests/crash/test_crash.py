"""Crash at every point, start again, and find each record once: by the independent oracle, which is shown to see faults."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from harness import RECORDS, Harness, Kills, compile_faults
from oracle import judge
from planted import lost, repeated
from points import POINTS, SKIPPED

KILLS = 15
SEED = 20261124


@pytest.fixture(scope="module")
def harness(bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Harness:
    folder = tmp_path_factory.mktemp("crash")
    return Harness(bootstrap, compile_faults(folder), folder)


@pytest.fixture(scope="module")
def topic(harness: Harness) -> str:
    return harness.topic("crash")


@pytest.fixture(scope="module")
def thrown(harness: Harness, topic: str) -> dict[str, dict]:
    """Each point struck by an exception, and recovered from, in one process: what the struck turn told."""
    turns = []
    for name, point in POINTS.items():
        turns += [harness.turn(name, topic, point=point, action="exception"), harness.turn(name, topic)]
    told = harness.run(turns)
    assert len(told) == len(turns), (harness.folder / "stderr.log").read_text()[-3000:]
    assert not [turn for turn in told[1::2] if turn["error"]]
    return dict(zip(POINTS, told[::2], strict=True))


@pytest.mark.parametrize("name", POINTS)
def test_an_exception_at_any_point_loses_nothing_and_repeats_nothing(
    harness: Harness, topic: str, thrown: dict[str, dict], name: str
) -> None:
    assert thrown[name]["fired"], "the point was not reached"
    found = judge(harness.bootstrap, topic=topic, table=harness.table(name))
    assert found.records == RECORDS
    assert found.clean, found
    assert harness.audit(name) == ()


def test_the_restart_that_delta_skips_may_crash_too(harness: Harness, topic: str) -> None:
    after_commit = POINTS["batch committed"]
    first, second, last = harness.run(
        [
            harness.turn("skipped", topic, point=after_commit, action="exception"),
            harness.turn("skipped", topic, point=SKIPPED, action="exception"),
            harness.turn("skipped", topic),
        ]
    )
    assert (first["fired"], second["fired"], last["error"]) == (True, True, None)
    assert judge(harness.bootstrap, topic=topic, table=harness.table("skipped")).clean


ENDED = [
    ("Delta commit, before", "kill"),
    ("Delta commit, after", "kill"),
    ("batch committed", "exit"),
    ("commit log, before", "exit"),
]
OUTLIVED = [
    ("first data file, after", "kill worker"),
    ("second data file, before", "full"),
    ("lease commit, before", "full"),
]


@pytest.fixture(scope="module")
def ended(harness: Harness, topic: str) -> dict[tuple[str, str], list[dict]]:
    """Each fault that ends its process, with what the next process told: it recovers that lake, then the next fault strikes."""
    told: dict[tuple[str, str], list[dict]] = {}
    for case, following in zip(ENDED, [*ENDED[1:], None], strict=True):
        if not told:
            assert harness.run([struck(harness, topic, case)]) == [], "the process was to end before it could tell"
        turns = [harness.turn(" ".join(case), topic), *([struck(harness, topic, following)] if following else [])]
        told[case] = harness.run(turns)
    return told


def struck(harness: Harness, topic: str, case: tuple[str, str]) -> dict:
    return harness.turn(" ".join(case), topic, point=POINTS[case[0]], action=case[1])


@pytest.mark.parametrize("case", ENDED, ids=" ".join)
def test_the_end_of_a_process_loses_nothing(
    harness: Harness, topic: str, ended: dict[tuple[str, str], list[dict]], case: tuple[str, str]
) -> None:
    (recovered,) = ended[case]  # and nothing of the fault that struck behind it
    assert recovered["error"] is None
    assert judge(harness.bootstrap, topic=topic, table=harness.table(" ".join(case))).clean


def test_the_end_of_a_worker_or_a_full_disk_loses_nothing(harness: Harness, topic: str) -> None:
    turns = [turn for case in OUTLIVED for turn in (struck(harness, topic, case), harness.turn(" ".join(case), topic))]
    killed, again, *others = harness.run(turns)
    assert (killed["fired"], again["error"]) == (True, None)
    for full, freed in zip(others[::2], others[1::2], strict=True):
        assert (full["fired"], freed["error"]) == (True, None)
        assert full["error"].startswith("StorageError: no space left on the disk of")
    for case in OUTLIVED:
        assert judge(harness.bootstrap, topic=topic, table=harness.table(" ".join(case))).clean


def test_kills_at_random_while_records_come_in_lose_nothing_and_repeat_nothing(harness: Harness) -> None:
    kills = Kills(harness, topic="random-kills", seed=SEED)
    for _ in range(KILLS):
        kills.kill_once()
    found = kills.judge()
    assert found.records == kills.sent, f"seed {SEED}"
    assert found.clean, f"seed {SEED}: {found}"


def invented(rows: pa.Table) -> pa.Table:
    return pa.concat_tables([rows, rows.slice(0, 1).set_column(1, "kafka_offset", pa.array([999], pa.int64()))])


def changed(rows: pa.Table) -> pa.Table:
    """Two values of one key swapped: each offset has another's."""
    ids, readings = rows["id"].to_pylist(), rows["reading"].to_pylist()
    one, other = (ids.index(name) for name in ("m0-0", "m0-4"))
    for column in (ids, readings):
        column[one], column[other] = column[other], column[one]
    return rows.set_column(3, "id", pa.array(ids)).set_column(4, "reading", pa.array(readings, pa.int32()))


@pytest.mark.parametrize("plant", [lost, repeated, invented, changed], ids=lambda plant: plant.__name__)
def test_the_oracle_catches(harness: Harness, topic: str, thrown: dict[str, dict], plant, tmp_path: Path) -> None:
    columns = ["kafka_partition", "kafka_offset", "verdict", "id", "reading"]
    rows = DeltaTable(harness.table("batch reported")).to_pyarrow_table(columns=columns)
    write_deltalake(str(tmp_path / "planted"), plant(rows))
    found = judge(harness.bootstrap, topic=topic, table=str(tmp_path / "planted"))
    assert getattr(found, plant.__name__)
    assert plant is not changed or found.disordered == ["m0"]
