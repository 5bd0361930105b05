"""The versions of a model that MLflow has."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from headrace.spec.model import Model
from headrace.training import registry
from headrace.training.decide import GATE


@dataclass(frozen=True)
class Version:
    """A registered version."""

    version: int
    run_id: str
    made_at: datetime
    """UTC."""
    gate: str | None
    """``passed`` or ``refused``; None where nothing says so."""
    serves: bool
    """Whether the alias points to it."""


def known_versions(model: Model) -> list[Version]:
    """All versions, newest first. The store must be open. Raises ModelError where it does not answer."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient()
    champion = registry.alias_version(model.name, model.alias)
    found: list[Version] = []
    for one in client.search_model_versions(f"name='{model.name}'"):
        run = one.run_id or ""
        gate = one.tags.get(GATE) or registry.run_tag(run, GATE)  # 0.1.0 tagged the run alone
        made = datetime.fromtimestamp(one.creation_timestamp / 1000, UTC)
        found.append(Version(int(one.version), run, made, gate, int(one.version) == champion))
    return sorted(found, key=lambda one: -one.version)
