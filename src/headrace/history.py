"""What was committed to a table, and what was trained, as frames to look at."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pandas as pd

from headrace.lake.decisions import Decision
from headrace.lake.log import LogEntry
from headrace.lake.tables import ACCEPTED, DUPLICATE, QUARANTINED
from headrace.parameters.state import State
from headrace.spec.model import Model
from headrace.training import registry

if TYPE_CHECKING:
    from mlflow.entities import Run

COMMIT_COLUMNS = (
    "version", "committed_at", "operation", "batch", "from_offsets", "until_offsets", "accepted", "quarantined", "duplicate",
    "released",
    "spec_version",
)  # fmt: skip
PARAMETER_COLUMNS = ("name", "version", "as_of", "made_at", "current", "pinned", "sources", "value")
RUN_COLUMNS = ("run_id", "name", "started_at", "status", "as_of", "gate", "version", "champion")
DECISION_COLUMNS = ("decided_at", "who", "action", "version", "previous_version", "why", "run_id", "id")
MOST_RUNS = 1000


def commit_frame(log: Iterable[LogEntry]) -> pd.DataFrame:
    """One row per commit with the columns of ``COMMIT_COLUMNS``; what only a micro-batch has is null for other commits."""
    return pd.DataFrame([_commit(entry) for entry in log], columns=list(COMMIT_COLUMNS)).astype({"batch": "Int64"})


def parameter_frame(state: State) -> pd.DataFrame:
    """One row per version with the columns of ``PARAMETER_COLUMNS``."""
    rows: list[tuple[Any, ...]] = []
    for one in (version for name in state.names for version in state.versions(name)):
        pointer = state.pointer_to(one)
        current, pinned = pointer is not None, pointer is not None and pointer.pinned
        rows.append(
            (one.name, one.version, one.as_of, one.made_at, current, pinned, dict(one.sources), dict(one.value))
        )
    return pd.DataFrame(rows, columns=list(PARAMETER_COLUMNS))


def run_frame(experiment_id: str, *, model: Model) -> pd.DataFrame:
    """The experiment's runs, newest first: ``RUN_COLUMNS``, then every logged metric. The tracking store must be open."""
    from mlflow import MlflowClient

    client = MlflowClient()
    runs = client.search_runs([experiment_id], order_by=["attributes.start_time DESC"], max_results=MOST_RUNS)
    registered = client.search_model_versions(f"name='{model.name}'")
    versions = {version.run_id: int(version.version) for version in registered if version.run_id}
    champion = registry.alias_version(model.name, model.alias)
    rows = [_run(run, version=versions.get(run.info.run_id), champion=champion) for run in runs]
    return pd.DataFrame(rows, columns=None if rows else list(RUN_COLUMNS)).astype({"version": "Int64"})


def decision_frame(trail: Iterable[Decision]) -> pd.DataFrame:
    """One row per decision, oldest first, with the columns of ``DECISION_COLUMNS`` (times are UTC)."""
    rows = [[getattr(one, name) for name in DECISION_COLUMNS] for one in trail]
    return pd.DataFrame(rows, columns=list(DECISION_COLUMNS)).astype({"version": "Int64", "previous_version": "Int64"})


def _commit(entry: LogEntry) -> tuple[Any, ...]:
    told = entry.metadata
    verdicts = (ACCEPTED, QUARANTINED, DUPLICATE)
    brought = tuple(entry.rows(verdict) if entry.is_batch else 0 for verdict in verdicts)  # others write rows anew
    return (
        entry.version, entry.committed_at, entry.operation, told.get("batch"), told.get("from"), told.get("until"),
        *brought, told.get("released", 0), told.get("spec"),
    )  # fmt: skip


def _run(run: Run, *, version: int | None, champion: int | None) -> dict[str, Any]:
    tags = run.data.tags
    values = (
        run.info.run_id, run.info.run_name, pd.Timestamp(run.info.start_time, unit="ms", tz="UTC"), run.info.status,
        tags.get("headrace.as_of"), tags.get("headrace.gate"), version, version is not None and version == champion,
    )  # fmt: skip
    return {**dict(zip(RUN_COLUMNS, values, strict=True)), **run.data.metrics}
