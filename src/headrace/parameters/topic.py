"""The compacted topic ``<pipeline>.parameters``: made, read from its beginning to where it ends now, and written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from headrace.connections import Broker
from headrace.errors import BrokerError, ParametersError
from headrace.ingest.refusals import refusal
from headrace.ingest.source import TIMEOUT_S, client_settings, topic_settings, unreachable
from headrace.parameters.event import Event
from headrace.parameters.schema import parse
from headrace.parameters.state import State, state_of
from headrace.spec.pipeline import Pipeline

LARGEST_BYTES = 900_000
"""Of one record: a broker takes 1 MiB unless told otherwise."""
_DELIVERY_MS = 30_000


def ensure_topic(pipeline: Pipeline, *, broker: Broker) -> bool:
    """Make the topic if it is absent; whether it was. Raises BrokerError, also where Kafka would delete old versions by age."""
    from confluent_kafka import KafkaError, KafkaException
    from confluent_kafka.admin import AdminClient, NewTopic

    topic = pipeline.parameters_topic
    admin = AdminClient(client_settings(broker.bootstrap, broker.options))
    try:
        cluster = admin.list_topics(timeout=TIMEOUT_S)
        if topic in cluster.topics:
            _require_compacted(topic, broker)
            return False
        copies = min(len(cluster.brokers), 3)
        wanted = NewTopic(topic, 1, replication_factor=copies, config={"cleanup.policy": "compact"})
        admin.create_topics([wanted])[topic].result(TIMEOUT_S)  # pyright: ignore
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise unreachable(broker.bootstrap, error, broker.options) from None
        return False
    except TimeoutError:
        raise BrokerError(
            f"the broker at {broker.bootstrap} did not create topic {topic!r} in time; try again"
        ) from None
    return True


def read_topic(pipeline: Pipeline, *, broker: Broker) -> State | None:
    """The state that the topic's records come to, or None where the topic is absent.

    Raises BrokerError where the broker does not answer, ParametersError where a record is malformed, or not of this pipeline.
    """
    topic = pipeline.parameters_topic
    events = list[Event]()
    found = _records(topic, broker)
    if found is None:
        return None
    for where, key, value in found:
        events.append(_event(pipeline, f"{topic}/{where}", key, value))
    try:
        return state_of(events)
    except ValueError as error:
        raise _refused(topic, str(error)) from None


def send(pipeline: Pipeline, events: Iterable[Event], *, broker: Broker) -> int:
    """Send the events in their order, and wait until the broker has them; how many. Raises BrokerError where it has not."""
    from confluent_kafka import KafkaException, Producer

    topic = pipeline.parameters_topic
    settings = {
        **client_settings(broker.bootstrap, broker.options),
        "enable.idempotence": True,  # a repeated request does not put an older pointer behind a newer one
        "partitioner": "murmur2_random",
        "message.timeout.ms": _DELIVERY_MS,
    }
    wanted, delivered, failed = list(events), list[object](), list[str]()

    def told(error: Any, message: object) -> None:
        failed.append(str(error.str())) if error else delivered.append(message)

    try:
        producer = Producer(settings)
        for event in wanted:
            producer.produce(topic, key=event.key, value=event.as_json(), on_delivery=told)
        producer.flush(2 * _DELIVERY_MS / 1000)
    except KafkaException as error:
        failed.append(str(error.args[0].str()))
    if len(delivered) < len(wanted):
        why = failed[0] if failed else "no answer"
        raise BrokerError(
            f"topic {topic!r} did not take {len(wanted) - len(delivered)} of {len(wanted)} records of parameters "
            f"({refusal(why, topic=topic) or why}); they are in the lake: mend that, then run headrace parameters publish "
            f"{pipeline.folder}"
        )
    return len(wanted)


def _records(topic: str, broker: Broker) -> list[tuple[str, bytes | None, bytes]] | None:
    """Where (partition/offset), key and value of every record up to where the topic ends now; tombstones remove nothing."""
    from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

    settings: dict[str, Any] = {
        **client_settings(broker.bootstrap, broker.options), "group.id": "headrace-parameters",
        "enable.auto.commit": False, "isolation.level": "read_committed", "enable.partition.eof": True,
        "auto.offset.reset": "earliest",
    }  # fmt: skip
    consumer = Consumer(settings)
    try:
        metadata = consumer.list_topics(timeout=TIMEOUT_S).topics.get(topic)
        if metadata is None or metadata.error is not None:
            asked = consumer.list_topics(topic, timeout=TIMEOUT_S).topics[topic]  # of one that it hides it says so
            why = refusal(str(asked.error), topic=topic)
            if why:
                raise BrokerError(f"{broker.bootstrap}: {why}")
            return None
        ends = {
            number: consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=TIMEOUT_S)
            for number in metadata.partitions
        }
        left = {number: end for number, (begin, end) in ends.items() if begin < end}
        if not left:
            return []
        consumer.assign([TopicPartition(topic, number, ends[number][0]) for number in left])
        found: list[tuple[str, bytes | None, bytes]] = []
        while left:
            message = consumer.poll(TIMEOUT_S)
            if message is None:
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
            number, error = message.partition() or 0, message.error()
            if error is not None:
                if error.code() != KafkaError._PARTITION_EOF:
                    raise KafkaException(error)
                left.pop(number, None)
                continue
            offset, value = message.offset() or 0, message.value()
            if value is not None and number in left and offset < left[number]:
                found.append((f"{number}/{offset}", _bytes(message.key()), _bytes(value) or b""))
            if offset + 1 >= left.get(number, 0):
                left.pop(number, None)
        return found
    except KafkaException as error:
        raise unreachable(broker.bootstrap, error, broker.options) from None
    finally:
        consumer.close()


def _event(pipeline: Pipeline, where: str, key: bytes | None, value: bytes) -> Event:
    try:
        event = parse(value.decode())
    except UnicodeDecodeError:
        raise _refused(where, "it is no UTF-8") from None
    except ValueError as error:
        raise _refused(where, str(error)) from None
    if event.pipeline != pipeline.name:
        raise _refused(where, f"it is of the pipeline {event.pipeline[:60]!r}, not of {pipeline.name!r}")
    if key != event.key.encode():
        raise _refused(where, f"its key is not {event.key}")
    return event


def _refused(where: str, why: str) -> ParametersError:
    return ParametersError(
        f"the record {where} is not one of Headrace's parameters: {why}; find out who wrote it, delete the topic, and run headrace "
        "parameters publish, which makes it anew from the lake"
    )


def _require_compacted(topic: str, broker: Broker) -> None:
    settings = topic_settings(broker, topic)
    policy = "compact" if settings is None else settings.get("cleanup.policy", "compact")
    if policy != "compact":
        raise BrokerError(
            f"topic {topic!r} has cleanup.policy={policy}, by which Kafka deletes parameters that models still need; set it to "
            "compact"
        )


def _bytes(data: object) -> bytes | None:
    return data if isinstance(data, bytes) else str(data).encode() if data is not None else None
