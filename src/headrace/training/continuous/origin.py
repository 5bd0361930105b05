"""What a chain of steps begins with: the champion's Booster and the rows that it knows, or nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from headrace.errors import ModelError
from headrace.spec.model import Model
from headrace.training import registry
from headrace.training.champion import current_champion
from headrace.training.continuous.boost import require_growable
from headrace.training.continuous.rows import Position
from headrace.training.learners.boosting import Boosted

CONSUMED = "headrace.consumed"
"""Tag of a candidate's run: versions of the events tables (JSON) that its step consumed; its snapshot is of later ones."""
_VERSION = "headrace.version."


@dataclass(frozen=True)
class Origin:
    """Where a chain begins."""

    name: str = "nothing"
    """``version N`` of the model, or ``nothing``."""
    booster: bytes | None = field(default=None, repr=False)
    trees: int = 0
    position: Position | None = None
    """What it was trained on; None where on nothing."""
    parameters: str = ""
    """Versions of the published parameters that it was trained with."""


def find_origin(
    model: Model, *, features: tuple[str, ...], streams: list[str], notify: Callable[[str], None]
) -> Origin:
    """The champion, as far as it can be gone on with. The tracking store must be open; ``notify`` hears why not."""
    champion = current_champion(model)
    if champion is None:
        return Origin()
    name = f"version {champion.version}"
    if champion.features != features:
        notify(f"the champion, {name}, sees other features than are declared; beginning from nothing")
        return Origin()
    if champion.tested_from is None:
        notify(f"nothing says on which rows the champion, {name}, was trained; beginning from nothing")
        return Origin()
    if not isinstance(champion.fitted, Boosted):
        notify(f"the champion, {name}, has no trees: another learner made it; beginning from nothing")
        return Origin()
    booster = champion.fitted.booster
    try:
        require_growable(booster, what=f"the champion, {name},")
    except ModelError as error:
        notify(f"{error}; beginning from nothing")
        return Origin()
    run = registry.load(model.name, version=champion.version).run_id
    return Origin(
        name, champion.fitted.to_bytes(), booster.num_boosted_rounds(),
        Position(_versions(run, streams), champion.tested_from), champion.parameters,
    )  # fmt: skip


def _versions(run: str, streams: list[str]) -> dict[str, int]:
    """Those that a run tells; a table of which it tells none is taken as it is now."""
    consumed = registry.run_tag(run, CONSUMED)
    try:
        told = json.loads(consumed) if consumed else {one: registry.run_tag(run, f"{_VERSION}{one}") for one in streams}
        return {str(stream): int(version) for stream, version in told.items() if version is not None}
    except (ValueError, TypeError, AttributeError):
        raise ModelError(
            f"run {run}: a tag of the versions that it read was changed; move the alias to a version that you trust"
        ) from None
