"""Crash a scoring job at every point, one after the other on one lake: each request is answered once, and published."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from harness import Harness, compile_faults
from oracle import Findings, judge_predictions
from planted import lost, repeated
from points import SCORING_POINTS

PREFIX, ASKED = "crashrides", 6
FIRST = 600


class Scored:
    """What each turn told, and the judgement of what is left in the end."""

    def __init__(self, harness: Harness, told: list[dict], asked: frozenset[str]) -> None:
        self.harness, self.told, self.asked = (
            harness,
            dict(zip(["begin", *SCORING_POINTS, "end"], told, strict=True)),
            asked,
        )
        self.table = str(harness.lake("rides") / "lake" / "serving" / PREFIX / "predictions")

    def judge(self, table: str | None = None) -> Findings:
        return judge_predictions(
            self.harness.bootstrap, asked=self.asked, topic=f"{PREFIX}.answers", table=table or self.table
        )


@pytest.fixture(scope="module")
def scored(bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Scored:
    folder = tmp_path_factory.mktemp("scoring-crash")
    harness = Harness(bootstrap, compile_faults(folder), folder)
    turns = [harness.turn("rides", PREFIX, verb="train")]
    points = [None, *SCORING_POINTS.values(), None]
    for number, point in enumerate(points):
        first = FIRST + ASKED * number
        turns.append(
            harness.turn("rides", PREFIX, point=point, action="exception", verb="score", ask=(first, first + ASKED))
        )
    trained, *told = harness.run(turns)
    assert trained["error"] is None, trained
    return Scored(harness, told, frozenset(f"r{minute}" for minute in range(FIRST, FIRST + ASKED * len(points))))


@pytest.mark.parametrize("name", SCORING_POINTS)
def test_the_point_strikes_and_what_comes_after_goes_on(scored: Scored, name: str) -> None:
    assert scored.told[name]["fired"], "the point was not reached"
    assert scored.told[name]["error"]


def test_each_request_is_answered_once_and_published(scored: Scored) -> None:
    assert (scored.told["begin"]["error"], scored.told["end"]["error"]) == (None, None)
    found = scored.judge()
    assert found.records == ASKED * (len(SCORING_POINTS) + 2)
    assert found.clean, found


def invented(rows: pa.Table) -> pa.Table:
    return pa.concat_tables([rows, rows.slice(0, 1).set_column(0, "id", pa.array(["r1"]))])


def changed(rows: pa.Table) -> pa.Table:
    return rows.set_column(2, "model_version", pa.array([7] * rows.num_rows, pa.int64()))


@pytest.mark.parametrize("plant", [lost, repeated, invented, changed], ids=lambda plant: plant.__name__)
def test_the_oracle_catches(scored: Scored, plant: Callable[[pa.Table], pa.Table], tmp_path) -> None:
    rows = DeltaTable(scored.table).to_pyarrow_table(columns=["id", "probability", "model_version"])
    write_deltalake(str(tmp_path / "planted"), plant(rows))
    assert getattr(scored.judge(str(tmp_path / "planted")), plant.__name__)
