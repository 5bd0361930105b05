"""Going back to an earlier version: the alias moves, and the trail says who moved it and why."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headrace.connections import Tracking
from headrace.errors import GateRefused, ModelError, SpecError
from headrace.lake.decisions import ROLLED_BACK, Decision, champions, next_moment, read_decisions
from headrace.lake.layout import Layout
from headrace.lake.openings import this_user
from headrace.spec.model import Model
from headrace.spec.pipeline import Pipeline
from headrace.training import registry
from headrace.training.decide import carry_out
from headrace.training.versions import Version, known_versions

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class RolledBack:
    """The version that serves now, and what it took."""

    version: int
    decision: Decision | None
    """None where the alias pointed to it already."""


def roll_back(
    spark: SparkSession,
    pipeline: Pipeline,
    *,
    tracking: Tracking,
    to: int | None = None,
    why: str = "",
    even_if_refused: bool = False,
) -> RolledBack:
    """Move the alias to the champion before this one, or to the version ``to``. Repeating it changes nothing.

    Without ``to`` it takes back the last promotion, and no more than one. Raises ModelError where there is no such version or
    it can't serve, GateRefused where the gate refused it, StorageError where the trail can't be written.
    """
    model = model_of(pipeline)
    registry.open_tracking(tracking)
    path = Layout(pipeline.spec.lake.root).decisions(model.name)
    trail = read_decisions(spark, path)
    current = registry.champion_version(model.name, model.alias)
    target = _before(trail, model, current=current) if to is None else to
    if target == current:
        return RolledBack(target, None)
    version = _checked(pipeline, model, target, even_if_refused=even_if_refused)
    newest = next((one for one in reversed(trail) if one.moves), None)
    broken_off = (
        newest is not None
        and newest.action == ROLLED_BACK
        and (newest.version, newest.previous_version) == (target, current)
    )
    if newest is not None and broken_off:  # on the trail, and the alias has not moved
        decision = newest
    else:
        decision = Decision(
            id=uuid.uuid4().hex,
            decided_at=next_moment(trail),
            who=this_user(),
            action=ROLLED_BACK,
            model=model.name,
            alias=model.alias,
            version=target,
            previous_version=current,
            why=why,
            run_id=version.run_id,
        )
    carry_out(spark, path, decision)
    return RolledBack(target, decision)


def model_of(pipeline: Pipeline) -> Model:
    """What the pipeline file says of its model. Raises SpecError where it declares none."""
    if pipeline.spec.model is None:
        raise SpecError(f"{pipeline.file} has no section 'model', so no version serves")
    return pipeline.spec.model


def _before(trail: list[Decision], model: Model, *, current: int) -> int:
    """The version to go back to; ``current`` where the last promotion was taken back already."""
    newest = next((one for one in reversed(trail) if one.moves), None)
    say = "say which version to bring back: --to VERSION (headrace models lists them)"
    if newest is None:
        raise ModelError(f"the trail of model {model.name!r} knows no promotion; {say}")
    if newest.action == ROLLED_BACK and newest.previous_version == current:
        return newest.version  # it was broken off before the alias moved
    if newest.version != current:
        raise ModelError(
            f"the alias {model.alias!r} of model {model.name!r} points to version {current}, by the trail to version "
            f"{newest.version}: somebody moved it; {say}"
        )
    if newest.action == ROLLED_BACK:
        return current
    stack = champions(trail)
    if len(stack) < 2:
        raise ModelError(
            f"version {current} is the first champion of model {model.name!r}: there is none before it; {say}"
        )
    return stack[-2]


def _checked(pipeline: Pipeline, model: Model, target: int, *, even_if_refused: bool) -> Version:
    """The version, if it may and can serve."""
    found = {one.version: one for one in known_versions(model)}
    if target not in found:
        known = ", ".join(str(version) for version in sorted(found)) or "none"
        raise ModelError(f"model {model.name!r} has no version {target}; expected one of {known}")
    version = found[target]
    if version.gate != "passed" and not even_if_refused:
        said = "did not let" if version.gate == "refused" else "has not judged"
        raise GateRefused(
            f"the gate {said} version {target} of model {model.name!r}{' pass' if version.gate == 'refused' else ''}; "
            "choose another, or say --even-if-refused"
        )
    loaded = registry.load(model.name, version=target)
    features = pipeline.spec.features
    if features is not None and loaded.features != features.names:
        raise ModelError(
            f"version {target} of model {model.name!r} was trained on other features than the pipeline file declares, so it can't "
            "answer; go back to the file that trained it first"
        )
    if loaded.task.kind != model.kind:
        raise ModelError(
            f"version {target} of model {model.name!r} is a {loaded.task.kind} model, and the pipeline file declares a "
            f"{model.kind} one; go back to the file that trained it first"
        )
    return version
