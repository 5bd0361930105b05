"""Training as labels arrive: each labelled row once whatever is killed, trees that stay, a bound, corrections, and the gate."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import threading
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import mlflow
import pyarrow as pa
import pytest
from deltalake import DeltaTable
from pipelines import make_topic
from rides import START, events, make_pipeline, send
from shop import headrace
from told import declare_lineage, named, told_by, version_of

from headrace.connections import Broker, Tracking, connect_tracking
from headrace.errors import CheckpointError, NotReproducible, SpecError
from headrace.feed import Record
from headrace.ingest.run import start_ingest
from headrace.lake.decisions import read_decisions
from headrace.spec import Pipeline, load
from headrace.training import registry
from headrace.training.continuous import boost
from headrace.training.continuous.job import ContinuousTraining, train_continuously
from headrace.training.continuous.rows import Position, fresh
from headrace.training.continuous.steps import Step, Steps
from headrace.training.dataset import build_dataset
from headrace.training.fit import fit
from headrace.training.recipe import recipe_of
from headrace.training.run import Training

SECTION = "continuous: {rounds_per_step: 3, max_trees: 23, min_rows: 40, candidate_every: 1h}"
GATE = "minimum_rows: 50, minimum_outcomes: 10, tolerance: 1.0, floors: {auc: 0.6}"
REQUESTS_END = {"a": 300, "b": 480, "c": 600, "d": 700, "e": 800}
CORRECTED = range(10, 15)


class Planted(Exception):
    """A crash."""


@dataclasses.dataclass
class Grown:
    """A pipeline, and what the jobs on it did."""

    pipeline: Pipeline
    broker: Broker
    tracking: Tracking
    steps: list[Step] = dataclasses.field(default_factory=list)
    rows: list[pa.Table] = dataclasses.field(default_factory=list)
    """What each of them was fitted on."""
    candidates: list[tuple[Training, Step]] = dataclasses.field(default_factory=list)
    heard: list[str] = dataclasses.field(default_factory=list)
    fitted: list[pa.Table] = dataclasses.field(default_factory=list)
    """What was fitted on, committed or not."""

    said: str = ""
    """What the command printed that made the last step."""
    told: Path = Path()
    """Where it told its lineage events."""
    way_back: dict[str, Any] = dataclasses.field(default_factory=dict)
    tree: str = ""
    """Of version 2, as the command gave it for programs and for people."""

    def job(
        self, spark: Any, *, fails: str = "", stop: threading.Event | None = None, **more: Any
    ) -> ContinuousTraining:
        def on_step(step: Step) -> None:
            self.steps.append(step)
            self.rows.append(self.fitted[-1])
            if fails == "behind the commit":
                raise Planted
            if stop is not None:
                with pytest.raises(CheckpointError, match="another job is writing 'training/grown'"):
                    self.job(spark).run(until_caught_up=True)
                stop.set()

        return train_continuously(
            spark, self.pipeline, broker=self.broker, tracking=self.tracking, on_step=on_step, notify=self.heard.append,
            on_candidate=lambda done, step: self.candidates.append((done, step)), trigger_seconds=0.5, **more,
        )  # fmt: skip

    def caught_up(self, spark: Any, **more: Any) -> None:
        self.job(spark, **more).run(until_caught_up=True)

    def ingest(self, spark: Any, records: list[Record]) -> None:
        send(self.broker.bootstrap, sorted(records, key=lambda one: one.sent_at))
        start_ingest(spark, self.pipeline, broker=self.broker, until_caught_up=True).wait()

    def ids(self, index: int) -> list[str]:
        return self.rows[index].column("id").to_pylist()


def truth(*, minutes: range) -> dict[str, int]:
    """Id to outcome, by the records as they were sent."""
    told = [
        json.loads(one.value) for one in events("x", first=minutes.start, last=minutes.stop) if "moved" in one.topic
    ]
    return {one["ride"]: int(one["delay"] > 10) for one in told}


def corrections() -> list[Record]:
    """The opposite outcome of some rides of the first hour, sent in the ninth."""
    made = []
    for ride in CORRECTED:
        at = START + timedelta(minutes=485)
        delay = 0.0 if truth(minutes=range(ride, ride + 1))[f"r{ride}"] else 60.0
        said = {"ride": f"r{ride}", "place": "a", "delay": delay, "at": at.isoformat().replace("+00:00", "Z")}
        made.append(Record("grown.moved", b"r", json.dumps(said).encode(), int(at.timestamp() * 1000), []))
    return made


def without_outcome(records: list[Record]) -> list[Record]:
    """The records, without the outcome of each seventh ride."""
    return [one for one in records if "moved" not in one.topic or int(json.loads(one.value)["ride"][1:]) % 7]


def end_of(part: str) -> datetime:
    """The cut-off once a part has come: behind its last request."""
    return START + timedelta(minutes=REQUESTS_END[part] - 1, microseconds=1)


def variant(grown: Grown, old: str, new: str) -> Pipeline:
    file = grown.pipeline.file
    file.write_text(file.read_text().replace(old, new))
    return load(file.parent)


@pytest.fixture(scope="module")
def grown(spark, bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Grown:
    """Five parts of a day, one after the other, with jobs that are stopped, crash, and go on."""
    folder = tmp_path_factory.mktemp("grown")
    pipeline = make_pipeline(folder, bootstrap, "grown")
    text = pipeline.file.read_text().replace("minimum_rows: 50, tolerance: 1.0", GATE)
    pipeline.file.write_text(text.replace("  rounds: 20\n", f"  rounds: 20\n  {SECTION}\n"))
    for name in ("asked", "moved"):
        make_topic(bootstrap, f"grown.{name}")
    pipeline = load(folder)
    made = Grown(pipeline, Broker(bootstrap, {}), connect_tracking(pipeline, home=folder))
    with pytest.MonkeyPatch.context() as patch:
        matrix = boost.matrix

        def watched(rows: pa.Table, **more: Any) -> Any:
            made.fitted.append(rows)
            return matrix(rows, **more)

        def turned_round(rows: pa.Table, **more: Any) -> Any:
            at = rows.column_names.index("label")
            return watched(rows.set_column(at, "label", pa.array(1 - rows.column("label").to_numpy())), **more)

        patch.setattr(boost, "matrix", watched)
        made.ingest(spark, events("grown", first=0, last=300))
        made.caught_up(spark)

        made.ingest(spark, events("grown", first=300, last=480))
        with pytest.MonkeyPatch.context() as crash:
            crash.setattr(Steps, "commit", lambda self, step: (_ for _ in ()).throw(Planted()))
            with pytest.raises(Planted):
                made.caught_up(spark)
        with pytest.raises(Planted):
            made.caught_up(spark, fails="behind the commit")
        made.caught_up(spark)

        made.ingest(spark, without_outcome(events("grown", first=480, last=600)) + corrections())
        stop = threading.Event()
        made.job(spark, stop=stop).run(until_caught_up=False, stop=stop)
        made.caught_up(spark)

        made.ingest(spark, events("grown", first=600, last=700))
        made.pipeline = variant(made, "rounds_per_step: 3, max_trees: 23", "rounds_per_step: 200, max_trees: 500")
        patch.setattr(boost, "matrix", turned_round)
        made.caught_up(spark, anew=True)
        patch.setattr(boost, "matrix", watched)
        made.pipeline = variant(made, "min_rows: 40", "min_rows: 4000")
        made.ingest(spark, events("grown", first=700, last=800))
        made.caught_up(spark)
        made.pipeline = variant(made, "min_rows: 4000", "min_rows: 40")
        patch.setenv("HEADRACE_HOME", str(folder))
        made.told = declare_lineage(folder)
        made.said = headrace("train", str(folder), "--continuous", "--until-caught-up")
        made.way_back = json.loads(headrace("lineage", str(folder), "2", "--json"))
        made.tree = headrace("lineage", str(folder), "2")
    return made


def test_each_labelled_row_is_consumed_once_over_restarts_and_crashes(grown: Grown) -> None:
    first, second, third = (grown.ids(index) for index in range(3))
    assert sorted(first) == sorted(truth(minutes=range(275)))
    assert sorted(second) == sorted(truth(minutes=range(275, 455)))
    once = Counter(id_ for part in (first, second, third) for id_ in part)
    assert {id_: count for id_, count in once.items() if count > 1} == {f"r{ride}": 2 for ride in CORRECTED}
    assert [step.position.as_of for step in grown.steps[:3]] == [end_of("a"), end_of("b"), end_of("c")]
    fits_of_the_second = [rows.column("id").to_pylist() for rows in grown.fitted[1:3]]
    assert fits_of_the_second == [second, second]  # the crash before the commit lost a fit, and no row
    table = DeltaTable(f"{grown.pipeline.spec.lake.root}/training/grown/steps").to_pyarrow_table().to_pylist()
    assert sorted(row["step"] for row in table) == [1, 2, 3, 4, 5]


def test_a_row_without_an_outcome_is_never_consumed(grown: Grown) -> None:
    late = {id_ for id_ in grown.ids(2) if int(id_[1:]) >= 480}
    assert late == {f"r{minute}" for minute in range(480, 575) if minute % 7}


def test_a_corrected_outcome_comes_again_with_the_right_one_and_its_weight(grown: Grown) -> None:
    step, rows = grown.steps[2], {row["id"]: row for row in grown.rows[2].to_pylist()}
    before = {row["id"]: row["label"] for row in grown.rows[0].to_pylist()}
    assert step.corrected == len(CORRECTED)
    for ride in CORRECTED:
        assert rows[f"r{ride}"]["label"] == 1 - before[f"r{ride}"]
        assert rows[f"r{ride}"]["corrected"]
    assert sum(row["corrected"] for row in rows.values()) == len(CORRECTED)


def test_the_outcomes_and_features_are_those_of_a_training(spark, grown: Grown) -> None:
    for step, rows in zip(grown.steps[:2], grown.rows[:2], strict=True):
        at = step.position
        frame = build_dataset(spark, grown.pipeline, as_of=at.as_of, versions=at.versions).frame
        there = {row["id"]: row for row in frame.toArrow().to_pylist()}
        for row in rows.to_pylist():
            assert {name: row[name] for name in there[row["id"]]} == there[row["id"]]
    assert {row["id"]: row["label"] for row in grown.rows[1].to_pylist()} == truth(minutes=range(275, 455))


def test_the_booster_grows_on_and_is_bounded_and_is_no_refit(grown: Grown) -> None:
    first, second, third = (boost.loaded(step.booster or b"") for step in grown.steps[:3])
    assert [step.trees for step in grown.steps[:3]] == [20, 23, 23]
    assert [step.added for step in grown.steps[:3]] == [20, 3, 0]
    assert second.get_dump()[:20] == first.get_dump()
    both = pa.concat_tables(grown.rows[:2]).sort_by("id")
    refit = fit(both, features=grown.pipeline.spec.features.names, label="label", parameters={}, rounds=23, seed=7)
    assert second.get_dump() != refit.get_dump()
    assert third.num_boosted_rounds() == 23
    assert third.get_dump() != second.get_dump()

    def splits(booster: Any) -> Any:
        table = booster.trees_to_dataframe()
        return table[table["Feature"] != "Leaf"][["ID", "Feature", "Split", "Yes"]].to_numpy().tolist()

    assert splits(third) == splits(second)


def test_candidates_go_through_the_gate_on_rows_that_came_after_them(spark, grown: Grown) -> None:
    (first, of_first), (second, of_second), *_ = grown.candidates
    assert [(one.number, done.version, done.promoted) for done, one in grown.candidates[:2]] == [
        (1, 1, True),
        (2, 2, True),
    ]
    registry.open_tracking(grown.tracking)
    client = mlflow.MlflowClient()
    for done, step in ((first, of_first), (second, of_second)):
        run, version = client.get_run(done.run_id), client.get_model_version("grown", str(done.version))
        assert datetime.fromisoformat(run.data.params["test_from"]) == step.position.as_of
        assert run.data.tags["headrace.continuous"] == version.tags["headrace.continuous"] == "true"
        assert version.tags["headrace.step"] == str(step.number)
        (file,) = [
            path for path in grown.pipeline.folder.rglob("model.ubj") if version.source.rpartition("/")[2] in str(path)
        ]
        assert hashlib.sha256(file.read_bytes()).hexdigest() == step.sha256 == version.tags[registry.SHA256]
        rows = DeltaTable(f"{grown.pipeline.spec.lake.root}/snapshots/{done.run_id}").to_pyarrow_table().to_pylist()
        tested = {row["id"] for row in rows if row["at"] >= step.position.as_of}
        assert len(tested) == done.test_rows >= 50
        consumed = {id_ for one, part in zip(grown.steps, grown.rows, strict=True) if one.number <= step.number
                    for id_ in part.column("id").to_pylist()}  # fmt: skip
        assert not tested & consumed
        with pytest.raises(NotReproducible, match=r"candidate of continuous training.*same SHA-256"):
            recipe_of(done.run_id)
    trail = read_decisions(spark, f"{grown.pipeline.spec.lake.root}/decisions/grown")
    assert [(one.version, one.action) for one in trail][:2] == [(1, "promoted"), (2, "promoted")]


def test_a_bad_candidate_is_refused_and_the_champion_stays(grown: Grown) -> None:
    (done, step) = grown.candidates[2]
    assert (step.number, done.version, done.promoted) == (4, 3, False)
    assert "auc is" in done.verdict.refusals
    assert registry.alias_version("grown", "champion") == 2
    assert len(grown.candidates) == 3


def test_another_booster_begins_from_the_champion_behind_the_rows_that_it_knows(grown: Grown) -> None:
    step = grown.steps[3]
    assert (step.number, step.chain, step.started_from, step.trees) == (4, 4, "version 2", 223)
    begun, champion = boost.loaded(step.booster or b""), boost.loaded(grown.steps[1].booster or b"")
    assert begun.get_dump()[:23] == champion.get_dump()
    again = set(grown.ids(3))
    assert again == {f"r{minute}" for minute in range(455, 675) if not 480 <= minute < 600 or minute % 7} | {
        f"r{ride}" for ride in CORRECTED
    }


def test_a_step_that_is_committed_twice_is_refused(spark, grown: Grown) -> None:
    path = f"{grown.pipeline.spec.lake.root}/training/grown/steps"
    steps, version = Steps(spark, path, what="training/grown"), DeltaTable(path).version()
    again = dataclasses.replace(grown.steps[3], booster=grown.steps[0].booster, rows=1)
    with pytest.raises(CheckpointError, match="step 4 of training/grown was committed before by another job"):
        steps.commit(again)
    assert steps.with_booster(4) == grown.steps[3]
    assert DeltaTable(path).version() == version


def test_boosters_that_nobody_needs_are_let_go(grown: Grown) -> None:
    table = DeltaTable(f"{grown.pipeline.spec.lake.root}/training/grown/steps").to_pyarrow_table().to_pylist()
    assert {row["step"]: row["booster"] is None for row in table} == {1: True, 2: True, 3: True, 4: False, 5: False}
    assert {row["step"]: row["sha256"] for row in table if row["step"] < 5} == {
        one.number: one.sha256 for one in grown.steps
    }


def test_where_the_versions_before_are_gone_no_row_is_trained_on_twice(spark, grown: Grown) -> None:
    before, now = grown.steps[0].position, grown.steps[1].position
    gone, heard = Position(dict.fromkeys(before.versions, 10**6), before.as_of), list[str]()
    rows = fresh(spark, grown.pipeline, before=gone, now=now, notify=heard.append)
    assert sorted(row["id"] for row in rows.collect()) == sorted(grown.ids(1))
    assert "are gone" in heard[0]
    again = fresh(spark, grown.pipeline, before=now, now=now, notify=heard.append)
    assert again.count() == 0


def test_the_command_says_each_step_in_one_line(grown: Grown) -> None:
    assert grown.said == "step 5: 100 rows known before 2026-01-01 13:19:00 UTC, 200 trees added, 423 in all\n"


def test_the_way_back_of_a_candidate_leads_over_its_step_to_the_offsets(grown: Grown) -> None:
    step, found = grown.steps[1], grown.way_back
    assert (found["sha256"], found["step"]["step"], found["rounds"]) == (step.sha256, 2, 23)
    assert {one["stream"]: one["version"] for one in found["tables"]} == dict(step.position.versions)
    assert all(one["offsets"] and not one["unknown"] for one in found["tables"])
    assert "step 2 of" in grown.tree
    assert "rows it was judged on: " in grown.tree


def test_the_events_of_the_job_name_its_steps(grown: Grown) -> None:
    (run,) = told_by(grown.told, "train-continuous")
    assert [event["eventType"] for event in run] == ["START", "COMPLETE"]
    lake = grown.pipeline.spec.lake.root
    assert list(named(run[-1]["outputs"])) == [f"{lake}/training/grown/steps"]
    read = {name: version_of(one) for name, one in named(run[-1]["inputs"]).items()}
    rows = DeltaTable(f"{lake}/training/grown/steps").to_pyarrow_table().to_pylist()
    (versions,) = (dict(row["versions"]) for row in rows if row["step"] == 5)
    assert read == {f"{lake}/events/{stream}": version for stream, version in versions.items()}


def test_the_section_is_needed(spark, grown: Grown, tmp_path: Path) -> None:
    for file in grown.pipeline.folder.glob("*.json"):
        (tmp_path / file.name).write_text(file.read_text())
    lines = [line for line in grown.pipeline.file.read_text().splitlines() if "continuous:" not in line]
    (tmp_path / "pipeline.yaml").write_text("\n".join(lines))
    with pytest.raises(SpecError, match="needs the sections features, label and model, and in it continuous"):
        train_continuously(spark, load(tmp_path), broker=None, tracking=grown.tracking)
