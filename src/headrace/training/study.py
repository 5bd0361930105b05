"""The study: Optuna's record of all trials over one snapshot and one space, kept in a database.

The same seed and the same rows give the same trials, also where a search was stopped and goes on: each trial's sampler gets a
seed of its own, from the declared one and the number of trials that were finished before it.
"""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from filelock import FileLock, Timeout

from headrace.errors import StorageError, TrainingError, first_line
from headrace.spec.connections import EMBEDDED
from headrace.spec.search import SAME, USUAL, Choice, Log, Search, Space
from headrace.training.resample import LOWER_IS_BETTER

if TYPE_CHECKING:
    import optuna

    from headrace.spec.model import Model

UNPRUNED = 5
"""So many trials come to their end before a median prunes others."""
BY_CHANCE = 10
"""So many trials are drawn by chance before the sampler learns from them."""


def space_of(model: Model) -> Space:
    """The declared space, or the usual one, in which a parameter has the name under which the pipeline file declares it."""
    if model.search.space:
        return model.search.space
    declared = {SAME.get(name, name): name for name in model.parameters}
    return {declared.get(name, name): dimension for name, dimension in USUAL.items()}


def study_name(pipeline: str, *, content: str, features: tuple[str, ...], model: Model) -> str:
    """Names what trials have in common: the rows, the folds, the space, and what is fixed. Another ``--as-of`` is another study."""
    search = model.search
    common = {
        "content": content, "features": features, "folds": search.folds, "most_rounds": search.most_rounds,
        "patience": search.patience, "space": _plain(space_of(model)), "parameters": dict(model.parameters),
        "metric": model.gate.metric, "test_share": model.test_share, "seed": model.seed,
    }  # fmt: skip
    digest = hashlib.sha256(json.dumps(common, sort_keys=True).encode()).hexdigest()
    return f"{pipeline}-{digest[:16]}"


def _plain(space: Space) -> dict[str, Any]:
    return {
        name: dimension.model_dump(mode="json") if isinstance(dimension, Log | Choice) else list(dimension)
        for name, dimension in space.items()
    }


@contextmanager
def open_study(search: Search, *, name: str, home: Path, metric: str) -> Generator[optuna.Study]:
    """The study of that name, made where it is absent; trials that a killed search left are marked as failed.

    Raises StorageError where the database does not answer, TrainingError where another search works on the study.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    folder = home / "search"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{folder} can't be written ({error.strerror or error}); make it writable") from None
    url = f"sqlite:///{folder / 'studies.db'}" if search.storage == EMBEDDED else search.storage
    try:
        with FileLock(folder / f"{name}.lock", timeout=0), _told(url):
            yield _loaded(url, name=name, direction="minimize" if metric in LOWER_IS_BETTER else "maximize")
    except Timeout:
        raise TrainingError(
            f"another search works on the study {name}; wait for it, or stop it and run this one again"
        ) from None


def _loaded(url: str, *, name: str, direction: Literal["minimize", "maximize"]) -> optuna.Study:
    import optuna

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            study = optuna.create_study(
                storage=url, study_name=name, load_if_exists=True, direction=direction,
                pruner=optuna.pruners.MedianPruner(n_startup_trials=UNPRUNED),
            )  # fmt: skip
        except ImportError as error:
            raise StorageError(f"model.search.storage: {first_line(error)}; install the database's driver") from None
    for trial in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    return study


def finished(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """The trials that count: complete or pruned."""
    from optuna.trial import TrialState

    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))


def ask(study: optuna.Study, *, space: Space, seed: int) -> tuple[optuna.Trial, dict[str, Any]]:
    """The next trial and the parameters to try."""
    import optuna

    drawn = hashlib.sha256(f"{seed}/{len(finished(study))}".encode()).digest()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study.sampler = optuna.samplers.TPESampler(
            seed=int.from_bytes(drawn[:4]), n_startup_trials=BY_CHANCE, multivariate=False
        )
        trial = study.ask()
        return trial, {name: _suggest(trial, name, dimension) for name, dimension in space.items()}


def _suggest(trial: optuna.Trial, name: str, dimension: Any) -> Any:
    if isinstance(dimension, Choice):
        return trial.suggest_categorical(name, list(dimension.choice))
    log = isinstance(dimension, Log)
    low, high = dimension.log if isinstance(dimension, Log) else dimension
    if isinstance(low, int) and isinstance(high, int):
        return trial.suggest_int(name, low, high, log=log)
    return trial.suggest_float(name, float(low), float(high), log=log)


def importances(study: optuna.Study, *, seed: int) -> Mapping[str, float]:
    """How much of the variance of the results each parameter explains, largest first; empty where there are too few trials."""
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=seed))
        except (ValueError, RuntimeError):  # fewer than two complete trials, or all of them alike
            return {}


@contextmanager
def _told(url: str) -> Generator[None]:
    """A database that does not answer, in one sentence that shows no log-in."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (SQLAlchemyError, StorageInternalError) as error:
        said, shown = (re.sub(r"://[^/@\s]*@", "://...@", text) for text in (first_line(error), url))
        raise StorageError(f"model.search.storage: {shown} can't be used ({said}); correct or start it") from None
