"""When a step's Booster is a candidate, and its way to the gate: tested on what was asked after everything that it consumed."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from headrace.errors import ModelError
from headrace.features.categories import Vocabularies
from headrace.features.compute import AT
from headrace.spec.model import Model
from headrace.spec.pipeline import Pipeline
from headrace.spec.section import seconds
from headrace.training import registry
from headrace.training.continuous.boost import loaded
from headrace.training.continuous.origin import CONSUMED
from headrace.training.continuous.rows import Position, labelled
from headrace.training.continuous.steps import Step, Steps
from headrace.training.dataset import build_dataset
from headrace.training.decide import GATE
from headrace.training.run import Training, judge_grown

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

STEP, TABLE, CONTINUOUS = "headrace.step", "headrace.steps_table", "headrace.continuous"
"""Tags of a candidate's version and run: number of its step, Delta's id of the table of steps, ``true``."""
_MOST_LOOKED_AT = 100
"""Steps, so that one pass over the labels counts for all."""


def due(
    spark: SparkSession,
    pipeline: Pipeline,
    steps: Steps,
    newest: Step,
    *,
    now: Position,
    notify: Callable[[str], None],
) -> Step | None:
    """The step whose Booster is to be judged now, or None. The tracking store must be open.

    ``candidate_every`` must have passed since it, in the time of the requests, and between it and the last candidate; of those the
    newest one after which ``model.gate.minimum_rows`` labelled rows were asked for. ``notify`` hears where there is none yet.
    """
    model = pipeline.spec.model
    assert model is not None
    assert model.continuous is not None
    every = timedelta(seconds=seconds(model.continuous.candidate_every))
    chain, judged = steps.of_chain(newest.chain), _judged(model, steps.table_id)
    last = max((one.position.as_of for one in chain if one.number in judged), default=None)
    ripe = [
        one
        for one in chain
        if one.position.as_of + every <= now.as_of and (last is None or one.position.as_of >= last + every)
    ][-_MOST_LOOKED_AT:]
    if not ripe:
        return None
    after = [F.count_if(F.col(AT) >= F.lit(one.position.as_of)).alias(str(one.number)) for one in ripe]
    counted = labelled(spark, pipeline, now).agg(*after).first()
    assert counted is not None
    enough = [one for one in ripe if counted[str(one.number)] >= model.gate.minimum_rows]
    if not enough:
        notify(
            f"step {ripe[0].number} waits for the gate: {counted[str(ripe[0].number)]:,} labelled rows came after it, and "
            f"model.gate.minimum_rows asks for {model.gate.minimum_rows:,}"
        )
        return None
    return enough[-1]


def judge(
    spark: SparkSession,
    pipeline: Pipeline,
    steps: Steps,
    step: Step,
    *,
    experiment: str,
    now: Position,
    vocabularies: Vocabularies,
) -> Training:
    """Log a step's Booster, register it, and let the gate decide.

    It is tested on the requests at or after its cut-off: all that it consumed were asked, and had their outcome, before it. A
    repetition after a crash registers another version of the same Booster.
    """
    booster = steps.with_booster(step.number).booster
    assert booster is not None
    dataset = build_dataset(spark, pipeline, as_of=now.as_of, versions=now.versions, vocabularies=vocabularies)
    done = judge_grown(
        spark, pipeline, dataset, experiment=experiment, name=f"{pipeline.name} step {step.number}", booster=loaded(booster),
        step=step.told(steps.path),
        tags={
            STEP: str(step.number), TABLE: steps.table_id, CONTINUOUS: "true", CONSUMED: json.dumps(dict(step.position.versions)),
        },
    )  # fmt: skip
    steps.prune(step.number)
    return done


def _judged(model: Model, table_id: str) -> frozenset[int]:
    """The steps of this table on whose Booster the gate has decided."""
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    try:
        versions = MlflowClient().search_model_versions(f"name='{model.name}'")
    except MlflowException as error:
        raise registry.told(error) from None
    told = [dict(one.tags) for one in versions]
    try:
        return frozenset(int(one[STEP]) for one in told if one.get(TABLE) == table_id and STEP in one and GATE in one)
    except ValueError:
        raise ModelError(f"a version of {model.name} has a tag {STEP} that is no number; remove the tag") from None
