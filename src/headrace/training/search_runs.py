"""A search in MLflow: one run for the study, one within it for each trial, and pictures of how it went."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from headrace.training import registry
from headrace.training.resample import LOWER_IS_BETTER

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from optuna.trial import FrozenTrial

STUDY = "headrace.study"
STATE = "headrace.trial"


@contextmanager
def study_run(experiment: str, *, study: str, name: str) -> Generator[str]:
    """The run of a study: the one that an earlier search of it began, or a new one."""
    import mlflow
    from mlflow.exceptions import MlflowException

    try:
        found = mlflow.MlflowClient().search_runs(
            [experiment], filter_string=f"tags.`{STUDY}` = '{study}'", max_results=1, order_by=["start_time ASC"]
        )
    except MlflowException as error:
        raise registry.told(error) from None
    again = found[0].info.run_id if found else None
    with registry.running(experiment, name=name, again=again) as run_id:
        mlflow.set_tag(STUDY, study)
        yield run_id


@contextmanager
def trial_run(experiment: str, *, number: int, parameters: Mapping[str, Any]) -> Generator[str]:
    """The run of a trial, within the study's."""
    import mlflow

    with registry.running(experiment, name=f"trial {number}", nested=True) as run_id:
        mlflow.log_params({f"xgb.{name}": value for name, value in parameters.items()})
        yield run_id


def log_fold(metric: str, *, fold: int, value: float, rounds: int) -> None:
    """One fold of the open trial."""
    import mlflow

    mlflow.log_metrics({f"fold_{metric}": value, "fold_rounds": rounds}, step=fold)


def log_trial(metric: str, *, state: str, value: float | None) -> None:
    """How the open trial ended: complete, pruned or stopped; ``value``: the mean of its folds if complete."""
    import mlflow

    mlflow.set_tag(STATE, state)
    if value is not None:
        mlflow.log_metric(f"mean_{metric}", value)


def history_plot(trials: list[FrozenTrial], *, metric: str) -> Figure:
    """Every trial's result, and the best one so far; pruned trials with the mean of the folds that they came to."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    done = [
        (trial.number, trial.value) for trial in trials if trial.value is not None and trial.state.name == "COMPLETE"
    ]
    cut = [
        (trial.number, trial.intermediate_values[max(trial.intermediate_values)])
        for trial in trials
        if trial.state.name == "PRUNED" and trial.intermediate_values
    ]
    better = min if metric in LOWER_IS_BETTER else max
    best = [better(value for _, value in done[: upto + 1]) for upto in range(len(done))]
    axes.plot([n for n, _ in cut], [v for _, v in cut], "x", color="0.6", label="pruned")
    axes.plot([n for n, _ in done], [v for _, v in done], "o", color="#1f6f8b", label="complete")
    axes.step([n for n, _ in done], best, where="post", color="#d1495b", label="best so far")
    axes.set(xlabel="trial", ylabel=f"mean {metric} of the folds", title="History of the study")
    axes.legend()
    return figure


def importance_plot(share: Mapping[str, float]) -> Figure:
    """How much of the variance of the results each parameter explains."""
    from matplotlib.figure import Figure

    names = list(share)[::-1]
    figure = Figure(figsize=(7, 0.32 * len(names) + 1.2), layout="constrained")
    axes = figure.subplots()
    axes.barh(names, [share[name] for name in names], color="#1f6f8b")
    axes.set(xlabel="share of the results' variance", title="Importance of the parameters")
    return figure
