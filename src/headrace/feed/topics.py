"""The topics that a feed writes to: created where absent, and asked what they hold."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, ClusterMetadata, ConfigResource, NewTopic, ResourceType

from headrace.errors import BrokerError, HeadraceError
from headrace.feed.record import instant
from headrace.ingest.refusals import refusal, told_why

ANSWER_WITHIN_S = 10.0
PARTITIONS = 2
_KEEP = {"retention.ms": "-1", "cleanup.policy": "delete", "message.timestamp.type": "CreateTime"}
_NO_LEADER_YET = {
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
}


def open_topics(topics: Sequence[str], *, bootstrap: str, kafka_options: Mapping[str, str]) -> list[str]:
    """Create the ``topics`` that are absent, check that the others keep records of the past, and return the others.

    Raises BrokerError if no broker answers within 10 s, a topic can't be created, or an existing topic would expire
    the records (those of 2013 are gone within minutes where ``retention.ms`` is the default) or restamp them.
    """
    try:
        admin = AdminClient(client_settings(bootstrap, kafka_options))
    except KafkaException as error:
        raise refused_options(error) from error
    cluster = _metadata(admin, bootstrap, kafka_options)
    absent = [topic for topic in topics if topic not in cluster.topics]
    present = [topic for topic in topics if topic in cluster.topics]
    _check_kept(admin, present)
    if not absent:
        return present
    copies = min(len(cluster.brokers), 3)
    new = [NewTopic(topic, PARTITIONS, replication_factor=copies, config=_KEEP) for topic in absent]
    for topic, created in admin.create_topics(new, request_timeout=ANSWER_WITHIN_S).items():
        try:
            created.result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise BrokerError(f"Topic {topic} can't be created: {reason(error)}; create it yourself.") from error
    return present


def refuse_if_fed(
    topics: Sequence[str], *, first: datetime, after: datetime, bootstrap: str, kafka_options: Mapping[str, str]
) -> None:
    """Raise HeadraceError if a topic has a record with a timestamp from ``first`` up to, not including, ``after``."""
    begin, end = int(first.timestamp() * 1000), int(after.timestamp() * 1000)
    settings = {
        "group.id": "headrace-feed",
        "enable.auto.commit": "false",
        "enable.partition.eof": "true",
        **client_settings(bootstrap, kafka_options),
    }
    consumer = Consumer(settings)
    try:
        for topic in topics:
            found = _first_within(consumer, topic, begin=begin, end=end)
            if found is not None:
                raise HeadraceError(
                    f"The topic {topic} holds records of these days already, one of {instant(found):%Y-%m-%d %H:%M} "
                    "UTC: feed other days, or say that you want them again (`again`)."
                )
    except KafkaException as error:
        raise BrokerError(f"Kafka at {bootstrap} can't say what it holds: {reason(error)}; try again.") from error
    finally:
        consumer.close()


def client_settings(bootstrap: str, kafka_options: Mapping[str, str]) -> dict[str, Any]:
    """Settings of any client: the user's options, the address, and librdkafka's own log kept off the terminal."""
    return {"log_level": 0, "error_cb": lambda _: None, **kafka_options, "bootstrap.servers": bootstrap}


def refused_options(error: KafkaException) -> BrokerError:
    """The error for Kafka options that librdkafka does not take."""
    return BrokerError(f"The Kafka client refuses its options: {reason(error)}; correct `kafka_options`.")


def reason(error: KafkaException | KafkaError) -> str:
    """What librdkafka says, without its prefix and final stop."""
    inner = error.args[0] if isinstance(error, KafkaException) else error
    return str(inner.str() if isinstance(inner, KafkaError) else inner).rstrip(".")


def _metadata(admin: AdminClient, bootstrap: str, options: Mapping[str, str]) -> ClusterMetadata:
    try:
        return admin.list_topics(timeout=ANSWER_WITHIN_S)
    except KafkaException as error:
        why = refusal(str(error)) or told_why(bootstrap, options)
        if why:
            raise BrokerError(f"{bootstrap}: {why}") from error
        raise BrokerError(
            f"No Kafka broker answered at {bootstrap} within {ANSWER_WITHIN_S:.0f} s ({reason(error)}): start it "
            "(`headrace up` starts one on this machine), or correct the address."
        ) from error


def _check_kept(admin: AdminClient, topics: Sequence[str]) -> None:
    if not topics:
        return
    asked = [ConfigResource(ResourceType.TOPIC, topic) for topic in topics]
    for resource, answer in admin.describe_configs(asked, request_timeout=ANSWER_WITHIN_S).items():
        try:
            settings = answer.result()
        except KafkaException:  # not everybody may read settings: then the user answers for them
            continue
        wrong = [name for name in _KEEP if name != "cleanup.policy" and settings[name].value != _KEEP[name]]
        if wrong:
            raise BrokerError(
                f"The topic {resource.name} has {wrong[0]}={settings[wrong[0]].value}, which would drop or restamp "
                f"records of the past: set {wrong[0]}={_KEEP[wrong[0]]} on it, or delete it and feed again."
            )


def _first_within(consumer: Consumer, topic: str, *, begin: int, end: int) -> int | None:
    """The timestamp of the first record found in [begin, end), or None."""
    cluster = consumer.list_topics(topic, timeout=ANSWER_WITHIN_S)
    partitions = [TopicPartition(topic, number, begin) for number in cluster.topics[topic].partitions]
    places = _offsets(consumer, partitions)
    waiting = [place for place in places if place.offset >= 0]
    if not waiting:
        return None
    consumer.assign(waiting)
    ended = 0
    while ended < len(waiting):
        message = consumer.poll(ANSWER_WITHIN_S)
        if message is None:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        error = message.error()
        if error is not None:
            if error.code() != KafkaError._PARTITION_EOF:
                raise KafkaException(error)
            ended += 1
        elif begin <= message.timestamp()[1] < end:
            return message.timestamp()[1]
    return None


def _offsets(consumer: Consumer, partitions: list[TopicPartition]) -> list[TopicPartition]:
    """Offsets for times, asked again while a topic that was created just now has no leader yet."""
    deadline = time.monotonic() + ANSWER_WITHIN_S
    while True:
        try:
            return consumer.offsets_for_times(partitions, timeout=ANSWER_WITHIN_S)
        except KafkaException as error:
            if error.args[0].code() not in _NO_LEADER_YET or time.monotonic() > deadline:
                raise
            time.sleep(0.1)
