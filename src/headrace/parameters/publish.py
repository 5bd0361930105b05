"""Publishing: first into Delta, then on the topic. What is in Delta and not on the topic is sent by whoever comes next."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from headrace.connections import Broker
from headrace.errors import CheckpointError, ParametersError
from headrace.parameters import table
from headrace.parameters.event import Event, Parameters, Pointer
from headrace.parameters.schema import parse
from headrace.parameters.state import State
from headrace.parameters.topic import LARGEST_BYTES, ensure_topic, read_topic, send
from headrace.spec.pipeline import Pipeline

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_TRIES = 20


def publish(
    spark: SparkSession,
    pipeline: Pipeline,
    *,
    broker: Broker | None,
    name: str,
    value: Mapping[str, Any],
    as_of: datetime,
    sources: Mapping[str, int],
    make_current: bool = True,
) -> Parameters:
    """Publish a new version, or give back the newest one where it says the same, of the same cut-off and sources.

    ``make_current`` moves the pointer to it, unless a person pinned another version. Without a ``broker`` it is only in Delta,
    and is sent by the next command that has one.

    Raises ParametersError where the value is not what the JSON schema of ``name`` says, or too large for a record, BrokerError
    and StorageError. After a BrokerError it is published all the same: the next command sends it.
    """
    made = record(spark, pipeline, name=name, value=value, as_of=as_of, sources=sources, make_current=make_current)
    if broker is not None:
        publish_missing(spark, pipeline, broker=broker)
    return made


def record(
    spark: SparkSession,
    pipeline: Pipeline,
    *,
    name: str,
    value: Mapping[str, Any],
    as_of: datetime,
    sources: Mapping[str, int],
    make_current: bool = True,
) -> Parameters:
    """The first half of :func:`publish`: into Delta only."""
    for _ in range(_TRIES):
        state = table.read_table(spark, pipeline)
        known, sequence, now = state.versions(name), _next(state, name), datetime.now(UTC)
        number = known[-1].version + 1 if known else 1
        new = _checked(Parameters(pipeline.name, name, number, as_of, now, dict(sources), dict(value), sequence))
        events: list[Event] = []
        if known and known[-1].sha256 == new.sha256:
            new = known[-1]
        else:
            events.append(new)
        pointer = state.pointers.get(name)
        if make_current and (pointer is None or (not pointer.pinned and pointer.version != new.version)):
            events.append(Pointer(pipeline.name, name, new.version, sequence, now, False, None))
        if not events or table.add(spark, pipeline, events, sequence=sequence):
            return new
    raise _crowded(name)


def pin(
    spark: SparkSession, pipeline: Pipeline, *, broker: Broker | None, name: str, version: int, why: str
) -> Pointer:  # fmt: skip
    """Make a version current and hold it there, whatever is published later. Raises as :func:`publish`."""
    return _pointed(spark, pipeline, broker=broker, name=name, version=version, pinned=True, why=why)


def unpin(spark: SparkSession, pipeline: Pipeline, *, broker: Broker | None, name: str, why: str) -> Pointer:
    """Make the newest version current, and let later ones take its place. Raises as :func:`publish`."""
    return _pointed(spark, pipeline, broker=broker, name=name, version=None, pinned=False, why=why)


def publish_missing(spark: SparkSession, pipeline: Pipeline, *, broker: Broker) -> int:
    """Send what is in Delta and not on the topic, which is made if it is absent; how many records.

    Raises ParametersError where the topic holds a record that is not Headrace's, or says other than Delta, and BrokerError.
    """
    return settle(spark, pipeline, broker=broker)[0]


def settle(spark: SparkSession, pipeline: Pipeline, *, broker: Broker) -> tuple[int, State, State]:
    """As :func:`publish_missing`; how many records, and the states of Delta and of the topic after it."""
    is_new, sent = ensure_topic(pipeline, broker=broker), 0
    for _ in range(_TRIES):  # somebody else may have committed meanwhile, and been overtaken by what was sent here
        kept = table.read_table(spark, pipeline)
        found = None if is_new and not sent else read_topic(pipeline, broker=broker)
        found = found or State({}, {})
        missing = unsent(kept, found)
        if not missing:
            return sent, kept, found
        sent += send(pipeline, missing, broker=broker)
    raise _crowded(pipeline.parameters_topic)


def restore(spark: SparkSession, pipeline: Pipeline, *, broker: Broker) -> int:
    """Put into Delta what only the topic has, as after the loss of the table; how many events. Raises as above."""
    added = 0
    found = read_topic(pipeline, broker=broker) or State({}, {})
    kept = table.read_table(spark, pipeline)
    unsent(kept, found)
    lacking = [event for event in found.events() if _lacks(kept, event)]
    for name in sorted({event.name for event in lacking}):
        own = [event for event in lacking if event.name == name]
        if not table.add(spark, pipeline, own, sequence=max(event.sequence for event in own)):
            raise _crowded(name)
        added += len(own)
    return added


def unsent(kept: State, found: State) -> list[Event]:
    """What of ``kept`` (Delta) is missing in ``found`` (the topic). Raises ParametersError where they contradict each other."""
    for key, event in found.parameters.items():
        if key in kept.parameters and kept.parameters[key].sha256 != event.sha256:
            raise ParametersError(
                f"{event.key} on the topic is not what was published; find out who wrote it, delete the topic, and run headrace "
                "parameters publish, which makes it anew from the lake"
            )
    return [event for event in kept.events() if _lacks(found, event)]


def _lacks(state: State, event: Event) -> bool:
    if isinstance(event, Parameters):
        return (event.name, event.version) not in state.parameters
    known = state.pointers.get(event.name)
    return known is None or known.sequence < event.sequence


def _pointed(
    spark: SparkSession, pipeline: Pipeline, *, broker: Broker | None, name: str, version: int | None, pinned: bool, why: str
) -> Pointer:  # fmt: skip
    for _ in range(_TRIES):
        state = table.read_table(spark, pipeline)
        number = version if version is not None else max((one.version for one in state.versions(name)), default=1)
        chosen, sequence = state.version(name, number), _next(state, name)
        pointer = Pointer(pipeline.name, name, chosen.version, sequence, datetime.now(UTC), pinned, why)
        if table.add(spark, pipeline, [pointer], sequence=sequence):
            if broker is not None:
                publish_missing(spark, pipeline, broker=broker)
            return pointer
    raise _crowded(name)


def _next(state: State, name: str) -> int:
    return 1 + max((event.sequence for event in state.events() if event.name == name), default=0)


def _checked(new: Parameters) -> Parameters:
    """Refuses what no reader would take."""
    try:
        text = new.as_json()
        parse(text)
    except (ValueError, TypeError) as error:
        raise ParametersError(
            f"what is to be published as {new.name!r} is not as its JSON schema says ({error}); "
            "conf/parameters.schema.json is the schema"
        ) from None
    if len(text.encode()) > LARGEST_BYTES:
        raise ParametersError(
            f"{new.key} takes {len(text.encode()):,} bytes, and a record holds {LARGEST_BYTES:,}; make it smaller: a vocabulary by "
            "its minimum_count or largest, statistics by fewer features"
        )
    return new


def _crowded(what: str) -> CheckpointError:
    return CheckpointError(f"others publish {what!r} all the time, so this did not get its turn; run it again")
