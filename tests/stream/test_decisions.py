"""Decisions about a model: the trail in the lake, the alias, the way back, and an event in Kafka for each."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pyarrow as pa
import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from deltalake import DeltaTable, write_deltalake
from handed_over import stored
from shop import headrace

from headrace.cli import models as command
from headrace.connections import Tracking, connect_tracking, home_folder
from headrace.errors import GateRefused, HeadraceError, ModelError
from headrace.lake.openings import this_user
from headrace.spec import Pipeline, load
from headrace.training import registry, rollback
from headrace.training.run import train
from headrace.training.task import Task, as_text

START = datetime(2026, 1, 1, tzinfo=UTC)
NAME, TOPIC = "parcels-late", "parcels.decisions"
SAID = "decisions for topic parcels.decisions wait: "
PIPELINE = """pipeline: parcels
description: Which parcels come late?
kafka: {bootstrap_servers: "${HEADRACE_KAFKA:-embedded}"}
lake: {path: FOLDER/lake}
mlflow: {experiment: parcels}
streams:
  sent: {topic: sent, schema: sent.json, event_time: known, known_at: known}
  came: {topic: came, schema: came.json, event_time: known, known_at: known}
features:
  requests: sent
  id: parcel
  columns: {size: size, weight: weight}
label: {stream: came, by: parcel, positive: late = 1}
model:
  name: parcels-late
  rounds: 8
  parameters: {max_depth: 2}
  gate:
    minimum_rows: 100
    tolerance: 0.1
    resamples: 100
    minimum_support: 30
    slices: {weight: {feature: weight, bands: [0.5]}}
"""


@dataclass(frozen=True)
class Depot:
    """A pipeline whose lake has parcels; ``bootstrap`` of a broker that its commands find, or not."""

    folder: Path
    bootstrap: str
    patch: pytest.MonkeyPatch

    @property
    def pipeline(self) -> Pipeline:
        return load(self.folder)

    @property
    def tracking(self) -> Tracking:
        return connect_tracking(self.pipeline, home=home_folder())

    def with_broker(self) -> None:
        self.patch.setenv("HEADRACE_KAFKA", self.bootstrap)

    def without_broker(self) -> None:
        """``embedded``, in a home folder in which none runs."""
        self.patch.delenv("HEADRACE_KAFKA", raising=False)

    def change(self, old: str, new: str) -> None:
        file = self.folder / "pipeline.yaml"
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new))

    @property
    def trail(self) -> list[dict[str, Any]]:
        rows = DeltaTable(str(self.folder / "lake" / "decisions" / NAME)).to_pyarrow_table().to_pylist()
        return sorted(rows, key=lambda row: row["decided_at"])

    @property
    def told(self) -> list[tuple[str, int, int | None]]:
        return [(row["action"], row["version"], row["previous_version"]) for row in self.trail]

    @property
    def alias(self) -> int | None:
        registry.open_tracking(self.tracking)
        return registry.alias_version(NAME, "champion")

    def events(self) -> list[dict[str, Any]]:
        found = list(stored(self.bootstrap, TOPIC, 0))
        assert {one.key() for one in found} == {NAME.encode()}
        return [json.loads(one.value()) for one in found]

    def copy(self, to: Path) -> Depot:
        shutil.copytree(self.folder, to)
        text = (to / "pipeline.yaml").read_text()
        (to / "pipeline.yaml").write_text(text.replace(str(self.folder), str(to)))
        return Depot(to, self.bootstrap, self.patch)


def write_parcels(folder: Path, n: int = 1500) -> None:
    """A parcel a minute, known late or not five minutes after; the large ones are late more often."""
    folder.mkdir(parents=True)
    (folder / "pipeline.yaml").write_text(PIPELINE.replace("FOLDER", str(folder)))
    for stream, fields in {"sent": {"size": "double", "weight": "double"}, "came": {"late": "integer"}}.items():
        named = {"parcel": "string", **fields, "known": "timestamp"}
        listed = [{"name": name, "type": kind, "nullable": False, "metadata": {}} for name, kind in named.items()]
        (folder / f"{stream}.json").write_text(json.dumps({"type": "struct", "fields": listed}))
    rng = np.random.default_rng(3)
    size, weight = rng.random(n), rng.random(n)
    late = (rng.random(n) < 0.1 + 0.8 * size).astype("int32")
    for stream, columns, after in (("sent", {"size": size, "weight": weight}, 0), ("came", {"late": late}, 5)):
        at = pa.array([START + timedelta(minutes=k + after) for k in range(n)], pa.timestamp("us", "UTC"))
        rows = pa.table(
            {"parcel": [f"p{k}" for k in range(n)], **columns, "known": at, "known_at": at, "verdict": ["accepted"] * n,
             "kafka_partition": np.zeros(n, "int32"), "kafka_offset": np.arange(n)}
        )  # fmt: skip
        write_deltalake(str(folder / "lake" / "events" / stream), rows, partition_by=["verdict"])


@pytest.fixture(scope="module")
def depot(spark, bootstrap: str, tmp_path_factory: pytest.TempPathFactory):
    """Two promoted versions and a refused one, decided while no broker ran."""
    folder = tmp_path_factory.mktemp("depot") / "p"
    write_parcels(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADRACE_HOME", str(folder))
        depot = Depot(folder, bootstrap, patch)
        depot.without_broker()
        said: list[str] = []
        patch.setattr(command, "say", said.append)
        done = headrace("train", str(folder), "--as-of", "2026-01-01T20:00")
        assert json.loads(done)["promoted"]
        assert train(spark, depot.pipeline, tracking=depot.tracking, as_of=START + timedelta(hours=24)).promoted
        depot.change("    tolerance: 0.1\n", "    tolerance: 0.1\n    floors: {auc: 0.99}\n")
        with pytest.raises(GateRefused, match=r"version 3 was not promoted: auc is 0\.\d+, at least 0\.99 is needed"):
            headrace("train", str(folder), "--as-of", "2026-01-02")
        assert len(said) == 2
        assert all(one.startswith(SAID + "the embedded broker does not run; the next train") for one in said)
        yield depot


@pytest.fixture
def copy(depot: Depot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Depot:
    """The lake with a trail of its own. MLflow is the one of the depot; the alias is at version 2 before and after."""
    made = Depot(depot.copy(tmp_path / "p").folder, depot.bootstrap, monkeypatch)
    monkeypatch.setenv("HEADRACE_HOME", str(depot.folder))
    made.without_broker()
    registry.open_tracking(depot.tracking)
    registry.set_alias(NAME, alias="champion", version=2)
    return made


def test_each_decision_is_on_the_trail_with_who_when_and_why(spark, depot: Depot) -> None:
    assert depot.told == [("promoted", 1, None), ("promoted", 2, 1), ("refused", 3, 2)]
    first, second, third = depot.trail
    assert {row["who"] for row in depot.trail} == {this_user()}
    assert first["why"].startswith("passed the gate's ")
    assert "at least 0.99 is needed" in third["why"]
    assert [check["name"] for check in third["checks"] if not check["passed"]] == ["floor/auc"]
    assert {"champion", "slice/weight/below 0.5", "slice/weight/0.5 and above"} < {
        one["name"] for one in second["checks"]
    }
    assert all(datetime.now(UTC) - row["decided_at"] < timedelta(hours=1) for row in depot.trail)
    with pytest.raises(Exception, match="DELTA_CANNOT_MODIFY_APPEND_ONLY"):
        spark.sql(f"DELETE FROM delta.`{depot.folder / 'lake' / 'decisions' / NAME}`")


def test_mlflow_holds_verdict_reasons_and_card_of_each_version(depot: Depot, tmp_path: Path) -> None:
    registry.open_tracking(depot.tracking)
    client = mlflow.MlflowClient()
    tags = {number: client.get_model_version(NAME, str(number)).tags for number in (1, 2, 3)}
    assert [tags[number]["headrace.gate"] for number in (1, 2, 3)] == ["passed", "passed", "refused"]
    assert tags[3]["headrace.decision.who"] == this_user()
    assert "at least 0.99 is needed" in client.get_model_version(NAME, "3").description
    for row in depot.trail:
        folder = Path(client.download_artifacts(row["run_id"], "", str(tmp_path)))
        page, text = ((folder / name).read_text() for name in ("card.html", "card.md"))
        assert page.count("data:image/png;base64,") == text.count("](") == (2 if row["version"] == 1 else 3)
        told = json.loads((folder / "gate.json").read_text())
        assert told["passed"] == (row["action"] == "promoted")
        assert "p1499" not in page + text, "no row's id is in it"
        shutil.rmtree(folder)
        folder.mkdir()


def test_a_repeated_decision_is_on_the_trail_once(spark, copy: Depot) -> None:
    from headrace.lake.decisions import log_decision, read_decisions

    path = str(copy.folder / "lake" / "decisions" / NAME)
    before = read_decisions(spark, path)
    log_decision(spark, path, before[0])
    assert read_decisions(spark, path) == before
    assert len(copy.trail) == 3


def test_what_was_decided_without_a_broker_is_sent_by_the_next_command_once(depot: Depot, copy: Depot) -> None:
    copy.with_broker()
    listed = [json.loads(line) for line in headrace("models", str(copy.folder), "--json").splitlines()]
    assert [one["version"] for one in listed] == [1, 2, 3]
    events = copy.events()
    assert [one["id"] for one in events] == [row["id"] for row in copy.trail] == [one["id"] for one in listed]
    last = events[-1]
    assert (last["form"], last["pipeline"], last["model"], last["alias"]) == (1, "parcels", NAME, "champion")
    assert (last["action"], last["version"], last["previous_version"]) == ("refused", 3, 2)
    assert datetime.fromisoformat(last["decided_at"]) == copy.trail[-1]["decided_at"]
    assert [one["name"] for one in last["checks"] if not one["passed"]] == ["floor/auc"]
    headrace("models", str(copy.folder))
    assert len(copy.events()) == 3, "sent again"

    # a topic that does not take it: the rollback is done all the same, and told later
    said: list[str] = []
    copy.patch.setattr(command, "say", said.append)
    take_up_to(10, copy.bootstrap)
    assert json.loads(headrace("rollback", str(copy.folder), "--why", "false alarms")) == {
        "version": 1, "previous_version": 2, "moved": True
    }  # fmt: skip
    assert copy.alias == 1
    assert [one.startswith(f"{SAID}topic {TOPIC!r} did not take 1 of 1 decisions") for one in said] == [True]
    assert len(copy.events()) == 3
    take_up_to(1_000_000, copy.bootstrap)
    headrace("models", str(copy.folder))
    events = copy.events()
    assert len(events) == 4
    assert (events[-1]["action"], events[-1]["why"]) == ("rolled_back", "false alarms")


def take_up_to(size: int, bootstrap: str) -> None:
    """From now on the topic takes no batch of more bytes."""
    entry = ConfigEntry("max.message.bytes", str(size), incremental_operation=AlterConfigOpType.SET)
    wanted = ConfigResource(ResourceType.TOPIC, TOPIC, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.incremental_alter_configs([wanted])[wanted].result(20)


def test_a_rollback_brings_back_the_champion_before_and_is_safe_to_repeat(copy: Depot) -> None:
    for moved in (True, False):
        told = json.loads(headrace("rollback", str(copy.folder), "--why", "too many false alarms"))
        assert told == {"version": 1, "previous_version": 2 if moved else 1, "moved": moved}
        assert copy.alias == 1
        assert copy.told[3:] == [("rolled_back", 1, 2)]
    assert copy.trail[-1]["why"] == "too many false alarms"
    headrace("rollback", str(copy.folder), "--to", "2")
    assert copy.alias == 2
    assert copy.told[4:] == [("rolled_back", 2, 1)]


def test_a_version_that_the_gate_refused_comes_back_only_where_it_is_said(copy: Depot) -> None:
    with pytest.raises(GateRefused, match="the gate did not let version 3 of model 'parcels-late' pass") as error:
        headrace("rollback", str(copy.folder), "--to", "3")
    assert error.value.exit_code == 10
    assert (copy.alias, len(copy.trail)) == (2, 3)
    headrace("rollback", str(copy.folder), "--to", "3", "--even-if-refused")
    assert copy.alias == 3
    assert copy.told[3:] == [("rolled_back", 3, 2)]


def test_a_rollback_that_was_broken_off_before_the_alias_moved_is_finished(copy: Depot, depot: Depot) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ModelError("MLflow went away")

    with copy.patch.context() as patch:
        patch.setattr(registry, "set_alias", broken)
        with pytest.raises(ModelError, match="went away"):
            headrace("rollback", str(copy.folder), "--why", "first try")
    assert (copy.alias, copy.told[3:]) == (2, [("rolled_back", 1, 2)])
    headrace("rollback", str(copy.folder), "--why", "second try")
    assert (copy.alias, copy.told[3:]) == (1, [("rolled_back", 1, 2)])


def test_versions_that_cannot_serve_are_refused_in_one_sentence(copy: Depot) -> None:
    with pytest.raises(ModelError, match=r"has no version 99; expected one of 1, 2, 3"):
        headrace("rollback", str(copy.folder), "--to", "99")
    copy.change("size: size, weight: weight", "size: size, weight: weight, both: size + weight")
    with pytest.raises(ModelError, match=r"version 1 .* was trained on other features than the pipeline file declares"):
        headrace("rollback", str(copy.folder))
    assert (copy.alias, len(copy.trail)) == (2, 3)


def test_a_version_of_another_kind_is_not_brought_back(copy: Depot) -> None:
    mlflow.MlflowClient().set_model_version_tag(NAME, "1", registry.TASK, as_text(Task("regression")))
    with pytest.raises(
        ModelError, match=r"version 1 .* is a regression model, and the pipeline file declares a binary one"
    ):
        headrace("rollback", str(copy.folder))
    assert (copy.alias, len(copy.trail)) == (2, 3)


def test_an_alias_that_was_moved_by_hand_is_told_and_not_guessed_about(copy: Depot) -> None:
    registry.set_alias(NAME, alias="champion", version=1)
    said: list[str] = []
    copy.patch.setattr(command, "say", said.append)
    headrace("models", str(copy.folder))
    assert said[0].startswith(
        "the trail says that version 2 serves, the alias 'champion' points to 1: it was moved by hand"
    )
    with pytest.raises(
        ModelError, match=r"points to version 1, by the trail to version 2: somebody moved it; say which"
    ):
        headrace("rollback", str(copy.folder))
    headrace("rollback", str(copy.folder), "--to", "2", "--why", "as the trail has it")
    assert copy.alias == 2


def test_a_challenger_is_not_promoted_over_a_champion_that_it_was_not_held_against(spark, copy: Depot) -> None:
    copy.change("    floors: {auc: 0.99}\n", "")
    from headrace.training import judgement

    real = judgement.current_champion

    def moved_meanwhile(model: Any) -> Any:
        found = real(model)
        registry.set_alias(NAME, alias="champion", version=1)
        return found

    copy.patch.setattr(judgement, "current_champion", moved_meanwhile)
    done = train(spark, copy.pipeline, tracking=copy.tracking, as_of=START + timedelta(days=1))
    assert not done.promoted
    assert "the alias champion moved from version 2 to 1 meanwhile; train again" in done.verdict.refusals
    assert copy.told[3:] == [("refused", done.version, 2)]


def test_without_a_promotion_there_is_nothing_to_go_back_to(spark, copy: Depot) -> None:
    shutil.rmtree(copy.folder / "lake" / "decisions")
    with pytest.raises(HeadraceError, match=r"knows no promotion; say which version to bring back"):
        rollback.roll_back(spark, copy.pipeline, tracking=copy.tracking)
