"""Reading: from the topic, which is first given what it lacks; from the copy in Delta where no broker answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from headrace.connections import Broker
from headrace.errors import BrokerError, ParametersError
from headrace.parameters import table
from headrace.parameters.publish import settle
from headrace.parameters.state import State
from headrace.parameters.topic import read_topic
from headrace.spec.pipeline import Pipeline

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def read_state(pipeline: Pipeline, *, broker: Broker) -> State:
    """The state that the topic's records come to, from its beginning to where it ends now; empty where there is no topic.

    Raises BrokerError where the broker does not answer, ParametersError where a record is malformed, or not of this pipeline.
    """
    return read_topic(pipeline, broker=broker) or State({}, {})


def read(
    spark: SparkSession, pipeline: Pipeline, *, broker: Broker | None, notify: Callable[[str], None] = lambda line: None
) -> State:
    """The parameters to work with: the topic's, once what was not sent yet is sent. Where no broker answers, those in Delta,
    which ``notify`` hears.

    Raises ParametersError where a record is malformed or foreign, or the topic says other than Delta, or has what Delta lacks.
    """  # fmt: skip
    if broker is None:
        notify("no broker runs; the parameters are read from their copy in the lake")
        return table.read_table(spark, pipeline)
    try:
        _, kept, found = settle(spark, pipeline, broker=broker)
    except BrokerError as error:
        notify(f"the parameters are read from their copy in the lake: {error}")
        return table.read_table(spark, pipeline)
    lost = [one.key for key, one in found.parameters.items() if key not in kept.parameters]
    if lost:
        raise ParametersError(
            f"{', '.join(lost[:3])} on topic {pipeline.parameters_topic!r} has no copy in the lake; run headrace parameters "
            f"publish {pipeline.folder}, which puts it there if it is yours"
        )
    return found
