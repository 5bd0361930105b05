"""Parameters at work: made of accepted rows, used by a training, and kept by the deployed model whatever is published later."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import mlflow
import pytest
from deltalake import DeltaTable
from pipelines import make_topic
from rides import CUT, START, events, make_pipeline, send

from headrace.connections import Broker, Tracking, connect_tracking
from headrace.errors import ParametersError
from headrace.feed import Record
from headrace.ingest.run import start_ingest
from headrace.parameters import pin, publish, read_state, topic, unpin
from headrace.parameters import table as lake_table
from headrace.parameters.used import fetch, from_tag
from headrace.serving.run import start_scoring
from headrace.serving.scoring import ScoreReport
from headrace.spec import Pipeline, load
from headrace.training import registry
from headrace.training.chosen import choose
from headrace.training.following import follow
from headrace.training.making import Made, make
from headrace.training.run import Training, train

EVENING = START + timedelta(hours=14)
SECTION = """
parameters:
  statistics: true
  vocabularies: {places: {stream: asked, column: place, minimum_count: 5}}
  class_weights: true
  monotonic: {delay_mean_30m: increasing}
  hyperparameters: true
"""


@dataclasses.dataclass(frozen=True)
class Placed:
    """The rides, with their place as a feature, and a model of them."""

    pipeline: Pipeline
    broker: Broker
    tracking: Tracking
    first: list[Made]
    again: list[Made]
    trained: Training

    def ingest(self, spark) -> None:
        start_ingest(spark, self.pipeline, broker=self.broker, until_caught_up=True).wait()

    def chosen(self, spark, as_of: datetime, *, broker: bool = True) -> tuple[Any, list[str]]:
        heard: list[str] = []
        broker_ = self.broker if broker else None
        return choose(spark, self.pipeline, broker=broker_, as_of=as_of, notify=heard.append), heard

    def predicted(self) -> dict[str, dict[str, Any]]:
        path = f"{self.pipeline.spec.lake.root}/serving/{self.pipeline.spec.model.name}/predictions"
        return {row["id"]: row for row in DeltaTable(path).to_pyarrow_table().to_pylist()}

    def scored(self, spark) -> list[ScoreReport]:
        reports: list[ScoreReport] = []
        start_scoring(
            spark, self.pipeline, broker=self.broker, tracking=self.tracking, until_caught_up=True, on_score=reports.append,
            starting_at=CUT,
        ).run()  # fmt: skip
        return reports


def moved_to(records: list[Record], place: str, *, every: int) -> list[Record]:
    """The records, those of every so many rides at another place."""
    made = []
    for record in records:
        said = json.loads(record.value)
        if int((said.get("id") or said["ride"])[1:]) % every == 0:
            record = record._replace(value=json.dumps(said | {"place": place}).encode())
        made.append(record)
    return made


@pytest.fixture(scope="module")
def placed(spark, bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Placed:
    folder = tmp_path_factory.mktemp("placed")
    pipeline = make_pipeline(folder, bootstrap, "placed")
    text = pipeline.file.read_text().replace("  last:\n", "  categories: {place: places}\n  last:\n", 1)
    pipeline.file.write_text(text + SECTION)
    pipeline = load(folder)
    for name in ("asked", "moved"):
        make_topic(bootstrap, f"placed.{name}")
    send(bootstrap, events("placed", first=0, last=600))
    broker, tracking = Broker(bootstrap, {}), connect_tracking(pipeline, home=folder)
    start_ingest(spark, pipeline, broker=broker, until_caught_up=True).wait()
    with pytest.raises(ParametersError, match=r"nobody has published 'vocabulary\.places' yet.*headrace parameters"):
        train(spark, pipeline, tracking=tracking, broker=broker, as_of=CUT)
    first = make(spark, pipeline, broker=broker, as_of=CUT)
    again = make(spark, pipeline, broker=broker, as_of=CUT)
    best = {"parameters": {"max_depth": 2, "scale_pos_weight": 77.0}, "rounds": 9, "trials": 3}
    publish(spark, pipeline, broker=broker, name="hyperparameters", value=best, as_of=CUT, sources={})
    trained = train(spark, pipeline, tracking=tracking, broker=broker, as_of=CUT)
    assert trained.promoted
    return Placed(pipeline, broker, tracking, first, again, trained)


def accepted(pipeline: Pipeline, stream: str, *, before: datetime = CUT) -> list[dict[str, Any]]:
    rows = DeltaTable(f"{pipeline.spec.lake.root}/events/{stream}").to_pyarrow_table().to_pylist()
    return [row for row in rows if row["verdict"] == "accepted" and row["known_at"] < before]


def test_what_is_declared_is_made_of_what_was_known_and_published_once(placed: Placed) -> None:
    made = {one.parameters.name: one for one in placed.first}
    assert list(made) == ["vocabulary.places", "statistics", "class_weights", "monotonic"]
    assert all(one.is_new for one in placed.first)
    assert not any(one.is_new for one in placed.again)
    asked = accepted(placed.pipeline, "asked")
    assert len(asked) == 600
    counts = Counter(row["place"] for row in asked)
    words = made["vocabulary.places"].parameters.value
    assert dict(zip(words["values"], words["counts"], strict=True)) == counts
    assert words["values"] == sorted(counts, key=lambda word: (-counts[word], word))
    told = made["statistics"].parameters.value
    assert told["rows"] == 600
    assert list(told["features"]) == list(placed.pipeline.spec.features.names)
    assert told["features"]["minute"]["mean"] == pytest.approx(sum(row["at"].minute for row in asked) / 600)
    weights = made["class_weights"].parameters.value
    assert weights["positive"] + weights["negative"] == placed.trained.train_rows
    for one in placed.first[:3]:
        assert one.parameters.as_of == CUT
        assert set(one.parameters.sources) <= {"asked", "moved"}
    state = read_state(placed.pipeline, broker=placed.broker)
    assert {name: state.current(name) for name in made} == {name: one.parameters for name, one in made.items()}


def test_the_run_and_the_version_say_what_was_used_and_it_was(placed: Placed) -> None:
    registry.open_tracking(placed.tracking)
    run = mlflow.get_run(placed.trained.run_id)
    weights = placed.first[2].parameters.value
    said = run.data.params
    assert float(said["xgb.scale_pos_weight"]) == weights["scale_pos_weight"] != 77.0
    assert (said["rounds"], said["xgb.max_depth"]) == ("9", "2")
    names = placed.pipeline.spec.features.names
    assert (
        said["xgb.monotone_constraints"] == f"({','.join('1' if name == 'delay_mean_30m' else '0' for name in names)})"
    )
    versions = ("vocabulary.places", "class_weights", "monotonic", "hyperparameters")
    assert {name: said[f"parameters.{name}"] for name in versions} == dict.fromkeys(versions, "1")
    model = registry.load(placed.pipeline.spec.model.name, version=1)
    assert model.parameters == run.data.tags[registry.PARAMETERS]
    assert set(from_tag(model.parameters, what="it")) == set(versions)
    booster = model.fitted.booster
    assert booster.num_boosted_rounds() == 9
    dump = booster.get_dump()
    assert max(line.count("\t") for tree in dump for line in tree.splitlines()) == 2


def test_no_parameters_from_the_future_of_the_cut_off_are_used(spark, placed: Placed) -> None:
    words = dict(placed.first[0].parameters.value)
    later = publish(
        spark, placed.pipeline, broker=placed.broker, name="vocabulary.places", as_of=CUT + timedelta(days=9), sources={},
        value=words | {"values": ["x", *words["values"]], "counts": [1, *words["counts"]]},
    )  # fmt: skip
    assert read_state(placed.pipeline, broker=placed.broker).current("vocabulary.places") == later
    chosen, heard = placed.chosen(spark, CUT)
    assert chosen.vocabularies == {"places": tuple(words["values"])}
    assert any("vocabulary.places/2 is current, and from after this training's cut-off" in line for line in heard)
    assert placed.chosen(spark, CUT + timedelta(days=9))[0].vocabularies["places"][0] == "x"
    with pytest.raises(ParametersError, match="places/2 was made of what was known before 2026-01-10"):
        placed.chosen(spark, CUT - timedelta(days=1))
    common = {"broker": placed.broker, "name": "vocabulary.places"}
    pin(spark, placed.pipeline, version=2, why="planted", **common)
    with pytest.raises(ParametersError, match=r"vocabulary\.places/2 was made of what was known.*after the cut-off"):
        placed.chosen(spark, CUT)
    unpin(spark, placed.pipeline, why="planted", **common)


def test_without_a_broker_the_copy_in_the_lake_is_used(spark, placed: Placed, monkeypatch) -> None:
    monkeypatch.setattr(topic, "TIMEOUT_S", 1.0)
    there, _ = placed.chosen(spark, CUT)
    chosen, heard = placed.chosen(spark, CUT, broker=False)
    assert chosen == there
    assert heard[0] == "no broker runs; the parameters are read from their copy in the lake"
    silent = dataclasses.replace(placed, broker=Broker("127.0.0.1:1", {}))
    chosen, heard = silent.chosen(spark, CUT)
    assert chosen == there
    assert "read from their copy in the lake: no Kafka broker answers" in heard[0]


def test_a_file_that_says_other_than_what_was_published_is_refused(spark, placed: Placed, tmp_path: Path) -> None:
    for file in placed.pipeline.folder.glob("*.json"):
        (tmp_path / file.name).write_text(file.read_text())
    text = placed.pipeline.file.read_text()
    (tmp_path / "pipeline.yaml").write_text(text.replace("delay_mean_30m: increasing", "delay_mean_30m: decreasing"))
    changed = dataclasses.replace(placed, pipeline=load(tmp_path))
    with pytest.raises(ParametersError, match=r"monotonic/1 is not what .* declares"):
        changed.chosen(spark, CUT)


def test_a_new_vocabulary_changes_nothing_for_the_deployed_model(spark, placed: Placed, bootstrap: str) -> None:
    old = placed.first[0].parameters.value["values"]
    send(bootstrap, moved_to(events("placed", first=600, last=720), "d", every=2))
    placed.ingest(spark)
    made = {one.parameters.name: one for one in make(spark, placed.pipeline, broker=placed.broker, as_of=EVENING)}
    new = made["vocabulary.places"].parameters
    assert new.value["values"] == [*old, "d"]
    assert read_state(placed.pipeline, broker=placed.broker).current("vocabulary.places") == new
    reports = placed.scored(spark)
    asked = {row["id"]: row["place"] for row in accepted(placed.pipeline, "asked", before=EVENING)}
    found = placed.predicted()
    assert len(found) == 120
    assert {row["model_version"] for row in found.values()} == {1}
    assert {id_: row["place"] for id_, row in found.items()} == {
        id_: None if asked[id_] == "d" else float(old.index(asked[id_])) for id_ in found
    }
    assert sum(report.unseen.get("place", 0) for report in reports) == 60

    second = train(spark, placed.pipeline, tracking=placed.tracking, broker=placed.broker, as_of=EVENING)
    assert second.promoted
    tag = registry.load(placed.pipeline.spec.model.name, version=second.version).parameters
    assert from_tag(tag, what="it")["vocabulary.places"].version == new.version
    send(bootstrap, moved_to(events("placed", first=720, last=740), "d", every=2))
    placed.ingest(spark)
    reports = placed.scored(spark)
    assert sum(report.unseen.get("place", 0) for report in reports) == 0
    latest = {id_: row["place"] for id_, row in placed.predicted().items() if id_ not in found}
    assert set(latest.values()) >= {float(len(old))}
    assert {row["model_version"] for id_, row in placed.predicted().items() if id_ in latest} == {second.version}


def test_a_model_whose_vocabulary_is_gone_or_was_changed_is_not_used(spark, placed: Placed) -> None:
    registry.open_tracking(placed.tracking)
    tag = registry.load(placed.pipeline.spec.model.name, version=1).parameters
    used = from_tag(tag, what="model 1")
    assert [one.version for one in fetch(spark, placed.pipeline, used, broker=None, what="model 1")] == [1, 1, 1, 1]
    for planted, says in (
        ({"version": 99}, "neither on the topic nor in the lake"),
        ({"sha256": "0" * 64}, "with another vocabulary"),
    ):
        wrong = used | {"vocabulary.places": dataclasses.replace(used["vocabulary.places"], **planted)}
        for broker in (placed.broker, None):
            with pytest.raises(ParametersError, match=says):
                fetch(spark, placed.pipeline, wrong, broker=broker, what="model 1")
    with pytest.raises(ParametersError, match="model 1: its tag of parameters was changed"):
        from_tag('{"vocabulary.places": 3}', what="model 1")


def test_a_running_job_publishes_what_changed_materially_and_goes_on_after_a_stop(
    spark, placed: Placed, bootstrap: str
) -> None:
    rounds: list[list[Made]] = []

    def caught_up() -> dict[str, bool]:
        rounds.clear()
        follow(spark, placed.pipeline, broker=placed.broker, on_made=rounds.append).run(until_caught_up=True)
        return {one.parameters.name: one.is_new for made in rounds for one in made}

    caught_up()
    state = lake_table.read_table(spark, placed.pipeline)
    assert caught_up() == {}
    send(bootstrap, events("placed", first=740, last=742))
    placed.ingest(spark)
    assert set(caught_up().values()) == {False}
    assert lake_table.read_table(spark, placed.pipeline) == state
    send(bootstrap, moved_to(events("placed", first=742, last=770), "e", every=1))
    placed.ingest(spark)

    stop = threading.Event()
    job = follow(spark, placed.pipeline, broker=placed.broker, on_made=lambda made: (rounds.append(made), stop.set()))
    rounds.clear()
    job.run(until_caught_up=False, stop=stop)
    assert {one.parameters.name: one.is_new for one in rounds[0]}["vocabulary.places"]
    current = read_state(placed.pipeline, broker=placed.broker).current("vocabulary.places")
    assert current.value["values"][-1] == "e"
    caught_up()
    assert read_state(placed.pipeline, broker=placed.broker).current("vocabulary.places") == current
