"""A replay as an errand: what a command asks, and how a job that loaded its pipeline file earlier carries it out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.errors import SpecError
from headrace.ingest.clerk import Handler
from headrace.ingest.replay import REPLAY, release
from headrace.ingest.selection import Selection
from headrace.lake.errands import Errand, new_errand
from headrace.lake.layout import EVENTS
from headrace.lake.lease import Lease
from headrace.spec import load
from headrace.spec.pipeline import Pipeline

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def replay_errand(pipeline: Pipeline, *, stream: str, selection: Selection) -> Errand:
    """Ask that these rows go their way again, by the pipeline file as it is now."""
    told = {"pipeline": str(pipeline.file.absolute()), "spec": pipeline.version, **selection.as_arguments()}
    return new_errand(table=f"{EVENTS}{stream}", verb=REPLAY, arguments=told)


def replay_handler(spark: SparkSession, pipeline: Pipeline) -> Handler:
    """Carries replays out; what it gives back is that of :func:`headrace.ingest.replay.release`.

    ``pipeline``: of the job, as it was loaded at its start.
    """

    def carry_out(errand: Errand, lease: Lease) -> Mapping[str, Any]:
        current = _as_asked(pipeline, errand)
        selection = Selection.from_arguments(errand.arguments)
        stream = errand.table.removeprefix(EVENTS)
        return release(spark, current, stream=stream, selection=selection, request=errand.id, lease=lease)

    return carry_out


def _as_asked(pipeline: Pipeline, errand: Errand) -> Pipeline:
    """The pipeline file as the command saw it, with this job's lake.

    Raises SpecError where neither the command's path nor the job's own leads to that version.
    """
    wanted = errand.arguments["spec"]
    for file in (Path(errand.arguments["pipeline"]), pipeline.file):
        try:
            found = load(file)
        except SpecError:
            continue
        if found.version == wanted:
            return replace(found, spec=found.spec.model_copy(update={"lake": pipeline.spec.lake}))
    raise SpecError(
        f"the job that writes {errand.table!r} does not find version {wanted} of the pipeline file, which the replay was asked "
        f"with; bring {pipeline.file} and its suites up to date where that job runs, then ask again"
    )
