"""The search for hyperparameters: trials over splits in time, kept in a study that goes on where it was stopped."""

from __future__ import annotations

import statistics
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.connections import Broker, Tracking
from headrace.errors import SpecError, TrainingError
from headrace.lake import delta
from headrace.lake.layout import Layout
from headrace.parameters import publish
from headrace.parameters.event import HYPERPARAMETERS
from headrace.spec.learners import BOOSTING
from headrace.spec.model import Model
from headrace.spec.pipeline import Pipeline
from headrace.training import registry, search_runs
from headrace.training.chosen import choose
from headrace.training.dataset import Dataset, build_dataset
from headrace.training.folds import newest_share, time_folds
from headrace.training.memory import require_room
from headrace.training.snapshot import content_hash, read_snapshot, rows_in, to_arrow, write_snapshot
from headrace.training.study import ask, finished, importances, open_study, space_of, study_name
from headrace.training.task import by_group, task_of
from headrace.training.trial import Judge

if TYPE_CHECKING:
    import optuna
    import pyarrow as pa
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class Stand:
    """How a search stands."""

    trial: int
    """Finished trials and the one that runs."""
    trials: int
    fold: int
    """Finished folds of the trial that runs."""
    folds: int
    best: float | None
    """Of the complete trials; None before the first."""


@dataclass(frozen=True)
class Found:
    """What a search came to."""

    study: str
    run_id: str
    metric: str
    best: float
    """Mean of the winner's folds."""
    parameters: dict[str, Any]
    rounds: int
    """Median of the winner's folds."""
    trials: int
    pruned: int
    train_rows: int
    version: int = 0
    """Of the hyperparameters, as which they were published."""


def search(
    spark: SparkSession,
    pipeline: Pipeline,
    *,
    tracking: Tracking,
    broker: Broker | None,
    as_of: datetime,
    home: Path,
    trials: int | None = None,
    stop: threading.Event | None = None,
    progress: Callable[[Stand], None] = lambda stand: None,
    notify: Callable[[str], None] = lambda line: None,
) -> Found | None:
    """Try parameters on everything known before ``as_of`` (UTC), but for the newest share, by which ``train`` tests.

    The winner is published as the pipeline's hyperparameters; without a ``broker`` in the lake only. ``trials`` counts those that
    an earlier search of the same study finished. None if ``stop`` was set before they were done.
    Raises TrainingError where there is too little data or memory, ModelError where MLflow does not answer, StorageError where
    the study's database does not, and what publishing raises.
    """
    model = pipeline.spec.model
    if model is None:
        raise TrainingError(f"{pipeline.file} has no section 'model'; add one to search its parameters")
    if model.learner != BOOSTING:
        raise SpecError(
            f"headrace search tries parameters of boosting, and the learner is {model.learner}; write learner: boosting"
        )
    stop, trials = stop or threading.Event(), trials or model.search.trials
    experiment = registry.open_tracking(tracking)
    notify(f"reading what was known before {as_of:%Y-%m-%d %H:%M} UTC")
    chosen = choose(spark, pipeline, broker=broker, as_of=as_of, hyperparameters=False, notify=notify)
    dataset = build_dataset(spark, pipeline, as_of=as_of, vocabularies=chosen.vocabularies)
    model = model.model_copy(update={"parameters": {**model.parameters, **chosen.settings}})
    frame = dataset.frame.persist()
    try:
        content = content_hash(frame)
        require_room(rows_in(content), features=len(dataset.features), limit=model.memory_bytes)
        name = study_name(pipeline.name, content=content, features=dataset.features, model=model)
        with (
            open_study(model.search, name=name, home=home, metric=model.gate.metric) as study,
            search_runs.study_run(experiment, study=name, name=f"search {pipeline.name} {as_of:%Y-%m-%d}") as run_id,
        ):
            path = Layout(pipeline.spec.lake.root).snapshot(run_id)
            if not delta.exists(spark, path):
                write_snapshot(frame, path)
            _log_data(pipeline, dataset, path=path, content=content)
            rows = to_arrow(read_snapshot(spark, path))
            rows = rows.take(newest_share(rows, share=model.test_share).train)
            if finished(study):
                notify(f"going on with the study {name}: {len(finished(study))} of {trials} trials are done")
            _run(
                study, model, rows, dataset.features, experiment=experiment, trials=trials, stop=stop, progress=progress
            )
            _log_study(study, model)
            if stop.is_set():
                return None
            found = _winner(study, model, name=name, run_id=run_id, rows=rows.num_rows)
            version = _publish(spark, pipeline, dataset, found, broker=broker)
            return replace(found, version=version)
    finally:
        frame.unpersist()


def _run(
    study: optuna.Study, model: Model, rows: pa.Table, features: tuple[str, ...], *, experiment: str, trials: int,
    stop: threading.Event, progress: Callable[[Stand], None],
) -> None:  # fmt: skip
    rows, task = by_group(rows), task_of(model.kind, rows, rows)
    require_room(rows.num_rows, features=len(features), classes=len(task.classes), limit=model.memory_bytes)
    folds = time_folds(task.numbered(rows), folds=model.search.folds)
    judge = Judge(rows, folds, features=features, model=model, task=task)
    while len(finished(study)) < trials and not stop.is_set():
        trial, chosen = ask(study, space=space_of(model), seed=model.seed)
        number = len(finished(study)) + 1
        told = Told(number, trials, model.search.folds, best=_best(study), progress=progress)
        with search_runs.trial_run(experiment, number=number, parameters=chosen):
            _one(study, trial, judge, model, {**model.parameters, **chosen}, stop=stop, told=told)


@dataclass(frozen=True)
class Told:
    """Tells how the trial that runs stands."""

    trial: int
    trials: int
    folds: int
    best: float | None
    progress: Callable[[Stand], None]

    def __call__(self, fold: int) -> None:
        self.progress(Stand(self.trial, self.trials, fold, self.folds, self.best))


def _one(
    study: optuna.Study, trial: optuna.Trial, judge: Judge, model: Model, parameters: Mapping[str, Any], *,
    stop: threading.Event, told: Told,
) -> None:  # fmt: skip
    """Fold after fold, until the trial is complete, clearly worse than the others, or stopped."""
    from optuna.trial import TrialState

    metric, values, rounds = model.gate.metric, list[float](), list[int]()
    for index in range(len(judge.folds)):
        told(index)
        score = judge.judge(index, parameters, stop=stop)
        if score is None:
            study.tell(trial, state=TrialState.FAIL)
            search_runs.log_trial(metric, state="stopped", value=None)
            return
        values.append(score.value)
        rounds.append(score.rounds)
        search_runs.log_fold(metric, fold=index, value=score.value, rounds=score.rounds)
        mean = statistics.fmean(values)
        trial.report(mean, step=index)
        trial.set_user_attr("rounds", rounds)
        if mean != mean or (index + 1 < len(judge.folds) and trial.should_prune()):  # NaN: no number came out
            study.tell(trial, state=TrialState.PRUNED)
            search_runs.log_trial(metric, state="pruned", value=None)
            return
    study.tell(trial, statistics.fmean(values))
    search_runs.log_trial(metric, state="complete", value=statistics.fmean(values))


def _best(study: optuna.Study) -> float | None:
    from optuna.trial import TrialState

    return study.best_value if study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)) else None


def _winner(study: optuna.Study, model: Model, *, name: str, run_id: str, rows: int) -> Found:
    done = finished(study)
    if _best(study) is None:
        raise TrainingError(
            f"none of {len(done)} trials of the study {name} came to a result; narrow model.search.space"
        )
    best = study.best_trial
    rounds = int(statistics.median_low(best.user_attrs["rounds"]))
    pruned = sum(trial.state.name == "PRUNED" for trial in done)
    return Found(name, run_id, model.gate.metric, study.best_value, dict(best.params), rounds, len(done), pruned, rows)


def _publish(spark: SparkSession, pipeline: Pipeline, dataset: Dataset, found: Found, *, broker: Broker | None) -> int:
    """The winner becomes an event, which the next training takes; its version."""
    import mlflow

    told = {
        "study": found.study,
        "metric": found.metric,
        "value": found.best,
        "trials": found.trials,
        "run": found.run_id,
    }
    made = publish(
        spark, pipeline, broker=broker, name=HYPERPARAMETERS, as_of=dataset.as_of, sources=dataset.versions,
        value={"parameters": found.parameters, "rounds": found.rounds, **told},
    )  # fmt: skip
    mlflow.set_tag("headrace.hyperparameters", str(made.version))
    return made.version


def _log_data(pipeline: Pipeline, dataset: Dataset, *, path: str, content: str) -> None:
    import mlflow

    mlflow.set_tags(
        {
            "headrace.pipeline": pipeline.name,
            "headrace.spec_version": pipeline.version,
            "headrace.as_of": dataset.as_of.isoformat(),
            "headrace.snapshot": path,
            registry.CONTENT: content,
            **{f"headrace.version.{stream}": str(version) for stream, version in dataset.versions.items()},
        }
    )


def _log_study(study: optuna.Study, model: Model) -> None:
    import mlflow

    done = finished(study)
    mlflow.log_metric("trials", len(done))
    if done:
        mlflow.log_figure(search_runs.history_plot(done, metric=model.gate.metric), "history.png")
    share = importances(study, seed=model.seed)
    if share:
        mlflow.log_figure(search_runs.importance_plot(share), "importances.png")
        mlflow.log_dict(dict(share), "importances.json")
    if _best(study) is not None:
        mlflow.log_metric(f"best_{model.gate.metric}", study.best_value)
        mlflow.log_dict({"parameters": study.best_params, "rounds": study.best_trial.user_attrs["rounds"]}, "best.json")
