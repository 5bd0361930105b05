"""The running job: each time rows came, a candidate is judged where one is due, and then a step is made of what is new."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from threading import Event
from typing import TYPE_CHECKING

import numpy as np

from headrace.connections import Broker, Tracking
from headrace.errors import SpecError, TrainingError
from headrace.features.table import definition
from headrace.lake import delta
from headrace.lake.layout import Layout
from headrace.lake.lease import Lease, leased
from headrace.spec.continuous import Continuous
from headrace.spec.model import Model
from headrace.spec.pipeline import Pipeline
from headrace.training import registry
from headrace.training.changes import Changes, known_until
from headrace.training.chosen import Chosen
from headrace.training.continuous import boost, candidate
from headrace.training.continuous.origin import Origin, find_origin
from headrace.training.continuous.rows import CORRECTED, Position, fresh, sections, streams, with_features
from headrace.training.continuous.steps import Step, Steps
from headrace.training.continuous.words import choose_for_step
from headrace.training.dataset import LABEL
from headrace.training.fit import settings
from headrace.training.memory import require_room
from headrace.training.quality import check_trainable
from headrace.training.run import Training
from headrace.training.snapshot import to_arrow

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession


class ContinuousTraining:
    """A job that trains as labels arrive. Use :func:`train_continuously`, then ``run``."""

    def __init__(
        self,
        spark: SparkSession,
        pipeline: Pipeline,
        *,
        broker: Broker | None,
        tracking: Tracking,
        anew: bool,
        trigger_seconds: float,
        on_step: Callable[[Step], None],
        on_candidate: Callable[[Training, Step], None],
        notify: Callable[[str], None],
    ) -> None:
        self._spark, self._pipeline, self._broker, self._anew = spark, pipeline, broker, anew
        self._on_step, self._on_candidate, self._notify = on_step, on_candidate, notify
        self._model, self._continuous = _sections(pipeline)
        self._features, _ = sections(pipeline)
        self._experiment = registry.open_tracking(tracking)
        self._what = f"training/{self._model.name}"
        self._steps = Steps(spark, Layout(pipeline.spec.lake.root).steps(self._model.name), what=self._what)
        self._changes = Changes(
            spark, pipeline, streams=streams(pipeline), query=self._what, trigger_seconds=trigger_seconds, work=self._work,
            notify=notify,
        )  # fmt: skip
        self._lease: Lease | None = None
        self._looked = False

    def run(self, *, until_caught_up: bool, stop: Event | None = None) -> None:
        """Train until ``stop`` is set, or until everything that is in the tables now was looked at.

        Raises CheckpointError where another job trains this model, and the error that ended the job.
        """
        with leased(self._spark, self._steps.path, what=self._what, notify=self._notify) as self._lease:
            self._looked = False
            self._changes.run(until_caught_up=until_caught_up, stop=stop)
            stopped = stop is not None and stop.is_set()
            if until_caught_up and not self._looked and not stopped:  # what is asked for may be new, if no row is
                try:
                    self._work()
                except TrainingError as error:
                    self._notify(str(error))

    def _work(self) -> None:
        self._looked = True
        newest = self._steps.newest()
        now = self._position(newest)
        if now is None:
            return
        going_on = newest is not None and newest.definition == self._definition and not self._anew
        if newest is not None and not going_on and not self._anew:
            self._notify("features or label are declared otherwise than at the step before: another Booster is begun")
        if newest is not None and going_on:
            self._judge(newest, now)
            booster = self._steps.with_booster(newest.number).booster
            origin = Origin(newest.started_from, booster, newest.trees, newest.position, newest.parameters)
        else:
            origin = find_origin(
                self._model, features=self._features.names, streams=streams(self._pipeline), notify=self._notify
            )
        number = 1 if newest is None else newest.number + 1
        rows = fresh(self._spark, self._pipeline, before=origin.position, now=now, notify=self._notify)
        try:
            count = rows.count()
            if count < self._continuous.min_rows:
                return
            require_room(count, features=len(self._features.names), limit=self._model.memory_bytes)
            chain = newest.chain if newest is not None and going_on else number
            self._step(number, chain, origin, rows, now)
        finally:
            rows.unpersist()

    def _step(self, number: int, chain: int, origin: Origin, rows: DataFrame, now: Position) -> None:
        chosen = self._chosen(now, origin.parameters)
        table = to_arrow(
            with_features(self._spark, self._pipeline, rows, now=now, vocabularies=chosen.vocabularies)
        )  # fmt: skip
        if origin.booster is None:
            check_trainable(table, table.slice(0, 0), features=self._features.names, label=LABEL)
        step = self._boosted(number, chain, origin, table, chosen, now)
        assert self._lease is not None
        self._lease.require()
        committed = self._steps.commit(step)
        self._anew = False
        self._on_step(committed)

    def _boosted(
        self, number: int, chain: int, origin: Origin, rows: pa.Table, chosen: Chosen, now: Position
    ) -> Step:  # fmt: skip
        """The Booster of a step. A first one from nothing has as many trees as a training, and as are allowed."""
        model, names = self._model, self._features.names
        given = settings({**model.parameters, **chosen.settings}, seed=model.seed + number)
        again = rows.column(CORRECTED).to_numpy(zero_copy_only=False).astype(bool)
        weight = np.where(again, self._continuous.correction_weight, 1.0)
        data = boost.matrix(rows, features=names, label=LABEL, weight=weight)
        added, most = self._continuous.rounds_per_step, self._continuous.max_trees
        if origin.booster is None:
            added = min(chosen.rounds or model.rounds, most)
            booster = boost.grown(None, data, settings=given, rounds=added)
        elif origin.trees + added <= most:
            booster = boost.grown(origin.booster, data, settings=given, rounds=added)
        else:
            added = 0
            booster = boost.moved(origin.booster, data, settings=given)
        boost.require_growable(boost.loaded(booster), what=f"step {number}")
        return Step(
            number, chain, self._definition, now, rows.num_rows, int(again.sum()), origin.trees + added, added, chosen.tag,
            json.dumps(given, sort_keys=True), origin.name, booster,
        )  # fmt: skip

    def _judge(self, newest: Step, now: Position) -> None:
        step = candidate.due(self._spark, self._pipeline, self._steps, newest, now=now, notify=self._notify)
        if step is None:
            return
        done = candidate.judge(
            self._spark, self._pipeline, self._steps, step, experiment=self._experiment, now=now,
            vocabularies=self._chosen(now, step.parameters).vocabularies,
        )  # fmt: skip
        self._on_candidate(done, step)

    def _chosen(self, now: Position, began_with: str) -> Chosen:
        return choose_for_step(
            self._spark, self._pipeline, broker=self._broker, as_of=now.as_of, began_with=began_with, notify=self._notify
        )  # fmt: skip

    def _position(self, newest: Step | None) -> Position | None:
        """How far the tables can be consumed now: first the time, then the versions, which so hold all of it. Never back."""
        until = known_until(self._spark, self._pipeline, streams(self._pipeline))
        if until is None:
            return None
        layout = Layout(self._pipeline.spec.lake.root)
        versions = {name: delta.version(self._spark, layout.events(name)) for name in streams(self._pipeline)}
        return Position(versions, until if newest is None else max(until, newest.position.as_of))

    @property
    def _definition(self) -> str:
        _, label = sections(self._pipeline)
        return hashlib.sha256(f"{definition(self._features)} {label.model_dump_json()}".encode()).hexdigest()


def train_continuously(
    spark: SparkSession,
    pipeline: Pipeline,
    *,
    broker: Broker | None,
    tracking: Tracking,
    anew: bool = False,
    trigger_seconds: float = 30.0,
    on_step: Callable[[Step], None] = lambda step: None,
    on_candidate: Callable[[Training, Step], None] = lambda done, step: None,
    notify: Callable[[str], None] = lambda line: None,
) -> ContinuousTraining:
    """Prepare to train as labels arrive; ``run`` does it. ``on_step`` hears of each step, ``on_candidate`` of each decision.

    ``anew``: begin another Booster, from the champion if there is one. ``broker``: as for a training. Raises SpecError where the
    pipeline file lacks a section, TrainingError where a table is absent, ModelError where MLflow does not answer.
    """
    _sections(pipeline)
    for name in streams(pipeline):
        if not delta.exists(spark, Layout(pipeline.spec.lake.root).events(name)):
            raise TrainingError(f"stream {name!r} has no table yet; start headrace ingest first")
    return ContinuousTraining(
        spark, pipeline, broker=broker, tracking=tracking, anew=anew, trigger_seconds=trigger_seconds, on_step=on_step,
        on_candidate=on_candidate, notify=notify,
    )  # fmt: skip


def _sections(pipeline: Pipeline) -> tuple[Model, Continuous]:
    model = pipeline.spec.model
    if model is None or model.continuous is None or pipeline.spec.features is None or pipeline.spec.label is None:
        raise SpecError(
            f"{pipeline.file} needs the sections features, label and model, and in it continuous (or continuous: {{}}), "
            "to train as labels arrive"
        )
    return model, model.continuous
