"""The outbox of decisions: each is sent to Kafka from the trail, by whichever command comes next while a broker answers."""

from __future__ import annotations

import json
from datetime import UTC
from typing import TYPE_CHECKING, Any

from headrace.connections import Broker
from headrace.errors import BrokerError
from headrace.ingest.refusals import refusal
from headrace.lake import files
from headrace.lake.decisions import Decision, read_decisions
from headrace.lake.layout import Layout
from headrace.serving.deliver import deliver
from headrace.serving.publish import ensure_topic
from headrace.spec.pipeline import Pipeline

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

FORM = 1
"""Of the events; it grows where one can't be read as before."""
_DELIVERY_MS = 10_000


def decisions_topic(pipeline: Pipeline) -> str:
    """The topic of a pipeline's decisions."""
    return f"{pipeline.name}.decisions"


def announce(spark: SparkSession, pipeline: Pipeline, *, broker: Broker) -> int:
    """Send every decision that was not sent yet, oldest first; how many. At least once: deduplicate by ``id``.

    Raises BrokerError where the broker does not answer or take them, StorageError where the note of what was sent can't be
    written; then the next call sends them (again).
    """
    waiting = unannounced(spark, pipeline)
    if not waiting:
        return 0
    topic = decisions_topic(pipeline)
    ensure_topic(topic, broker=broker, partitions=1)
    records = [(one.model, json.dumps(event(pipeline, one), ensure_ascii=False).encode()) for one in waiting]
    settings = {"message.timeout.ms": _DELIVERY_MS, "enable.idempotence": True}
    arrived, why = deliver(broker, topic, records, settings=settings)
    sent = [one.id for one, there in zip(waiting, arrived, strict=True) if there]
    if sent:
        note = _note(pipeline)
        files.write_text(spark, note, json.dumps([*_sent(spark, note), *sent]))
    if why is not None:
        raise BrokerError(
            f"topic {topic!r} did not take {len(waiting) - len(sent)} of {len(waiting)} decisions "
            f"({refusal(why, topic=topic) or why}); mend that, and the next command sends them"
        )
    return len(sent)


def unannounced(spark: SparkSession, pipeline: Pipeline) -> list[Decision]:
    """The decisions that no command has sent, oldest first."""
    if pipeline.spec.model is None:
        return []
    sent = frozenset(_sent(spark, _note(pipeline)))
    trail = read_decisions(spark, Layout(pipeline.spec.lake.root).decisions(pipeline.spec.model.name))
    return [one for one in trail if one.id not in sent]


def event(pipeline: Pipeline, decision: Decision) -> dict[str, Any]:
    """What is sent of a decision; docs/gate.md explains each field."""
    at = decision.decided_at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return {
        "form": FORM,
        "id": decision.id,
        "pipeline": pipeline.name,
        "model": decision.model,
        "alias": decision.alias,
        "action": decision.action,
        "version": decision.version,
        "previous_version": decision.previous_version,
        "decided_at": at,
        "who": decision.who,
        "why": decision.why,
        "run_id": decision.run_id,
        "checks": [{"name": name, "passed": passed, "sentence": said} for name, passed, said in decision.checks],
    }


def _note(pipeline: Pipeline) -> str:
    """The file with the ids of what was sent."""
    assert pipeline.spec.model is not None
    return Layout(pipeline.spec.lake.root).checkpoint(f"decisions/{pipeline.spec.model.name}.json")


def _sent(spark: SparkSession, note: str) -> list[str]:
    """Where the note is lost or damaged, everything is sent again."""
    try:
        found = json.loads(files.read_text(spark, note) or "[]")
    except ValueError:
        return []
    return [str(one) for one in found] if isinstance(found, list) else []
