"""A micro-batch that Spark's Kafka source can't read, read by the driver.

A producer may stamp a record with any 64 bits, and a broker takes them unless its topic sets limits: nanoseconds where Kafka
wants milliseconds are the usual fault. Spark's source then ends with "long overflow" at every attempt, so one record would
stop the stream for ever. The batch's offsets are fixed by then: the driver reads the very same records, and such a time
becomes null.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from headrace.connections import Broker
from headrace.errors import BrokerError
from headrace.ingest.source import client_settings, unreachable

if TYPE_CHECKING:
    from confluent_kafka import Message
    from pyspark.sql import DataFrame, SparkSession

POLL_S, SILENCE_S = 0.2, 30.0
FIRST_TIME, END_TIME = -11_676_096_000_000, 253_402_300_800_000
"""The years 1600 to 9999 (UTC) in milliseconds since 1970, as ``record_time`` has them."""
_HEADER = pa.struct({"key": pa.string(), "value": pa.binary()})
_COLUMNS = {
    "key": pa.binary(), "value": pa.binary(), "topic": pa.string(), "partition": pa.int32(), "offset": pa.int64(),
    "timestamp": pa.timestamp("ms", "UTC"), "timestampType": pa.int32(), "headers": pa.list_(_HEADER),
}  # fmt: skip


def has_far_timestamp(error: BaseException) -> bool:
    """Whether Spark's Kafka source failed at a record's timestamp."""
    text = str(error)
    return "long overflow" in text and "kafka010" in text


def read_records(
    spark: SparkSession, topic: str, *, start: Mapping[int, int], until: Mapping[int, int], broker: Broker
) -> DataFrame:
    """The records of a topic from the offsets ``start`` (the first one of a partition that is not named) up to ``until``.

    Columns as :func:`headrace.ingest.source.read_topic`; ``timestamp`` is null where it lies outside the years 1600 to 9999.
    Raises BrokerError where Kafka does not answer or no longer holds the records.
    """
    from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

    settings = {
        "group.id": "headrace-driver", "enable.auto.commit": False, "enable.partition.eof": True,
        "isolation.level": "read_committed", "auto.offset.reset": "error",
    }  # fmt: skip
    left = {partition: end for partition, end in until.items() if end > start.get(partition, 0)}
    consumer = Consumer({**client_settings(broker.bootstrap, broker.options), **settings})
    try:
        consumer.assign([TopicPartition(topic, p, start.get(p, OFFSET_BEGINNING)) for p in left])
        rows = _consumed(consumer, left, topic)
    except KafkaException as error:
        raise unreachable(broker.bootstrap, error, broker.options) from None
    finally:
        consumer.close()
    columns = {name: pa.array([row[name] for row in rows], kind) for name, kind in _COLUMNS.items()}
    return spark.createDataFrame(pa.table(columns))


def _consumed(consumer: Any, left: dict[int, int], topic: str) -> list[dict[str, Any]]:
    from confluent_kafka import KafkaError, KafkaException

    rows: list[dict[str, Any]] = []
    heard = time.monotonic()
    while left:
        messages = consumer.consume(num_messages=10_000, timeout=POLL_S)
        heard = time.monotonic() if messages else heard
        if time.monotonic() - heard > SILENCE_S:
            raise BrokerError(
                f"Kafka sent nothing of topic {topic!r} for {SILENCE_S:.0f} s; is the broker well? start again"
            )
        for message in messages:
            error = message.error()
            if error is not None and error.code() != KafkaError._PARTITION_EOF:  # pyright: ignore[reportPrivateUsage]
                raise KafkaException(error)
            partition, offset = int(message.partition()), int(message.offset())
            end = left.get(partition, 0)
            if error is None and offset < end:
                rows.append(_row(message))
            if error is not None or offset >= end - 1:
                left.pop(partition, None)
    return rows


def _row(message: Message) -> dict[str, Any]:
    kind, stamp = message.timestamp()
    headers: Any = message.headers()
    return {
        "key": message.key(), "value": message.value(), "topic": message.topic(), "partition": message.partition(),
        "offset": message.offset(), "timestamp": stamp if FIRST_TIME <= stamp < END_TIME else None, "timestampType": kind - 1,
        "headers": [{"key": name, "value": value} for name, value in headers] if headers else None,
    }  # fmt: skip
