"""Sending a handful of records to a topic, and knowing which of them arrived."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from headrace.connections import Broker
from headrace.ingest.source import client_settings

DELIVERY_MS = 30_000
_AT_ONCE = 10_000
"""Records that wait in memory at a time."""


def deliver(
    broker: Broker, topic: str, records: Iterable[tuple[str, bytes | None]], *, settings: Mapping[str, Any] | None = None
) -> tuple[list[bool], str | None]:  # fmt: skip
    """Send (key, value) in order: of each whether it arrived, and why the first of the others did not, as the client says it.

    ``settings``: further ones of librdkafka.
    """
    from confluent_kafka import KafkaException, Producer

    wanted = list(records)
    arrived, failed = [False] * len(wanted), list[str]()

    def telling(place: int) -> Callable[[Any, object], None]:
        def told(error: Any, _message: object) -> None:
            if error:
                failed.append(str(error.str()))
            arrived[place] = not error

        return told

    whole = {**client_settings(broker.bootstrap, broker.options), "message.timeout.ms": DELIVERY_MS, **(settings or {})}
    try:
        producer = Producer(whole)
        for place, (key, value) in enumerate(wanted):
            producer.produce(topic, key=key, value=value, on_delivery=telling(place))
            if (place + 1) % _AT_ONCE == 0:
                producer.flush(2 * DELIVERY_MS / 1000)
        producer.flush(2 * DELIVERY_MS / 1000)
    except KafkaException as error:
        failed.append(str(error.args[0].str()))
    return arrived, None if all(arrived) else (failed[0] if failed else "no answer")
