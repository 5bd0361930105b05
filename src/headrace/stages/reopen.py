"""reopen: quarantined rows back to Kafka's records, so that they can go the same way again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from headrace.privacy.keys import KeyRing
from headrace.privacy.opened import opened
from headrace.stages.stages import Way, finished, labelled

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

WAS, DAY, INGESTED, PROBLEM = "__was", "__day", "__ingested", "__problem"
_OPENED = "__opened"
_COORDINATES = ("topic", "partition", "offset")


def reopen(rows: DataFrame, *, ring: KeyRing) -> DataFrame:
    """Rows of a quarantine to the columns of Kafka's records, as they were sent.

    Beside them: ``__was array<string>`` (the rules that the row failed), ``__day date`` (its ``ingest_date``),
    ``__ingested timestamp`` (its ``ingested_at``) and ``__problem string`` (why its payload does not open, else null).
    """
    where = {name: F.col(f"kafka_{name}") for name in _COORDINATES}
    record = rows.withColumn(_OPENED, opened(payload=F.col("payload"), **where, ring=ring))
    return record.select(
        F.col(_OPENED)["key"].alias("key"),
        F.col(_OPENED)["value"].alias("value"),
        *(column.alias(name) for name, column in where.items()),
        F.col("kafka_timestamp").alias("timestamp"),
        F.lit(0).alias("timestampType"),
        F.col(_OPENED)["headers"].alias("headers"),
        F.col("failed_rules").alias(WAS),
        F.col("ingest_date").alias(DAY),
        F.col("ingested_at").alias(INGESTED),
        F.col(_OPENED)["problem"].alias(PROBLEM),
    )


def judged_again(rows: DataFrame, way: Way) -> DataFrame:
    """Rows of a quarantine as the way of now gives them: the columns of :func:`headrace.stages.stages.finished` without
    ``payload``, and ``__was``, ``__day``, ``__ingested``, ``__problem`` as :func:`reopen` does.
    """  # fmt: skip
    return finished(labelled(reopen(rows, ring=way.ring), way), way, keep_payload=False)
