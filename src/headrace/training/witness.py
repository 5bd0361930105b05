"""Kafka as a witness: a row whose ``known_at`` lies long before its record was sent was not known then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from headrace.errors import TrainingError
from headrace.spec.section import seconds

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

MOST_LATE = 0.01
"""A producer that sends again after an outage sends some late; a ``known_at`` that is wrong is wrong for many."""


def require_sent_in_time(rows: DataFrame, *, name: str, within: str | None) -> None:
    """Raise TrainingError where more than 1 % of a stream's rows were sent later than ``within`` after their ``known_at``.

    The time is Kafka's own: the producer's, or the broker's for a topic with LogAppendTime. Nothing is asked where ``within`` is
    None: a history that was sent long after it happened says nothing.
    """
    if within is None:
        return
    late = F.unix_micros("kafka_timestamp") - F.unix_micros("known_at") > seconds(within) * 1_000_000
    counted = rows.agg(F.count(F.lit(1)).alias("all"), F.count_if(late).alias("late")).first()
    if counted is not None and counted["late"] > MOST_LATE * counted["all"]:
        raise TrainingError(
            f"stream {name!r}: {counted['late']:,} of {counted['all']:,} rows were sent more than {within} after their known_at, "
            "so they were not known then and would leak the future; correct known_at, or sent_within if the producer is that late"
        )
