"""The demo from end to end, as a user runs it: interrupted once, then to its end; every figure checked by other readers."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import numpy as np
import psutil
import pytest
from confluent_kafka import Consumer, TopicPartition
from deltalake import DeltaTable
from sklearn.metrics import roc_auc_score

from headrace.embedded.kafka import KafkaBroker
from headrace.feed import FLIGHT_TOPICS
from headrace.spec import load
from headrace.training.dataset import LABEL, build_dataset
from headrace.training.fit import fit
from headrace.training.gate import judge
from headrace.training.gather import gather
from headrace.training.learners.boosting import Boosted
from headrace.training.snapshot import to_arrow

PIPELINE = "conf/flights"
CUT = datetime(2013, 3, 1, 5, tzinfo=UTC)


@pytest.fixture
def flights(flights_lake, monkeypatch: pytest.MonkeyPatch):
    for name, value in flights_lake.items():
        monkeypatch.setenv(name, value)
    return load(PIPELINE)


def table(demo, path: str, columns: list[str]):
    return DeltaTable(str(demo.home / "lake" / path)).to_pyarrow_table(columns=columns).to_pandas()


def test_ctrl_c_ends_the_demo_with_its_code_and_without_a_trace(flights_demo) -> None:
    done = flights_demo.interrupted
    assert done.returncode == 130, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


def test_the_demo_runs_to_its_end_after_an_interrupted_one(flights_demo) -> None:
    done = flights_demo.finished
    assert done.returncode == 0, done.stdout + done.stderr
    assert "removing what an earlier demo left" in done.stdout
    assert "Traceback" not in done.stderr


def test_every_record_produced_is_accounted_for(flights_demo, flights_lake) -> None:
    bootstrap = KafkaBroker(flights_demo.home / "kafka").find().bootstrap
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "test"})
    in_kafka = sum(
        consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=60)[1]
        for topic in FLIGHT_TOPICS
        for partition in (0, 1)
    )
    consumer.close()
    figures = flights_demo.figures
    assert figures["records_produced"] == figures["records_accounted"] == in_kafka == 246_027
    assert figures["accepted"] + figures["quarantined"] == in_kafka
    assert figures["quarantined"] >= 1
    assert figures["rules"]["weather"]["quarantined"] == {"wind_speed_plausible": 1}
    assert figures["peak_rss_mb"] < 6 * 1024


def test_the_live_auc_is_honest(flights_demo, flights_lake) -> None:
    scores = table(flights_demo, "serving/flights-late/predictions", ["id", "probability", "at"])
    assert scores["id"].is_unique
    moved = table(flights_demo, "events/movements", ["flight_id", "kind", "arr_delay"])
    landed = moved[(moved.kind == "landed") & moved.arr_delay.notna()].set_index("flight_id").arr_delay
    known = scores[scores.id.isin(landed.index)]
    auc = roc_auc_score(landed[known.id] > 15, known.probability)
    assert auc == pytest.approx(flights_demo.figures["auc_live"], abs=1e-3)
    assert 0.74 <= auc <= 0.80
    assert flights_demo.figures["predictions"] == len(scores) == 28_834


def test_what_scoring_used_is_what_training_computes(spark, flights_demo, flights) -> None:
    names = list(flights.spec.features.names)
    dataset = build_dataset(spark, flights, as_of=datetime(2013, 5, 1, tzinfo=UTC))
    trained = (
        dataset.frame.where("at >= '2013-03-01 05:00:00'").select("id", *names).toPandas().set_index("id").sort_index()
    )
    scored = table(flights_demo, "serving/flights-late/predictions", ["id", *names]).set_index("id").sort_index()
    scored = scored.loc[trained.index]
    assert len(trained) > 27_000
    np.testing.assert_array_equal(trained[names].to_numpy(), scored[names].to_numpy())


def test_a_planted_leak_is_refused_by_the_gate(spark, flights) -> None:
    dataset = build_dataset(spark, flights, as_of=CUT)
    moved = spark.read.format("delta").load(f"{flights.spec.lake.root}/events/movements").where("kind = 'departed'")
    own = moved.selectExpr("flight_id as id", "dep_delay as own_dep_delay").dropDuplicates(["id"])
    rows = to_arrow(dataset.frame.join(own, "id", "left"))
    model = flights.spec.model
    cut = int(rows.num_rows * 0.85)
    order = np.argsort(rows.column("at").to_numpy(), kind="stable")
    train, test = rows.take(order[:cut]), rows.take(order[cut:])
    verdicts = {}
    for name, features in (("honest", dataset.features), ("leaking", (*dataset.features, "own_dep_delay"))):
        booster = fit(train, features=features, label=LABEL, parameters=model.parameters, rounds=60, seed=1)
        found = gather(model.gate, Boosted(booster), features=features, train=train, test=test, champion=None, seed=1)
        verdicts[name] = judge(model.gate, found)
    assert verdicts["honest"].passed, verdicts["honest"].refusals
    assert [check.name for check in verdicts["leaking"].checks if not check.passed] == ["leakage"]


def test_the_report_is_one_page_that_fetches_nothing(flights_demo, flights_lake) -> None:
    page = (flights_demo.home / "demo.html").read_text()
    assert page.count("data:image/png;base64,") == 4
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", page)
    assert "<script" not in page
    docs = (flights_demo.home / "data_docs" / "index.html").read_text()
    assert not re.findall(r"""(?:src|href)=["']https?:""", docs)


def test_a_second_demo_only_sums_up_again(flights_demo, flights_lake) -> None:
    before = flights_demo.figures
    done = flights_demo.headrace("demo", "--home", str(flights_demo.home))
    assert done.returncode == 0, done.stderr
    assert "summing it up again" in done.stdout
    assert json.loads((flights_demo.home / "demo.json").read_text()) == before


def test_no_registration_is_in_clear_in_the_lake(flights_demo, flights_lake) -> None:
    tails = table(flights_demo, "events/upcoming", ["tailnum"]).tailnum.dropna()
    assert tails.str.fullmatch(r"v1\.[0-9a-f]{32}").all()
    some = ("N14228", "N24211", "N619AA", "N804JB")  # the first flights of the year
    for path in (flights_demo.home / "lake").rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not [tail for tail in some if tail.encode() in content], path


def test_status_and_down_leave_no_process(flights_demo, flights_lake) -> None:
    running = KafkaBroker(flights_demo.home / "kafka").find()
    assert f"pid {running.pid}" in flights_demo.headrace("status").stdout
    assert "kafka      stopped" in flights_demo.headrace("down").stdout
    assert not psutil.pid_exists(running.pid) or psutil.Process(running.pid).status() == psutil.STATUS_ZOMBIE
    again = flights_demo.headrace("up")
    assert "running" in again.stdout, again.stderr
