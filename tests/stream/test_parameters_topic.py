"""Parameters are in Delta first, then on a compacted topic from which anybody rebuilds them; what is lost of either comes back."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jsonschema
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic
from deltalake import DeltaTable
from pipelines import write_pipeline

from headrace.connections import Broker
from headrace.errors import BrokerError, ParametersError
from headrace.parameters import pin, publish, publish_missing, read, read_state, table, unpin
from headrace.parameters.event import Parameters
from headrace.parameters.publish import record, restore
from headrace.parameters.topic import ensure_topic
from headrace.spec import Pipeline
from headrace.workbench import Workbench

SCHEMA = json.loads((Path(__file__).parents[2] / "conf" / "parameters.schema.json").read_text(encoding="utf-8"))
T = datetime(2026, 1, 1, tzinfo=UTC)
UP, DOWN = ({"features": {"load": way}} for way in ("increasing", "decreasing"))


def make(folder: Path, bootstrap: str, name: str) -> tuple[Pipeline, Broker]:
    pipeline = write_pipeline(folder, bootstrap=bootstrap, topic=name)
    text = pipeline.file.read_text().replace("pipeline: meters", f"pipeline: {name}")
    pipeline.file.write_text(text)
    from headrace.spec import load

    return load(folder), Broker(bootstrap, {})


def records(bootstrap: str, topic: str) -> list[tuple[str, dict]]:
    """Every record of one name, read by a client that knows nothing of Headrace."""
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "judge", "enable.partition.eof": True})
    consumer.assign([TopicPartition(topic, 0, 0)])
    found = []
    while (message := consumer.poll(10)) is not None and not message.error():
        found.append((message.key().decode(), json.loads(message.value())))
    consumer.close()
    return [(key, value) for key, value in found if key.startswith("monotonic/")]


def delete_topic(bootstrap: str, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.delete_topics([topic])[topic].result(10)
    while topic in admin.list_topics(timeout=10).topics:
        pass


def put(bootstrap: str, topic: str, key: str, value: str | bytes | None) -> None:
    producer = Producer({"bootstrap.servers": bootstrap})
    producer.produce(topic, key=key, value=value)
    assert producer.flush(10) == 0


@pytest.fixture(scope="module")
def published(spark, bootstrap: str, tmp_path_factory: pytest.TempPathFactory):
    """Three versions of one name: two current in turn, and one that was only tried."""
    pipeline, broker = make(tmp_path_factory.mktemp("parameters"), bootstrap, "kept")
    common = {"broker": broker, "name": "monotonic", "sources": {"readings": 3}}
    first = publish(spark, pipeline, value=UP, as_of=T, **common)
    second = publish(spark, pipeline, value=DOWN, as_of=T, **common)
    again = publish(spark, pipeline, value=DOWN, as_of=T, **common)
    tried = publish(spark, pipeline, value=DOWN, as_of=T + timedelta(days=1), make_current=False, **common)
    return pipeline, broker, (first, second, again, tried)


def test_a_version_is_published_once_and_the_topic_is_compacted(published, bootstrap: str) -> None:
    pipeline, broker, (first, second, again, tried) = published
    assert [one.version for one in (first, second, again, tried)] == [1, 2, 2, 3]
    found = records(bootstrap, "kept.parameters")
    assert [key for key, _ in found] == [
        "monotonic/1", "monotonic/current", "monotonic/2", "monotonic/current", "monotonic/3",
    ]  # fmt: skip
    validator = jsonschema.Draft202012Validator(SCHEMA)
    assert [error.message for _, value in found for error in validator.iter_errors(value)] == []
    state = read_state(pipeline, broker=broker)
    assert state.current("monotonic") == second
    assert state.version("monotonic", 3) == tried
    asked = ConfigResource(ConfigResource.Type.TOPIC, "kept.parameters")
    admin = AdminClient({"bootstrap.servers": bootstrap})
    settings = admin.describe_configs([asked])[asked].result(10)
    assert settings["cleanup.policy"].value == "compact"


def test_delta_holds_the_very_records(published, bootstrap: str) -> None:
    pipeline, *_ = published
    rows = DeltaTable(f"{pipeline.spec.lake.root}/parameters").to_pyarrow_table().to_pylist()
    held = sorted((row["key"], row["sequence"], row["event"]) for row in rows if row["name"] == "monotonic")
    sent = sorted(
        (key, value["sequence"], json.dumps(value, sort_keys=True, separators=(",", ":")))
        for key, value in records(bootstrap, "kept.parameters")
    )
    assert held == sent


def test_the_workbench_lists_them(spark, published) -> None:
    pipeline, _, made = published
    frame = Workbench(spark, pipeline).parameters()
    frame = frame[frame["name"] == "monotonic"]
    assert list(frame["version"]) == [1, 2, 3]
    assert list(frame["current"]) == [False, True, False]
    assert list(frame["value"]) == [UP, DOWN, DOWN]
    assert list(frame["as_of"]) == [T, T, made[-1].as_of]


def test_a_pinned_version_stays_current_until_it_is_let_go(spark, published) -> None:
    pipeline, broker, _ = published
    weights = [{"positive": 1, "negative": n, "scale_pos_weight": float(n)} for n in (1, 2, 3)]
    common = {"broker": broker, "name": "class_weights"}
    for value in weights[:2]:
        publish(spark, pipeline, value=value, sources={}, as_of=T, **common)
    pin(spark, pipeline, version=1, why="2 lost money", **common)
    assert publish(spark, pipeline, value=weights[2], sources={}, as_of=T, **common).version == 3
    pointer = read_state(pipeline, broker=broker).pointers["class_weights"]
    assert (pointer.version, pointer.pinned, pointer.why) == (1, True, "2 lost money")
    with pytest.raises(ParametersError, match="there is no class_weights/9"):
        pin(spark, pipeline, version=9, why="?", **common)
    unpin(spark, pipeline, why="settled", **common)
    assert read_state(pipeline, broker=broker).current("class_weights").version == 3


def test_what_a_crash_left_unsent_is_sent_by_the_next_command_and_a_lost_topic_or_table_comes_back(
    spark, bootstrap: str, tmp_path: Path
) -> None:
    pipeline, broker = make(tmp_path, bootstrap, "lost")
    made = record(spark, pipeline, name="monotonic", value=UP, as_of=T, sources={})  # and then the power went
    assert read_state(pipeline, broker=broker).names == []
    heard: list[str] = []
    assert read(spark, pipeline, broker=None, notify=heard.append).current("monotonic") == made
    assert len(heard) == 1
    assert "copy in the lake" in heard[0]
    assert read(spark, pipeline, broker=broker).current("monotonic") == made
    assert publish_missing(spark, pipeline, broker=broker) == 0

    delete_topic(bootstrap, "lost.parameters")
    assert publish_missing(spark, pipeline, broker=broker) == 2
    before = read_state(pipeline, broker=broker)
    assert before.current("monotonic") == made

    shutil.rmtree(table.path_of(pipeline))
    with pytest.raises(ParametersError, match=r"monotonic/1 on topic 'lost\.parameters' has no copy in the lake"):
        read(spark, pipeline, broker=broker)
    assert restore(spark, pipeline, broker=broker) == 2
    assert table.read_table(spark, pipeline) == before
    assert publish(spark, pipeline, broker=broker, name="monotonic", value=DOWN, as_of=T, sources={}).version == 2


def test_two_who_publish_at_once_get_two_numbers(spark, published, monkeypatch) -> None:
    pipeline, broker, _ = published
    depths = [{"parameters": {"max_depth": depth}} for depth in (1, 2, 3)]
    add, others = table.add, depths[:2]

    def overtaken(spark, pipeline, events, *, sequence: int) -> bool:
        if others and isinstance(events[0], Parameters) and events[0].value == depths[2]:
            record(spark, pipeline, name="hyperparameters", value=others.pop(0), as_of=T, sources={})
        return add(spark, pipeline, events, sequence=sequence)

    monkeypatch.setattr(table, "add", overtaken)
    mine = publish(spark, pipeline, broker=broker, name="hyperparameters", value=depths[2], as_of=T, sources={})
    state = read_state(pipeline, broker=broker)
    assert [dict(one.value) for one in state.versions("hyperparameters")] == depths
    assert state.current("hyperparameters") == mine


@pytest.mark.parametrize(
    ("key", "change", "says"),
    [
        ("monotonic/1", {"pipeline": "others"}, "its content is not"),
        ("monotonic/7", {}, "its key is not monotonic/1"),
        ("x", None, "it is no JSON"),
        ("x", b"\xff\xfe", "it is no UTF-8"),
    ],
)
def test_a_foreign_record_is_refused_in_one_sentence(
    spark, bootstrap: str, tmp_path: Path, request, key: str, change, says: str
) -> None:
    name = f"foreign{request.node.callspec.indices['change']}"
    pipeline, broker = make(tmp_path, bootstrap, name)
    ensure_topic(pipeline, broker=broker)
    own = Parameters(name, "monotonic", 1, T, T, {}, UP, 1).as_json()
    planted = change if isinstance(change, bytes) else b"{" if change is None else json.dumps(json.loads(own) | change)
    put(bootstrap, f"{name}.parameters", key, planted)
    with pytest.raises(ParametersError, match=rf"the record {name}.parameters/0/0 .*{says}") as refused:
        read_state(pipeline, broker=broker)
    assert "\n" not in str(refused.value)


def test_a_record_of_another_pipeline_is_refused(spark, bootstrap: str, tmp_path: Path) -> None:
    pipeline, broker = make(tmp_path, bootstrap, "mine")
    ensure_topic(pipeline, broker=broker)
    other = Parameters("theirs", "monotonic", 1, T, T, {}, UP, 1)
    put(bootstrap, "mine.parameters", other.key, other.as_json())
    with pytest.raises(ParametersError, match="it is of the pipeline 'theirs', not of 'mine'"):
        read_state(pipeline, broker=broker)


def test_a_version_that_somebody_replaced_on_the_topic_is_refused(spark, bootstrap: str, tmp_path: Path) -> None:
    pipeline, broker = make(tmp_path, bootstrap, "replaced")
    made = publish(spark, pipeline, broker=broker, name="monotonic", value=UP, as_of=T, sources={})
    forged = Parameters("replaced", "monotonic", 1, T, made.made_at, {}, DOWN, 1)
    put(bootstrap, "replaced.parameters", forged.key, forged.as_json())
    with pytest.raises(ParametersError, match="monotonic/1 is there with two contents"):
        read(spark, pipeline, broker=broker)
    delete_topic(bootstrap, "replaced.parameters")
    ensure_topic(pipeline, broker=broker)
    put(bootstrap, "replaced.parameters", forged.key, forged.as_json())  # as after a compaction
    with pytest.raises(ParametersError, match="monotonic/1 on the topic is not what was published"):
        read(spark, pipeline, broker=broker)


def test_a_topic_that_forgets_is_refused(bootstrap: str, tmp_path: Path) -> None:
    pipeline, broker = make(tmp_path, bootstrap, "forgets")
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic("forgets.parameters", 1)])["forgets.parameters"].result(10)
    with pytest.raises(BrokerError, match=r"cleanup\.policy=delete"):
        ensure_topic(pipeline, broker=broker)


def test_a_value_that_no_reader_would_take_is_not_published(spark, published) -> None:
    pipeline, broker, _ = published
    common = {"broker": broker, "as_of": T, "sources": {}}
    with pytest.raises(ParametersError, match=r"value\.features"):
        publish(spark, pipeline, name="monotonic", value={"feature": {}}, **common)
    with pytest.raises(ParametersError, match="as its JSON schema says"):
        publish(spark, pipeline, name="hyperparameters", value={"parameters": {"eta": float("nan")}}, **common)
    words = [f"{number:0100}" for number in range(9000)]
    large = {
        "stream": "readings", "column": "owner", "values": words, "counts": [1] * 9000, "minimum_count": 1, "rare": 0, "missing": 0,
    }  # fmt: skip
    with pytest.raises(ParametersError, match="a record holds 900,000"):
        publish(spark, pipeline, name="vocabulary.owners", value=large, **common)
    state = read_state(pipeline, broker=broker)
    assert len(state.versions("monotonic")) == 3
    assert "vocabulary.owners" not in state.names
