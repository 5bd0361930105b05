"""Scoring: requests wait for the streams that feed their features, are answered once, and are published from the table."""

from __future__ import annotations

import json
import threading
from datetime import UTC, timedelta
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError
from deltalake import DeltaTable
from pyspark.sql import functions as F
from rides import CUT, START, events, make_pipeline, send, train_on_history

from headrace.connections import Broker, connect_tracking
from headrace.errors import ModelError
from headrace.ingest.run import start_ingest
from headrace.serving.run import start_scoring
from headrace.serving.scoring import ScoreReport
from headrace.spec import Pipeline
from headrace.training import registry
from headrace.training.dataset import build_dataset
from headrace.training.run import train


@pytest.fixture(scope="module")
def rides(spark, bootstrap: str, tmp_path_factory: pytest.TempPathFactory):
    """Ten hours of history, ingested, and a promoted model."""
    folder = tmp_path_factory.mktemp("rides")
    unborn = make_pipeline(folder / "unborn", bootstrap, "unborn")
    broker, tracking = Broker(bootstrap, {}), connect_tracking(unborn, home=folder)
    with pytest.raises(ModelError, match="headrace train"):
        start_scoring(spark, unborn, broker=broker, tracking=tracking, until_caught_up=True)
    pipeline = train_on_history(spark, folder, bootstrap=bootstrap, prefix="rides")
    return pipeline, broker, connect_tracking(pipeline, home=folder)


def predictions(pipeline: Pipeline) -> dict[str, dict]:
    rows = (
        DeltaTable(f"{pipeline.spec.lake.root}/serving/{pipeline.spec.model.name}/predictions")
        .to_pyarrow_table()
        .to_pylist()
    )
    assert len({row["id"] for row in rows}) == len(rows), "a request was answered twice"
    return {row["id"]: row for row in rows}


def test_requests_wait_for_ingest_and_get_the_features_that_training_computes(spark, rides, bootstrap: str) -> None:
    pipeline, broker, tracking = rides
    send(bootstrap, events("rides", first=600, last=700))
    reports: list[ScoreReport] = []
    scoring = start_scoring(
        spark, pipeline, broker=broker, tracking=tracking, until_caught_up=True, starting_at=CUT, on_score=reports.append
    )  # fmt: skip
    scoring._requests.query.awaitTermination()
    for _ in range(3):
        scoring.step()  # ingest has not read the new rides: nothing may be answered that needs them
    behind = {
        row["at"]
        for row in predictions(pipeline).values()
        if row["at"].astimezone(UTC) > START + timedelta(minutes=625)
    }
    assert behind == set()
    runner = threading.Thread(target=scoring.run)
    runner.start()
    start_ingest(spark, pipeline, broker=broker, until_caught_up=True).wait()
    runner.join(120)
    assert not runner.is_alive()
    found = predictions(pipeline)
    assert set(found) == {f"r{minute}" for minute in range(600, 700)}
    assert {row["model_version"] for row in found.values()} == {1}
    assert not any(row["degraded"] for row in found.values())

    names = pipeline.spec.features.names
    trained = build_dataset(spark, pipeline, as_of=START + timedelta(days=2)).frame.where(F.col("at") >= F.lit(CUT))
    rows = {row["id"]: row for row in trained.select("id", *names).collect()}
    assert set(rows) == set(found)
    for id_, row in rows.items():
        assert {name: row[name] for name in names} == {name: found[id_][name] for name in names}
    assert any(row["last_delay"] is not None for row in found.values())


def test_a_restart_answers_nothing_twice_and_a_new_champion_takes_over(spark, rides, bootstrap: str) -> None:
    pipeline, broker, tracking = rides
    before = predictions(pipeline)
    second = train(spark, pipeline, tracking=tracking, as_of=START + timedelta(hours=12))
    assert second.promoted
    send(bootstrap, events("rides", first=800, last=830))
    start_ingest(spark, pipeline, broker=broker, until_caught_up=True).wait()
    start_scoring(spark, pipeline, broker=broker, tracking=tracking, until_caught_up=True).run()
    after = predictions(pipeline)
    assert {id_: after[id_] for id_ in before} == before
    assert {after[id_]["model_version"] for id_ in set(after) - set(before)} == {2}
    assert len(after) - len(before) == 30


def test_what_is_published_is_what_was_committed(rides, bootstrap: str) -> None:
    pipeline, *_ = rides
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "answers",
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
        }
    )
    consumer.subscribe([pipeline.spec.scoring.topic])
    published, ended = {}, set()
    while len(ended) < 2:
        message = consumer.poll(10)
        assert message is not None
        if message.error():
            assert message.error().code() == KafkaError._PARTITION_EOF
            ended.add(message.partition())
        else:
            answer = json.loads(message.value())
            assert message.key().decode() == answer["id"]
            published[answer["id"]] = (answer["probability"], answer["model_version"])
    consumer.close()
    assert published == {
        row["id"]: (row["probability"], row["model_version"]) for row in predictions(pipeline).values()
    }


def test_a_model_file_that_was_changed_is_refused(rides) -> None:
    pipeline, _, tracking = rides
    registry.open_tracking(tracking)
    name = pipeline.spec.model.name
    version = registry.alias_version(name, pipeline.spec.model.alias)
    model = registry.load(name, version=version)
    files = [path for path in Path(tracking.artifacts.removeprefix("file://")).rglob("model.ubj") if path.is_file()]
    assert files
    kept = {path: path.read_bytes() for path in files}
    try:
        for path, content in kept.items():
            path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(ModelError, match="SHA-256 differs"):
            registry.load(name, version=version)
    finally:
        for path, content in kept.items():
            path.write_bytes(content)
    assert registry.load(name, version=version).features == model.features
