"""MLflow: runs, registered models, aliases. Models are files of data only, checked against the SHA-256 of their version."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from headrace.connections import Tracking
from headrace.errors import LearnerError, ModelError
from headrace.spec.learners import BOOSTING
from headrace.training.learners.checked import opened
from headrace.training.learners.found import find
from headrace.training.learners.protocol import Fitted
from headrace.training.model_files import digest, trusted_file
from headrace.training.task import BINARY, Task, from_text

if TYPE_CHECKING:
    import pyarrow as pa
    import xgboost as xgb
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

SHA256, FEATURES, CONTENT = "headrace.model_sha256", "headrace.features", "headrace.content_hash"
PARAMETERS, TASK, LEARNER = "headrace.parameters", "headrace.task", "headrace.learner"
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_ALLOW_MODEL_CODE_EXECUTION": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # standard output is for results
}


@dataclass(frozen=True)
class RegisteredModel:
    """A version of a model, loaded."""

    name: str
    version: int
    run_id: str
    features: tuple[str, ...]
    fitted: Fitted
    parameters: str = ""
    """Versions of the published parameters that it was trained with (headrace.parameters.used)."""
    task: Task = BINARY
    learner: str = BOOSTING
    content: bytes = field(default=b"", repr=False)
    """Of its file."""


def open_tracking(tracking: Tracking) -> str:
    """Point MLflow to the store, without telemetry or code in models; the experiment's id. Makes an absent experiment."""
    os.environ.update(_QUIET)
    import mlflow

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with _environment_as_it_was():
        mlflow.set_tracking_uri(tracking.uri)
        mlflow.set_registry_uri(tracking.uri)
    try:
        found = mlflow.get_experiment_by_name(tracking.experiment)
        if found is None:
            return mlflow.create_experiment(tracking.experiment, artifact_location=tracking.artifacts)
    except Exception as error:
        raise told(error) from None
    return found.experiment_id


@contextmanager
def running(experiment: str, *, name: str, again: str | None = None, nested: bool = False) -> Generator[str]:
    """A run in the store that is open; its id. Raises ModelError where MLflow refuses something inside, or stops answering.

    ``again``: the id of a run that goes on. ``nested``: within the run that is open.
    """
    import mlflow
    from mlflow.exceptions import MlflowException

    try:
        with mlflow.start_run(run_id=again, experiment_id=experiment, run_name=name, nested=nested) as active:
            yield active.info.run_id
    except MlflowException as error:
        raise told(error) from None


def log_booster(booster: xgb.Booster, *, example: pa.Table) -> tuple[str, str]:
    """Log a Booster (UBJSON) with signature and input example to the active run: its model URI and SHA-256."""
    import mlflow
    from mlflow.models import infer_signature

    frame = example.to_pandas()
    logged = mlflow.xgboost.log_model(  # pyright: ignore[reportPrivateImportUsage]
        booster,
        name="model",
        model_format="ubj",
        signature=infer_signature(frame, booster.inplace_predict(frame)),
        input_example=frame,
        pip_requirements=["xgboost"],
    )
    return logged.model_uri, digest(logged.model_uri)


def register(name: str, *, model_uri: str, run_id: str, tags: dict[str, str]) -> int:
    """Register a logged model; its version."""
    client = _client()
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    version = client.create_model_version(
        name, model_uri, run_id, tags=tags, model_id=model_uri.removeprefix("models:/")
    )
    return int(version.version)


def set_alias(name: str, *, alias: str, version: int) -> None:
    """Move the alias to a version. Raises ModelError where MLflow refuses it."""
    from mlflow.exceptions import MlflowException

    try:
        _client().set_registered_model_alias(name, alias, str(version))
    except MlflowException as error:
        raise told(error) from None


def run_parameter(run_id: str, name: str) -> str | None:
    """A parameter that a run logged, or None where the run or the parameter is not there."""
    run = _run(run_id)
    return None if run is None else run.data.params.get(name)


def run_tag(run_id: str, name: str) -> str | None:
    """A tag of a run, or None where the run or the tag is not there."""
    run = _run(run_id)
    return None if run is None else run.data.tags.get(name)


def tag_version(name: str, version: int, tags: dict[str, str]) -> None:
    """Set tags of a registered version. Raises ModelError where MLflow refuses it."""
    from mlflow.exceptions import MlflowException

    client = _client()
    try:
        for tag, value in tags.items():
            client.set_model_version_tag(name, str(version), tag, value)
    except MlflowException as error:
        raise told(error) from None


def describe_version(name: str, version: int, text: str) -> None:
    """Set what MLflow shows of a version above its tags."""
    from mlflow.exceptions import MlflowException

    try:
        _client().update_model_version(name, str(version), text)
    except MlflowException as error:
        raise told(error) from None


def alias_version(name: str, alias: str) -> int | None:
    """The version an alias points to, or None where the model or the alias is absent."""
    from mlflow.exceptions import MlflowException

    try:
        return int(_client().get_model_version_by_alias(name, alias).version)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise told(error) from None


def champion_version(name: str, alias: str) -> int:
    """The version an alias points to. Raises ModelError where there is none."""
    version = alias_version(name, alias)
    if version is None:
        raise ModelError(f"model {name!r} has no version with alias {alias!r}; run: headrace train")
    return version


def load(name: str, *, version: int) -> RegisteredModel:
    """A registered version. Raises ModelError where its file is not the one that was registered, LearnerError where its learner is
    not installed here.
    """  # fmt: skip
    found = _client().get_model_version(name, str(version))
    what = f"model {name} version {version}"
    try:
        learner = find(found.tags.get(LEARNER, BOOSTING))
    except LearnerError as error:
        raise LearnerError(f"{what}: {error}") from None
    content = trusted_file(
        found.source or "", learner=learner.name, file=learner.learner.file, sha256=found.tags.get(SHA256), what=what
    )  # fmt: skip
    features = found.tags.get(FEATURES)
    if not features:
        raise ModelError(f"{what}: the tag {FEATURES} is gone; move the alias to a version that you trust")
    task = from_text(found.tags.get(TASK), what=what)
    return RegisteredModel(
        name,
        version,
        found.run_id or "",
        tuple(features.split(",")),
        opened(learner, content, task=task),
        found.tags.get(PARAMETERS, ""),
        task,
        learner.name,
        content,
    )


@contextmanager
def _environment_as_it_was() -> Generator[None]:
    """MLflow writes its URIs into the environment, from which the next pipeline file would take them."""
    names = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")
    before = {name: os.environ.get(name) for name in names}
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _run(run_id: str) -> Run | None:
    from mlflow.exceptions import MlflowException

    try:
        return _client().get_run(run_id)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise told(error) from None


def _client() -> MlflowClient:
    from mlflow.tracking import MlflowClient

    return MlflowClient()


def told(error: Exception) -> ModelError:
    """The one sentence for what MLflow refused, or for its silence."""
    import mlflow

    return ModelError(f"{_shown(mlflow.get_tracking_uri())}: {_why(error)}")


def _why(error: Exception) -> str:
    """The sentence for a store that does not answer, or refuses the log-in."""
    text = str(error).strip()
    if re.search(r"\b401\b|Unauthorized|not authenticated|INVALID_CREDENTIALS", text):
        return "MLflow refused the log-in; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD to what it knows"
    if re.search(r"\b403\b|PERMISSION_DENIED|Permission denied", text):
        return "MLflow does not let this user do that; grant it EDIT on the experiment and MANAGE on the model"
    first = re.sub(r"://[^/@\s]*@", "://...@", (text.splitlines() or [type(error).__name__])[0])[:160]
    return f"no MLflow store answers ({first}); correct mlflow.tracking_uri"


def _shown(uri: str) -> str:
    """The URI without a log-in."""
    return re.sub(r"://[^/@]*@", "://...@", uri)
