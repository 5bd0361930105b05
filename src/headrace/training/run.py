"""The training job: labelled rows, a snapshot, a model, its metrics, the gate, the alias."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from headrace.connections import Broker, Tracking
from headrace.errors import ModelError, TrainingError
from headrace.lake.layout import Layout
from headrace.spec.learners import BOOSTING
from headrace.spec.pipeline import Pipeline
from headrace.training import recipe, registry
from headrace.training.chosen import choose
from headrace.training.dataset import LABEL, Dataset, build_dataset
from headrace.training.device import require_device
from headrace.training.distributed.train import DISTRIBUTED
from headrace.training.gate import Verdict
from headrace.training.grow import split_rows
from headrace.training.grown import StepTold, record_grown
from headrace.training.judgement import Challenger, decide
from headrace.training.learn import learn, learner_of
from headrace.training.learners.boosting import Boosted
from headrace.training.learners.checked import importance_of
from headrace.training.learners.found import Found, find
from headrace.training.learners.protocol import Fitted
from headrace.training.memory import PeakMemory, require_room
from headrace.training.model_log import log_fitted
from headrace.training.quality import check_trainable
from headrace.training.snapshot import content_hash, read_snapshot, rows_in, to_arrow, write_snapshot
from headrace.training.split import Split, split_at
from headrace.training.task import Task, as_text, task_of
from headrace.training.truth import truth_of

if TYPE_CHECKING:
    import xgboost as xgb
    from pyspark.sql import DataFrame, SparkSession

EXAMPLE_ROWS = 5


@dataclass(frozen=True)
class Training:
    """What a training run made and what became of it."""

    run_id: str
    version: int
    promoted: bool
    verdict: Verdict
    metrics: dict[str, float]
    train_rows: int
    test_rows: int
    excluded: dict[str, int]


def train(
    spark: SparkSession,
    pipeline: Pipeline,
    *,
    tracking: Tracking,
    as_of: datetime,
    broker: Broker | None = None,
    notify: Callable[[str], None] = lambda line: None,
) -> Training:
    """Train on everything known before ``as_of`` (UTC), log it to MLflow, register it, and promote it if the gate allows.

    ``broker``: where the parameters are read that the pipeline file asks for; without one, from their copy in the lake. Raises
    TrainingError where there is too little data, ModelError where MLflow does not answer, LearnerError where a class of one's own
    fails, ParametersError as :func:`headrace.training.chosen.choose`.
    """
    import mlflow

    model = pipeline.spec.model
    if model is None:
        raise TrainingError(f"{pipeline.file} has no section 'model'; add one to train")
    require_device(model.device)
    found, experiment = learner_of(model), registry.open_tracking(tracking)
    notify(f"reading what was known before {as_of:%Y-%m-%d %H:%M} UTC")
    chosen = choose(spark, pipeline, broker=broker, as_of=as_of, notify=notify)
    dataset = build_dataset(spark, pipeline, as_of=as_of, vocabularies=chosen.vocabularies)
    parameters, rounds = {**model.parameters, **chosen.settings}, chosen.rounds or model.rounds
    with registry.running(experiment, name=f"{pipeline.name} as of {as_of:%Y-%m-%d}") as run_id:
        path, rows, digest = _held(spark, pipeline, dataset, run_id=run_id)
        with PeakMemory() as memory:
            split = split_rows(
                spark, rows, model=model, features=dataset.features, total=rows_in(digest), notify=notify
            )  # fmt: skip
            notify(f"training on {split.train.num_rows:,} rows, testing on the {split.test.num_rows:,} newest")
            named = "label.positive" if model.kind == "binary" else "label.value"
            check_trainable(split.train, split.test, features=dataset.features, label=LABEL, named=named)
            task = task_of(model.kind, split.train, split.test)
            made = learn(
                split.train, found=found, model=model, features=dataset.features, task=task, parameters=parameters, rounds=rounds,
                spark=spark,
            )  # fmt: skip
        mlflow.log_metrics({**memory.figures(), **made.figures})
        _log_data(pipeline, dataset, split, path=path, digest=digest)
        measured = _log_evaluation(made.fitted, split, dataset, task)
        mlflow.log_params({**made.parameters, **chosen.versions})
        if made.workers is not None:
            mlflow.set_tag(DISTRIBUTED, f"{made.workers} workers")
        mlflow.set_tag(registry.PARAMETERS, chosen.tag)
        example = split.train.select(list(dataset.features)).slice(0, EXAMPLE_ROWS)
        uri, sha256 = log_fitted(made.fitted, found, example=example)
        recipe.record(
            spark, pipeline, dataset, run_id=run_id, split=_told(split, share=model.test_share),
            settings=made.settings, rounds=made.rounds, content=digest, booster_sha256=sha256, used=chosen.used,
            classes=task.classes, learner=found, calibration=recipe.calibration_of(model), workers=made.workers,
            tolerance=recipe.tolerance_of(model, workers=made.workers),
        )  # fmt: skip
        return _judged(
            spark, pipeline, dataset, split, made.fitted, found=found, task=task, run_id=run_id, uri=uri, sha256=sha256,
            content=digest, parameters=chosen.tag, measured=measured,
        )  # fmt: skip


def _told(split: Split, *, share: float) -> recipe.Split:
    return recipe.Split(
        share=share, cut=split.cut, train_rows=split.train.num_rows, test_rows=split.test.num_rows
    )  # fmt: skip


def _log_data(pipeline: Pipeline, dataset: Dataset, split: Split, *, path: str, digest: str) -> None:
    import mlflow
    from mlflow.data.delta_dataset_source import DeltaDatasetSource
    from mlflow.data.meta_dataset import MetaDataset

    layout = Layout(pipeline.spec.lake.root)
    for stream, version in dataset.versions.items():
        source = DeltaDatasetSource(path=layout.events(stream), delta_table_version=version)
        mlflow.log_input(MetaDataset(source, name=f"events/{stream}"), context="source")
    mlflow.log_input(
        MetaDataset(DeltaDatasetSource(path=path), name="snapshot", digest=digest[:36]), context="training"
    )
    mlflow.set_tags(
        {
            "headrace.pipeline": pipeline.name,
            "headrace.spec_version": pipeline.version,
            "headrace.as_of": dataset.as_of.isoformat(),
            "headrace.snapshot": path,
            registry.CONTENT: digest,
            "headrace.commit": _code_commit(),
            **{f"headrace.version.{stream}": str(version) for stream, version in dataset.versions.items()},
        }
    )
    mlflow.log_metrics(
        {
            "rows_train": split.train.num_rows,
            "rows_test": split.test.num_rows,
            **{f"excluded_{reason}": count for reason, count in dataset.excluded.items()},
        }
    )
    mlflow.log_param("test_from", split.cut.isoformat())


def _log_evaluation(fitted: Fitted, split: Split, dataset: Dataset, task: Task) -> dict[str, float]:
    import mlflow

    truth = truth_of(split.test, task)
    answers = fitted.predict(split.test, features=dataset.features)
    measured: dict[str, float] = {**truth.metrics(truth.aligned(answers, task.classes))}
    mlflow.log_metrics({f"test_{name}": value for name, value in measured.items()})
    mlflow.log_dict(importance_of(fitted), "importance.json")
    return measured


def _code_commit() -> str:
    """The commit of the code, where it runs from a repository."""
    command = ["git", "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"


def judge_grown(
    spark: SparkSession,
    pipeline: Pipeline,
    dataset: Dataset,
    *,
    experiment: str,
    name: str,
    booster: xgb.Booster,
    step: StepTold,
    tags: Mapping[str, str],
) -> Training:
    """Log a Booster that grew by a step, register it, and let the gate decide as on any other: it tests on the requests from the
    step's cut-off on, of which it must know none. ``tags`` go to its run and its version.

    Raises ModelError where MLflow's file of it has not the step's SHA-256; otherwise as :func:`train`.
    """
    import mlflow

    model = pipeline.spec.model
    assert model is not None
    with registry.running(experiment, name=name) as run_id:
        path, rows, digest = _held(spark, pipeline, dataset, run_id=run_id)
        require_room(rows_in(digest), features=len(dataset.features), limit=model.memory_bytes)
        split = split_at(to_arrow(rows), step.as_of)
        check_trainable(split.train, split.test, features=dataset.features, label=LABEL)
        task = task_of(model.kind, split.train, split.test)
        _log_data(pipeline, dataset, split, path=path, digest=digest)
        fitted = Boosted(booster)
        measured = _log_evaluation(fitted, split, dataset, task)
        mlflow.log_params({"rounds": booster.num_boosted_rounds(), "seed": model.seed})
        record_grown(spark, pipeline, dataset, run_id=run_id, step=step, content=digest)
        mlflow.set_tags({registry.PARAMETERS: step.parameters, **tags})
        example = split.train.select(list(dataset.features)).slice(0, EXAMPLE_ROWS)
        uri, logged = registry.log_booster(booster, example=example)
        if logged != step.sha256:
            raise ModelError(
                f"MLflow's file of {name} is not the Booster of that step; was XGBoost exchanged meanwhile?"
            )
        return _judged(
            spark, pipeline, dataset, split, fitted, found=find(BOOSTING), task=task, run_id=run_id, uri=uri,
            sha256=logged, content=digest, parameters=step.parameters, measured=measured, tags=tags,
        )  # fmt: skip


def _held(spark: SparkSession, pipeline: Pipeline, dataset: Dataset, *, run_id: str) -> tuple[str, DataFrame, str]:
    """The snapshot of a run: its path, its rows, their hash."""
    path = Layout(pipeline.spec.lake.root).snapshot(run_id)
    write_snapshot(dataset.frame, path)
    rows = read_snapshot(spark, path)
    return path, rows, content_hash(rows)


def _judged(
    spark: SparkSession,
    pipeline: Pipeline,
    dataset: Dataset,
    split: Split,
    fitted: Fitted,
    *,
    found: Found,
    task: Task,
    run_id: str,
    uri: str,
    sha256: str,
    content: str,
    parameters: str,
    measured: dict[str, float],
    tags: Mapping[str, str] = MappingProxyType({}),
) -> Training:
    """Register a logged model as a version, with ``tags`` besides those that each has, and let the gate decide."""
    model = pipeline.spec.model
    assert model is not None
    said = {registry.SHA256: sha256, registry.FEATURES: ",".join(dataset.features), registry.CONTENT: content}
    said |= {registry.PARAMETERS: parameters, registry.TASK: as_text(task), registry.LEARNER: found.name, **tags}
    version = registry.register(model.name, model_uri=uri, run_id=run_id, tags=said)
    challenger = Challenger(
        version, run_id, fitted, split.train, split.test, split.cut, content, _code_commit(), task
    )  # fmt: skip
    verdict = decide(spark, pipeline, dataset, challenger)
    return Training(
        run_id, version, verdict.passed, verdict, measured, split.train.num_rows, split.test.num_rows, dataset.excluded
    )  # fmt: skip
