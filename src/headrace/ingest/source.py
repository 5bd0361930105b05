"""The Kafka side: the streaming source, and what the broker says of its topics."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from headrace.connections import Broker
from headrace.errors import BrokerError
from headrace.ingest.cuts import over_cuts
from headrace.ingest.refusals import refusal, told_why
from headrace.spec.pipeline import Pipeline

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient
    from pyspark.sql import DataFrame, SparkSession

_SPARK_NAMES = {"ssl.ca.location": "ssl.truststore.location"}
TIMEOUT_S = 10.0
"""How long a start waits for Kafka's answer."""
PATIENCE_S = 120.0
"""How long a micro-batch does, as Spark's own consumer: a cluster may have to elect a new leader or controller meanwhile."""
FETCH_WAIT_MS = "20"
"""Spark's consumer asks for a topic's bounds behind a fetch ahead, which the broker answers only after this time where no record
came: Kafka's own 500 ms went into each micro-batch. An idle query fetches nothing.
"""


def read_topic(
    spark: SparkSession,
    topic: str,
    *,
    bootstrap: str,
    options: Mapping[str, str],
    max_offsets: int,
    starting_at: datetime | None = None,
) -> DataFrame:
    """A streaming frame of a topic's records from the earliest one, or the first one sent at or after ``starting_at``.

    Columns: ``key``, ``value``, ``topic``, ``partition``, ``offset``, ``timestamp``, ``timestampType``, and ``headers``, an array
    of names and values (null where there are none).

    It fails rather than skips where Kafka deleted records that were not read.
    """
    reader = (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", bootstrap)
        .option("subscribe", topic)
        .option("startingOffsets", "earliest")
        .option("maxOffsetsPerTrigger", max_offsets)
        .option("failOnDataLoss", "true")
        .option("kafka.isolation.level", "read_committed")
        .option("includeHeaders", "true")
        .option("kafka.fetch.max.wait.ms", FETCH_WAIT_MS)
    )
    if starting_at is not None:
        reader = reader.option("startingTimestamp", str(int(starting_at.timestamp() * 1000)))
        reader = reader.option("startingOffsetsByTimestampStrategy", "latest")
    for name, value in spark_options(options).items():
        reader = reader.option(name, value)
    return reader.load()


def spark_options(options: Mapping[str, str]) -> dict[str, str]:
    """librdkafka settings as the Java client, under Spark's ``kafka.`` prefix, wants them."""
    made = {_SPARK_NAMES.get(name, name): value for name, value in options.items()}
    if "ssl.truststore.location" in made:
        made.setdefault("ssl.truststore.type", "PEM")
    user, password = made.pop("sasl.username", None), made.pop("sasl.password", None)
    if user is not None and password is not None:
        module = "plain.PlainLoginModule" if made.get("sasl.mechanism") == "PLAIN" else "scram.ScramLoginModule"
        quoted = (value.replace("\\", "\\\\").replace('"', '\\"') for value in (user, password))
        made["sasl.jaas.config"] = 'org.apache.kafka.common.security.{} required username="{}" password="{}";'.format(
            module, *quoted
        )
    return {f"kafka.{name}": value for name, value in made.items()}


def client_settings(bootstrap: str, options: Mapping[str, str]) -> dict[str, Any]:
    """Settings of a confluent-kafka client that keeps its own log quiet."""
    return {"bootstrap.servers": bootstrap, "logger": _silent(), **options}


def end_offsets(topics: Iterable[str], *, bootstrap: str, options: Mapping[str, str]) -> dict[str, dict[int, int]]:
    """Topic to partition to end offset (the next record to be written), of committed transactions only.

    Raises BrokerError where the broker can't be reached or a topic is absent.
    """
    found = held_offsets(topics, bootstrap=bootstrap, options=options)
    return {topic: {partition: end for partition, (_, end) in held.items()} for topic, held in found.items()}


def held_offsets(
    topics: Iterable[str], *, bootstrap: str, options: Mapping[str, str]
) -> dict[str, dict[int, tuple[int, int]]]:
    """Topic to partition to the earliest offset that Kafka still holds, and the end offset. Raises as above."""
    from confluent_kafka import Consumer, KafkaException, TopicPartition

    settings = {"group.id": "headrace-offsets", "enable.auto.commit": False, "isolation.level": "read_committed"}
    consumer = Consumer({**client_settings(bootstrap, options), **settings})
    try:
        known = consumer.list_topics(timeout=TIMEOUT_S).topics
        found: dict[str, dict[int, tuple[int, int]]] = {}
        for topic in topics:
            metadata = known.get(topic)
            if metadata is None or metadata.error is not None:
                asked = consumer.list_topics(topic, timeout=TIMEOUT_S).topics[topic]  # of one that it hides it says so
                why = refusal(str(asked.error), topic=topic)
                if why:
                    raise BrokerError(f"{bootstrap}: {why}")
                raise BrokerError(
                    f"topic {topic!r} does not exist at {bootstrap}; create it, or start its producer first"
                )
            found[topic] = {
                partition: consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=TIMEOUT_S)
                for partition in metadata.partitions
            }
        return found
    except KafkaException as error:
        raise unreachable(bootstrap, error, options) from None
    finally:
        consumer.close()


def topic_settings(broker: Broker, topic: str) -> dict[str, str] | None:
    """What the broker says of a topic's settings, or None where it does not answer, or does not say."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient, ConfigResource

    admin = AdminClient(client_settings(broker.bootstrap, broker.options))
    asked = ConfigResource(ConfigResource.Type.TOPIC, topic)
    try:
        settings = admin.describe_configs([asked], request_timeout=TIMEOUT_S)[asked].result(TIMEOUT_S)
    except (KafkaException, TimeoutError):
        return None
    return {name: str(setting.value) for name, setting in settings.items()}


class Topic:
    """What Kafka says of one topic now. All methods raise BrokerError where it can't be reached or the topic is absent."""

    def __init__(self, name: str, *, broker: Broker) -> None:
        self.name, self.broker = name, broker
        self._admin: AdminClient | None = None

    def id(self, *, unless: Callable[[], bool] | None = None) -> str:
        """Kafka's own id of the topic; one that was deleted and made anew under the same name has another.

        With ``unless`` it waits for ``PATIENCE_S`` rather than ``TIMEOUT_S``, or until that says to give up.
        """
        from confluent_kafka import KafkaException, TopicCollection
        from confluent_kafka.admin import AdminClient

        def ask(seconds: float) -> str:
            # a client that knows the controller by a broker that is gone never asks for another one: each try has a new one
            admin, self._admin = self._admin, None
            admin = admin or AdminClient(client_settings(self.broker.bootstrap, self.broker.options))
            found = admin.describe_topics(TopicCollection([self.name]), request_timeout=seconds)
            told = str(found[self.name].result(seconds).topic_id)
            self._admin = admin
            return told

        try:
            return over_cuts(ask, seconds=TIMEOUT_S if unless is None else PATIENCE_S, unless=unless)
        except (KafkaException, TimeoutError) as error:
            raise unreachable(self.broker.bootstrap, error, self.broker.options) from None

    def earliest(self) -> dict[int, int]:
        """Partition to the first offset that Kafka still holds."""
        held = held_offsets([self.name], bootstrap=self.broker.bootstrap, options=self.broker.options)[self.name]
        return {partition: first for partition, (first, _) in held.items()}


def stream_ends(
    pipeline: Pipeline, streams: Iterable[str] | None = None, *, broker: Broker
) -> dict[str, dict[int, int]]:
    """Stream (all of the pipeline's, or these) to partition to the offset where its topic ends now. Raises as above."""
    topics = {
        name: pipeline.spec.streams[name].topic for name in (pipeline.spec.streams if streams is None else streams)
    }
    ends = end_offsets(topics.values(), bootstrap=broker.bootstrap, options=broker.options)
    return {name: ends[topic] for name, topic in topics.items()}


def unreachable(bootstrap: str, error: BaseException, options: Mapping[str, str]) -> BrokerError:
    """The one sentence for a broker that does not answer, or does not let us in."""
    text = str(error.args[0].str() if error.args and hasattr(error.args[0], "str") else error)
    reason = (text.splitlines() or ["timed out"])[0]
    guarded = any(name.startswith(("sasl.", "ssl.", "security.")) for name in options)
    why = refusal(f"{error} {text}") or (told_why(bootstrap, options) if guarded else None)
    if why:
        return BrokerError(f"{bootstrap}: {why}")
    return BrokerError(
        f"no Kafka broker answers at {bootstrap} ({reason}); start it (headrace up, for the embedded one) or correct "
        "kafka.bootstrap_servers"
    )


def _silent() -> logging.Logger:
    logger = logging.getLogger("headrace.librdkafka")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    return logger
