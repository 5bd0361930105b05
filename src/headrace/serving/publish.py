"""The outbox: predictions are published from the table in which they were committed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from headrace.connections import Broker
from headrace.errors import BrokerError
from headrace.ingest.checkpoint import Checkpoint
from headrace.ingest.source import client_settings, spark_options, unreachable
from headrace.lake import files
from headrace.serving.answers import answer_fields
from headrace.spec.kinds import Kind

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming import StreamingQuery

TIMEOUT_S = 10.0


def ensure_topic(topic: str, *, broker: Broker, partitions: int = 2) -> None:
    """Make the predictions topic (kept for ever) if it is absent. Raises BrokerError."""
    from confluent_kafka import KafkaError, KafkaException
    from confluent_kafka.admin import AdminClient, NewTopic

    admin = AdminClient(client_settings(broker.bootstrap, broker.options))
    try:
        if topic in admin.list_topics(timeout=TIMEOUT_S).topics:
            return
        made = admin.create_topics([NewTopic(topic, partitions, config={"retention.ms": "-1"})])  # pyright: ignore
        made[topic].result(TIMEOUT_S)
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise unreachable(broker.bootstrap, error, broker.options) from None
    except TimeoutError:
        raise BrokerError(
            f"the broker at {broker.bootstrap} did not create topic {topic!r} in time; try again"
        ) from None


def start_publishing(
    spark: SparkSession, *, predictions: str, checkpoint: str, topic: str, broker: Broker, trigger_seconds: float,
    kind: Kind = "binary",
) -> StreamingQuery:  # fmt: skip
    """Send every committed prediction to the topic, as :func:`records` has it. ``kind``: of the model.

    At least once; a repeated record is the same answer under the same id.
    """
    rows = spark.readStream.format("delta").option("skipChangeCommits", "true").load(predictions)  # an erasure
    writer = (
        records(rows, kind=kind)
        .writeStream.queryName("publish")
        .format("kafka")
        .option("kafka.bootstrap.servers", broker.bootstrap)
        .option("topic", topic)
        .option("checkpointLocation", checkpoint)
        .trigger(processingTime=f"{int(trigger_seconds * 1000)} milliseconds")
    )
    for name, setting in spark_options(broker.options).items():
        writer = writer.option(name, setting)
    return writer.start()


def records(predictions: DataFrame, *, kind: Kind) -> DataFrame:
    """``key``: the id; ``value``: JSON ``{id, at, probability, model_version, degraded}``, or another answer."""
    answer = [field.name for field in answer_fields(kind)]
    value = F.to_json(
        F.struct("id", "at", *answer, "model_version", "degraded"), {"timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSS'Z'"}
    )
    return predictions.select(F.col("id").cast("binary").alias("key"), value.cast("binary").alias("value"))


def first_unpublished(spark: SparkSession, *, checkpoint: str) -> int:
    """The first version of the predictions table that was not published whole; 0 where nothing was."""
    text = files.read_text(spark, f"{checkpoint}/offsets/{Checkpoint(spark, checkpoint).last('commits')}")
    return int(json.loads(text.splitlines()[-1])["reservoirVersion"]) if text else 0
