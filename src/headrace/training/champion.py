"""The model in service, as a challenger meets it."""

from __future__ import annotations

from datetime import UTC, datetime

from headrace.spec.model import Model
from headrace.training import registry
from headrace.training.evidence import Champion

TESTED_FROM = "test_from"
"""Parameter of a run: T of its first test row (ISO 8601)."""


def current_champion(model: Model) -> Champion | None:
    """The version behind the alias, loaded, or None where there is none. The store must be open.

    Raises ModelError where its file is not the one that was registered.
    """
    version = registry.alias_version(model.name, model.alias)
    if version is None:
        return None
    loaded = registry.load(model.name, version=version)
    told = registry.run_parameter(loaded.run_id, TESTED_FROM)
    return Champion(version, loaded.fitted, loaded.features, _moment(told), loaded.parameters, loaded.task)


def _moment(text: str | None) -> datetime | None:
    try:
        when = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)
