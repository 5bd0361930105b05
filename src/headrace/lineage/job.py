"""The events of one run of a job: START, at most one RUNNING in a while, and how it ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from headrace.errors import GateRefused, HeadraceError
from headrace.lake.layout import Layout
from headrace.spec.pipeline import Pipeline
from headrace.spec.section import seconds

if TYPE_CHECKING:
    from openlineage.client.event_v2 import RunEvent
    from pyspark.sql import SparkSession

    from headrace.lineage.commits import Use, Watched
    from headrace.lineage.emitter import Emitter
    from headrace.parameters.event import Parameters

Notify = Callable[[str], None]
TRAIN_CONTINUOUS, PARAMETERS_CONTINUOUS = "train-continuous", "parameters-continuous"
_STREAMING = frozenset({"ingest", "score", TRAIN_CONTINUOUS, PARAMETERS_CONTINUOUS})
_OWN = {
    "replay": frozenset({"replay"}),
    "erase": frozenset({"erase"}),
    "maintain": frozenset({"retention", "OPTIMIZE"}),
}
"""Verb to what its commits name themselves, else Delta's word for them."""


class Told:
    """A job that nobody wants events of."""

    def tick(self) -> None:
        """Say that the job goes on. Costs nothing where it was said a short while ago."""

    def trained(self, run_id: str, *, tracking_uri: str) -> None:
        """Say which training run the job was, or made meanwhile."""

    def published(self, made: Iterable[Parameters], *, bootstrap: str) -> None:
        """Say which parameters the job published."""


class TellingJob(Told):
    """A job whose events are told."""

    def __init__(
        self, spark: SparkSession, verb: str, *, pipeline: Pipeline, emitter: Emitter, collect: Callable[[], Use], every: float
    ) -> None:  # fmt: skip
        from openlineage.client.uuid import generate_new_uuid

        self._verb, self._pipeline, self._emitter, self._collect = verb, pipeline, emitter, collect
        self._spark, self._every, self._streaming = spark, every, verb in _STREAMING
        self._run, self._last, self._lock = str(generate_new_uuid()), time.monotonic(), threading.Lock()
        self._added: list[Callable[[], Use]] = []

    def start(self, known: Callable[[], Use]) -> None:
        """Say that it begins, and what it is going to read and write."""
        self._submit("START", known)

    def tick(self) -> None:
        with self._lock:
            if time.monotonic() - self._last < self._every:
                return
            self._last = time.monotonic()
        self._submit("RUNNING", self._collect, if_any=True)

    def at_end(self, found: Callable[[], Use]) -> None:
        """What is told with the end of the job, apart from what the commits say; asked for in the thread of the events."""
        self._added.append(found)

    def trained(self, run_id: str, *, tracking_uri: str) -> None:
        from headrace.lineage.use import training_use

        self._used(lambda: training_use(self._spark, run_id, tracking_uri=tracking_uri))

    def published(self, made: Iterable[Parameters], *, bootstrap: str) -> None:
        from headrace.lineage.use import parameters_use

        self._used(lambda: parameters_use(self._spark, self._pipeline, made, bootstrap=bootstrap))

    def end(self, error: BaseException | None) -> None:
        """Say how it ended."""
        kind = "COMPLETE" if error is None else "FAIL" if isinstance(error, Exception) else "ABORT"
        self._submit(kind, self._all, error=error)

    def _used(self, found: Callable[[], Use]) -> None:
        """Told at once of a job that goes on, else with its end."""
        if self._streaming:
            self._submit("RUNNING", found, if_any=True)
        else:
            self.at_end(found)

    def _all(self) -> Use:
        from headrace.lineage.commits import Use

        found = [self._collect(), *(one() for one in self._added)]
        return Use(
            tuple(one for use in found for one in use.inputs), tuple(one for use in found for one in use.outputs)
        )

    def _submit(
        self, kind: str, found: Callable[[], Use], *, if_any: bool = False, error: BaseException | None = None
    ) -> None:
        now = datetime.now(UTC)

        def made() -> Iterable[RunEvent]:
            use = found()
            return [] if if_any and not use else [self._event(kind, use, now, error)]

        self._emitter.submit(made)

    def _event(self, kind: str, use: Use, at: datetime, error: BaseException | None) -> RunEvent:
        from openlineage.client.event_v2 import Job, Run, RunEvent, RunState
        from openlineage.client.generated.error_message_run import ErrorMessageRunFacet
        from openlineage.client.generated.job_type_job import JobTypeJobFacet
        from openlineage.client.generated.processing_engine_run import ProcessingEngineRunFacet

        from headrace.lineage.datasets import PRODUCER

        facets: dict[str, Any] = {"processing_engine": ProcessingEngineRunFacet(version("pyspark"), "Spark")}
        if error is not None and kind == "FAIL":
            said = str(error) if isinstance(error, HeadraceError) else type(error).__name__
            facets["errorMessage"] = ErrorMessageRunFacet(said, "PYTHON")
        how = JobTypeJobFacet("STREAMING" if self._streaming else "BATCH", "HEADRACE", "JOB")
        job = Job(f"headrace.{self._pipeline.name}", self._verb, facets={"jobType": how})
        return RunEvent(
            eventTime=at.isoformat(timespec="milliseconds"), producer=PRODUCER, run=Run(self._run, facets=facets), job=job,
            eventType=RunState[kind], inputs=[one.as_input() for one in use.inputs],
            outputs=[one.as_output() for one in use.outputs],
        )  # fmt: skip


@contextmanager
def telling(
    spark: SparkSession, pipeline: Pipeline, verb: str, *, bootstrap: str = "", tracking_uri: str = "", notify: Notify
) -> Generator[Told]:
    """Tell the events of a job that runs inside, where the pipeline file declares lineage.

    Raises PrerequisiteError where OpenLineage's client is not installed, before the job begins; nothing else ever.
    """
    declared = pipeline.spec.lineage
    if declared is None:
        yield Told()
        return
    from headrace.lineage.emitter import Emitter, transport_of

    emitter = Emitter(transport_of(declared), notify=notify)
    from headrace.lineage.commits import use

    watched = watched_tables(pipeline, verb)
    begun = False

    def collect() -> Use:
        return use(spark, watched, bootstrap=bootstrap, tracking_uri=tracking_uri)

    job = TellingJob(
        spark, verb, pipeline=pipeline, emitter=emitter, collect=collect, every=seconds(declared.every)
    )  # fmt: skip
    try:
        for one in watched:
            one.begin(spark)
        begun = True
    except Exception as error:
        notify(f"warning: lineage events are lost ({type(error).__name__}); the job goes on without them")
    if not begun:
        yield Told()
        return
    if verb == "score":
        job.at_end(lambda: published(pipeline, bootstrap=bootstrap))
    job.start(lambda: known(pipeline, verb, bootstrap=bootstrap))
    try:
        yield job
    except GateRefused:
        job.end(None)
        raise
    except BaseException as error:
        job.end(error)
        raise
    else:
        job.end(None)
    finally:
        emitter.close()


def watched_tables(pipeline: Pipeline, verb: str) -> Sequence[Watched]:
    """The tables that a verb writes."""
    from headrace.lineage.commits import Watched

    layout, spec = Layout(pipeline.spec.lake.root), pipeline.spec
    events = [layout.events(name) for name in spec.streams]
    if verb == "ingest":
        return [Watched(path, lambda entry: entry.is_batch) for path in events]
    if verb == TRAIN_CONTINUOUS and spec.model:
        from headrace.training.continuous.rows import streams

        tables = {name: layout.events(name) for name in streams(pipeline)}
        return [by_kind(layout.steps(spec.model.name), frozenset({"training step"}), of_features=tables)]
    served = [layout.requests(spec.model.name), layout.predictions(spec.model.name)] if spec.model else []
    if verb == "score" and served:
        tables = {name: layout.events(name) for name in spec.features.streams} if spec.features else {}
        return [
            Watched(served[0], lambda entry: entry.is_batch),
            by_kind(served[1], frozenset({"scores"}), of_features=tables),
        ]
    if verb not in _OWN:
        return []
    return [by_kind(path, _OWN[verb]) for path in [*events, *(served if verb != "replay" else [])]]


def known(pipeline: Pipeline, verb: str, *, bootstrap: str) -> Use:
    """What a streaming job is going to read and write, by name."""
    from headrace.lineage.commits import Use
    from headrace.lineage.datasets import table, topic

    layout, spec = Layout(pipeline.spec.lake.root), pipeline.spec
    if verb == "ingest":
        return Use(
            tuple(topic(bootstrap, stream.topic) for stream in spec.streams.values()),
            tuple(table(layout.events(name)) for name in spec.streams),
        )
    if verb == "score" and spec.model and spec.features and spec.scoring:
        tables = (table(layout.events(name)) for name in spec.features.streams)
        return Use(
            (topic(bootstrap, spec.streams[spec.features.requests].topic), *tables),
            (table(layout.predictions(spec.model.name)), *published(pipeline, bootstrap=bootstrap).outputs),
        )
    return Use()


def published(pipeline: Pipeline, *, bootstrap: str) -> Use:
    """The topic that answers go to."""
    from headrace.lineage.commits import Use
    from headrace.lineage.datasets import topic

    scoring = pipeline.spec.scoring
    return Use((), (topic(bootstrap, scoring.topic),) if scoring else ())


def by_kind(path: str, kinds: frozenset[str], *, of_features: Mapping[str, str] = MappingProxyType({})) -> Watched:
    """A table of which only commits of these kinds are a job's own: others write it, too."""
    from headrace.lineage.commits import Watched

    return Watched(
        path, lambda entry: str(entry.metadata.get("headrace") or entry.operation) in kinds, of_features=of_features
    )
