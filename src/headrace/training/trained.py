"""Finding a training run by what people call it: a run's id, a version, an alias."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headrace.errors import ModelError
from headrace.located import printable
from headrace.spec.model import Model
from headrace.training import registry

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

_RUN = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Trained:
    """A training run and the model version that it made."""

    run_id: str
    tags: Mapping[str, str]
    params: Mapping[str, str]
    model: str | None
    """Name of the registered model, or None where the run registered none."""
    version: int | None
    version_tags: Mapping[str, str]
    source: str
    """Where MLflow has the model's files; empty where the run registered none."""

    @property
    def name(self) -> str:
        """``model/version``, or the run where there is no model."""
        return f"{self.model}/{self.version}" if self.model else f"run {self.run_id}"


def find(text: str, *, model: Model | None) -> Trained:
    """The run that ``text`` names: 32 hex digits, ``NAME/VERSION``, ``NAME/ALIAS``, or of ``model`` a version or an alias.

    The tracking store must be open. Raises ModelError where there is none.
    """
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    client = MlflowClient()
    name, _, which = text.rpartition("/")
    try:
        if not name and _RUN.fullmatch(which):
            return of_run(which)
        name = name or (model.name if model else "")
        if not name:
            raise ModelError(f"{printable(text)!r} names no run: write a run's id, or NAME/VERSION")
        digits = which.isascii() and which.isdigit()
        found: Any = client.get_model_version(name, which) if digits else client.get_model_version_by_alias(name, which)
        return _trained(client, client.get_run(found.run_id or ""), found)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise registry.told(error) from None
        what = (
            f"model {name!r} has no version or alias {printable(which)!r}" if name else f"MLflow knows no run {which}"
        )
        raise ModelError(
            f"{what}; headrace snapshots PIPELINE lists what there is, and mlflow.tracking_uri says where it is looked for"
        ) from None


def of_run(run_id: str) -> Trained:
    """The run with this id. Raises MlflowException where there is none."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient()
    run = client.get_run(run_id)
    versions: list[Any] = list(client.search_model_versions(f"run_id='{run_id}'"))
    return _trained(client, run, versions[0] if versions else None)


def _trained(client: MlflowClient, run: Any, version: Any) -> Trained:
    return Trained(
        run_id=run.info.run_id,
        tags=run.data.tags,
        params=run.data.params,
        model=version.name if version else None,
        version=int(version.version) if version else None,
        version_tags=version.tags if version else {},
        source=(version.source or "") if version else "",
    )
