"""What most verbs begin with: the Spark session, the broker, and the options that both need."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.console import say

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from headrace.connections import Broker
    from headrace.spec import Pipeline

Master = Annotated[str | None, typer.Option(help="Spark master (default: all cores of this machine)")]
Memory = Annotated[str, typer.Option("--driver-memory", help="memory of the Spark driver")]


def spark_for(app_name: str, master: str | None, memory: str) -> SparkSession:
    """A session whose downloads are told to the person at the terminal."""
    from headrace.session import spark_session

    return spark_session(app=app_name, master=master, driver_memory=memory, notify=say)


def connect(pipeline: Pipeline) -> Broker:
    """The pipeline's broker; the embedded one is started if it does not run."""
    from headrace.connections import connect_broker, home_folder

    return connect_broker(pipeline, home=home_folder(), notify=say)


def connect_to_topics(pipeline: Pipeline) -> Broker:
    """As :func:`connect`; a broker that does not answer or a topic that is absent is said before Spark starts."""
    from headrace.ingest.source import stream_ends

    broker = connect(pipeline)
    stream_ends(pipeline, broker=broker)
    return broker


def moment(text: str) -> datetime:
    """A date or time as the user wrote it (UTC where it names no zone). Raises BadParameter."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no date; write 2013-03-01 or 2013-03-01T05:00:00Z") from None
    return when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)
