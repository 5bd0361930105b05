"""Decisions about a model. Each is first put on the trail, then the alias moves: nothing moves that is not on record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace.lake.decisions import PROMOTED, REFUSED, Decision, log_decision, next_moment, read_decisions
from headrace.lake.layout import Layout
from headrace.lake.openings import this_user
from headrace.spec.model import Model
from headrace.training import registry
from headrace.training.gate import Verdict

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

GATE = "headrace.gate"
"""Tag of a version and of its run: ``passed`` or ``refused``."""
_TAG = "headrace.decision."


def settle(
    spark: SparkSession, layout: Layout, model: Model, *, version: int, run_id: str, previous: int | None, verdict: Verdict
) -> Decision:  # fmt: skip
    """Promote a version or refuse it, as the gate says: the trail, the version's tags, the alias. Repeating it changes nothing.

    Raises StorageError where the trail can't be written; then nothing was promoted.
    """
    path = layout.decisions(model.name)
    passed = f"passed the gate's {len(verdict.checks)} checks"
    decision = Decision(
        id=run_id,
        decided_at=next_moment(read_decisions(spark, path)),
        who=this_user(),
        action=PROMOTED if verdict.passed else REFUSED,
        model=model.name,
        alias=model.alias,
        version=version,
        previous_version=previous,
        why=passed if verdict.passed else verdict.refusals,
        run_id=run_id,
        checks=tuple((check.name, check.passed, check.sentence) for check in verdict.checks),
    )
    registry.tag_version(model.name, version, {GATE: "passed" if verdict.passed else "refused"})
    carry_out(spark, path, decision)
    return decision


def carry_out(spark: SparkSession, path: str, decision: Decision) -> None:
    """Put a decision on the trail, on its version, and into effect, in this order."""
    log_decision(spark, path, decision)
    tags = {
        "action": decision.action,
        "at": decision.decided_at.isoformat(),
        "who": decision.who,
        "why": decision.why[:500],
    }
    registry.tag_version(decision.model, decision.version, {f"{_TAG}{name}": value for name, value in tags.items()})
    if decision.moves:
        registry.set_alias(decision.model, alias=decision.alias, version=decision.version)
