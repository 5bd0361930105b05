"""What a chain of steps begins with: the champion's Booster and the rows that it knows, or nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from headrace.errors import ModelError
from headrace.spec.model import Model
from headrace.training import registry
from headrace.training.champion import current_champion
from headrace.training.continuous.boost import require_growable
from headrace.training.continuous.rows import Position

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
    try:
        require_growable(champion.booster, what=f"the champion, {name},")
    except ModelError as error:
        notify(f"{error}; beginning from nothing")
        return Origin()
    run = registry.load(model.name, version=champion.version).run_id
    told = {stream: registry.run_tag(run, f"{_VERSION}{stream}") for stream in streams}
    versions = {stream: int(version) for stream, version in told.items() if version is not None and version.isdigit()}
    return Origin(
        name, bytes(champion.booster.save_raw("ubj")), champion.booster.num_boosted_rounds(),
        Position(versions, champion.tested_from), champion.parameters,
    )  # fmt: skip
