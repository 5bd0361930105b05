"""Marking in MLflow what was trained on a person whose rows are gone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from headrace.connections import Tracking
from headrace.training import registry

ERASED, REPRODUCIBLE = "headrace.erased", "headrace.reproducible"


def mark_runs(tracking: Tracking, runs: Iterable[str], *, erasure: str) -> list[str]:
    """Tag these runs, and the model versions that they made, with the erasure and as not reproducible; ``NAME/VERSION`` of each.

    A run that MLflow does not know (any more) is passed over. Raises ModelError where MLflow does not answer.
    """
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    registry.open_tracking(tracking)
    client, marked = MlflowClient(), list[str]()
    for run in sorted(runs):
        try:
            tags = client.get_run(run).data.tags
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            continue
        client.set_tag(run, ERASED, _with(tags.get(ERASED), erasure))
        client.set_tag(run, REPRODUCIBLE, "no")
        for found in _versions(client, run):
            client.set_model_version_tag(found.name, found.version, ERASED, _with(found.tags.get(ERASED), erasure))
            client.set_model_version_tag(found.name, found.version, REPRODUCIBLE, "no")
            marked.append(f"{found.name}/{found.version}")
    return marked


def models_of(tracking: Tracking, runs: Iterable[str]) -> list[str]:
    """``NAME/VERSION`` of the models that these runs made. Raises ModelError where MLflow does not answer."""
    from mlflow.tracking import MlflowClient

    registry.open_tracking(tracking)
    client = MlflowClient()
    return [f"{found.name}/{found.version}" for run in sorted(runs) for found in _versions(client, run)]


def _versions(client: Any, run: str) -> list[Any]:
    return list(client.search_model_versions(f"run_id='{run}'"))


def _with(before: str | None, erasure: str) -> str:
    """The erasures of a run, one after the other."""
    known = before.split(",") if before else []
    return ",".join(dict.fromkeys([*known, erasure]))
