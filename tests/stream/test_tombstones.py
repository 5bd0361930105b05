"""What was published to a compacted topic goes with tombstones: where compaction finds them, and noticed where one is refused."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from deltalake import DeltaTable
from handed_over import lines_of, stored
from pipelines import make_topic
from shop import EMAIL, GONE, HERS, SHE, Shop, headrace

from headrace.connections import Broker
from headrace.erasure import topics
from headrace.erasure.topics import tombstone
from headrace.errors import BrokerError
from headrace.lake.tables import create_table
from headrace.serving.publish import start_publishing
from headrace.serving.score import predictions_schema

TOPIC, OTHER_TOPIC = "shop-predictions", "shop-predictions-again"
Message = tuple[int, str, bytes | None]
"""Partition, key and value."""


def messages(bootstrap: str, topic: str) -> list[Message]:
    """All of a topic, partition by partition."""
    return [
        (partition, (one.key() or b"").decode(), one.value())
        for partition in (0, 1)
        for one in stored(bootstrap, topic, partition)
    ]


def held(found: list[Message]) -> set[str]:
    """Keys whose prediction stays when each partition was compacted: its newest record with the key is kept."""
    newest = {(partition, key): value for partition, key, value in found}
    return {key for (_, key), value in newest.items() if value is not None}


@dataclass(frozen=True)
class Answered:
    """A copy of the shop in which predictions were made and published to two compacted topics; and the ids of hers."""

    shop: Shop
    hers: frozenset[str]
    others: frozenset[str]

    @property
    def predictions(self) -> Path:
        return self.shop.lake / "serving" / "shop-model" / "predictions"

    @property
    def ids(self) -> set[str]:
        return {*DeltaTable(str(self.predictions)).to_pyarrow_table(columns=["id"]).column("id").to_pylist()}


@pytest.fixture(scope="module")
def answered(spark, shopped: Shop, tmp_path_factory: pytest.TempPathFactory) -> Answered:
    """She was answered under both versions of the key."""
    shop = shopped.copy(tmp_path_factory.mktemp("answered") / "p")
    file = shop.folder / "pipeline.yaml"
    file.write_text(json.dumps({**json.loads(file.read_text()), "scoring": {"topic": TOPIC}}))
    pipeline = shop.pipeline
    hers = shop.pseudonyms(EMAIL, f"canary{HERS}@example.org", 2)
    others = [shop.pseudonyms(EMAIL, f"somebody{n}@example.org", 2)[1] for n in range(30)]
    predictions = str(shop.lake / "serving" / "shop-model" / "predictions")
    assert pipeline.spec.features is not None
    schema = predictions_schema(pipeline.spec.features)
    create_table(spark, predictions, schema=schema, statistics=("at", "score_batch"))
    rows = [(one, *(None for _ in schema[1:])) for one in [*hers, *others]]
    spark.createDataFrame(rows, schema).write.format("delta").mode("append").save(predictions)
    for topic in (TOPIC, OTHER_TOPIC):
        make_topic(shop.bootstrap, topic, partitions=2, **{"cleanup.policy": "compact"})
        query = start_publishing(
            spark, predictions=predictions, checkpoint=f"{shop.lake}/checkpoints/{topic}", topic=topic,
            broker=Broker(shop.bootstrap, {}), trigger_seconds=0.1,
        )  # fmt: skip
        query.processAllAvailable()
        query.stop()
        assert held(messages(shop.bootstrap, topic)) == {*hers, *others}
    return Answered(shop, frozenset(hers), frozenset(others))


def test_a_tombstone_goes_to_the_partition_of_the_prediction(
    answered: Answered, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check is shown to catch tombstones where librdkafka puts them by itself."""
    bootstrap, ids = answered.shop.bootstrap, {*answered.hers, *answered.others}
    with monkeypatch.context() as patch:
        patch.setattr(topics, "_AS_PUBLISHED", {})
        assert tombstone(Broker(bootstrap, {}), OTHER_TOPIC, ids) == len(ids)
        assert held(messages(bootstrap, OTHER_TOPIC))
    assert tombstone(Broker(bootstrap, {}), OTHER_TOPIC, ids) == len(ids)
    assert held(messages(bootstrap, OTHER_TOPIC)) == set()


def take_up_to(size: int, bootstrap: str) -> None:
    """From now on the topic takes no batch of more bytes."""
    entry = ConfigEntry("max.message.bytes", str(size), incremental_operation=AlterConfigOpType.SET)
    wanted = ConfigResource(ResourceType.TOPIC, TOPIC, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.incremental_alter_configs([wanted])[wanted].result(20)


def states(shop: Shop) -> list[str]:
    folder = shop.lake / "access" / "erasures"
    return sorted(json.loads(file.read_text())["state"] for file in folder.glob("*.json"))


@pytest.fixture(scope="module")
def erased(answered: Answered, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Refused at first; then finished by the erasure of somebody else. Before it she is given her data."""
    shop, folder = answered.shop, tmp_path_factory.mktemp("given")
    headrace("subject", str(shop.folder), "--subject", SHE, "--export", str(folder / "ada"))
    given = lines_of(folder / "ada")["serving.shop-model.predictions.jsonl"]
    assert {line["row"]["id"] for line in given} == answered.hers
    assert len(given) == len(answered.hers)
    take_up_to(10, shop.bootstrap)
    with pytest.raises(BrokerError, match=r"did not take 2 of 2 tombstones .* run the same command again"):
        headrace("erase", str(shop.folder), "--subject", SHE)
    assert states(shop) == ["begun"]
    assert answered.hers < answered.ids
    assert GONE["customers"] < shop.rows().keys(), "by which her predictions are found"
    assert held(messages(shop.bootstrap, TOPIC)) == {*answered.hers, *answered.others}
    take_up_to(1_000_000, shop.bootstrap)
    told = json.loads(headrace("erase", str(shop.folder), "--subject", "no.one@example.org", "--json"))
    return told["records"]


def test_a_repeat_finishes_what_a_refused_tombstone_broke_off(answered: Answered, erased: list[dict[str, Any]]) -> None:
    shop = answered.shop
    assert held(messages(shop.bootstrap, TOPIC)) == answered.others
    assert answered.ids == answered.others
    assert not GONE["customers"] & shop.rows().keys()
    assert states(shop) == ["done"]
    (record,) = erased
    assert record["predictions"] == len(answered.hers)
    assert [sentence for sentence in record["left"] if sentence.startswith(f"topic {TOPIC} is compacted")]


def test_nobody_elses_prediction_got_a_tombstone(answered: Answered, erased: list[dict[str, Any]]) -> None:
    tombstones = {key for _, key, value in messages(answered.shop.bootstrap, TOPIC) if value is None}
    assert tombstones == answered.hers
