"""Which training snapshots a lake holds, for which models; and letting go of one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from pyspark.sql import functions as F

from headrace.errors import ModelError
from headrace.lake import delta, files
from headrace.lake.layout import Layout
from headrace.lake.lease import leased
from headrace.lake.openings import this_user
from headrace.training.reproduce import ERASED, RELEASED_AT, RELEASED_BY
from headrace.training.trained import Trained, of_run

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

State = Literal["held", "released", "gone"]


@dataclass(frozen=True)
class Snapshot:
    """The training rows of one run."""

    run_id: str
    model: str | None
    """``NAME/VERSION``, or None where the run registered none or MLflow does not know it."""
    aliases: tuple[str, ...]
    rows: int
    bytes: int
    state: State
    """``gone``: neither there nor released by the command."""
    erased: bool
    """Whether rows of erased people were taken out."""
    released_at: str | None = None
    released_by: str | None = None

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


def snapshots(spark: SparkSession, layout: Layout, *, experiment: str) -> list[Snapshot]:
    """Those in the lake, and those of the experiment's runs that are no more, newest run first, then runs that MLflow does not
    know. The tracking store must be open.
    """  # fmt: skip
    there = {run: layout.snapshot(run) for run in files.names(spark, layout.snapshots)}
    there = {run: path for run, path in there.items() if delta.exists(spark, path)}
    known = list(_runs(experiment))
    found = [_snapshot(spark, there.get(one.run_id), one) for one in known]
    strangers = sorted(there.keys() - {one.run_id for one in known})
    return found + [
        Snapshot(run, None, (), *_measured(spark, there[run]), "held", erased=False) for run in strangers
    ]  # fmt: skip


def release(spark: SparkSession, layout: Layout, trained: Trained, *, even_champion: bool) -> str | None:
    """Delete the training rows of a run and mark it and its model; when that was done before, or None where it is done now.

    Repeating it finishes what was interrupted. Raises ModelError where an alias points to the model, unless ``even_champion``;
    CheckpointError while an erasure is at work on them.
    """
    from mlflow.tracking import MlflowClient

    aliases = _aliases(trained.model).get(trained.version, []) if trained.model else []
    if aliases and not even_champion:
        raise ModelError(
            f"{trained.name} is the {' and '.join(sorted(aliases))}; move the alias first, or say --even-champion: nobody can "
            "rebuild it after that"
        )
    client, path = MlflowClient(), layout.snapshot(trained.run_id)
    before = trained.tags.get(RELEASED_AT)
    if before is None:
        marks = {RELEASED_AT: f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", RELEASED_BY: this_user()}
        for name, value in marks.items():
            if trained.model:
                client.set_model_version_tag(trained.model, str(trained.version), name, value)
            client.set_tag(trained.run_id, name, value)
    if not delta.exists(spark, path):
        return before
    with leased(spark, path, what=f"snapshots/{trained.run_id}"):
        pass  # nobody is erasing from it now
    files.delete(spark, path)
    return None


def _runs(experiment: str) -> Iterator[Trained]:
    """The runs of an experiment that wrote training rows, newest first."""
    from mlflow.tracking import MlflowClient

    client, token = MlflowClient(), None
    while True:
        page: Any = client.search_runs([experiment], order_by=["attributes.start_time DESC"], page_token=token)
        yield from (of_run(run.info.run_id) for run in page if "headrace.snapshot" in run.data.tags)
        token = page.token
        if not token:
            return


def _snapshot(spark: SparkSession, path: str | None, trained: Trained) -> Snapshot:
    released = trained.tags.get(RELEASED_AT)
    state: State = "released" if released else "held" if path else "gone"
    rows, size = _measured(spark, path) if path else (0, 0)
    return Snapshot(
        run_id=trained.run_id,
        model=trained.name if trained.model else None,
        aliases=tuple(sorted(_aliases(trained.model).get(trained.version, []))) if trained.model else (),
        rows=rows,
        bytes=size,
        state=state,
        erased=ERASED in trained.tags,
        released_at=released,
        released_by=trained.tags.get(RELEASED_BY),
    )


def _aliases(model: str) -> dict[int | None, list[str]]:
    """Version to the aliases that point to it."""
    from mlflow.tracking import MlflowClient

    found = defaultdict[int | None, list[str]](list)
    for alias, version in MlflowClient().get_registered_model(model).aliases.items():
        found[int(version)].append(alias)
    return found


def _measured(spark: SparkSession, path: str) -> tuple[int, int]:
    """Rows and bytes, by the table's log."""
    rows = F.get_json_object("stats", "$.numRecords").cast("long")
    found = delta.data_files(spark, path).agg(F.sum(rows), F.sum("size")).first()
    return (int(found[0] or 0), int(found[1] or 0)) if found else (0, 0)
