"""The files of a registered model, judged before any of them is parsed: one file of data and its descriptions, nothing else.

A model in MLflow is a folder, which may hold pickles, Python code, and a description that says what to load and run. None of it
is ever run here. A folder that holds such things is refused all the same: others may load it with MLflow.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

from headrace.errors import ModelError, SpecError
from headrace.located import printable, read
from headrace.spec.learners import BOOSTING
from headrace.training.learners.boosting import FILE as BOOSTER

LOADER = "headrace.training.learners.pyfunc"
"""The module by which MLflow loads what is no Booster."""
LEARNER = "learner"
"""Key of a description's ``config``: which learner reads the file."""
DATA = "data"
"""The folder in which MLflow keeps the file of such a model."""
_DESCRIPTION = "MLmodel"
_KNOWN = frozenset(
    [
        _DESCRIPTION, "conda.yaml", "python_env.yaml", "requirements.txt", "input_example.json",
        "serving_input_example.json", "registered_model_meta",
    ]
)  # fmt: skip
_SOURCE = re.compile(r"models:/m-[0-9a-f]{8,64}")


def trusted_file(source: str, *, learner: str, file: str, sha256: str | None, what: str) -> bytes:
    """The file of a model that Headrace logged, read once, with the recorded SHA-256.

    ``learner``, ``file``: which one it is of, and the name of its models' file. ``what`` names the model in messages. Raises
    ModelError where anything about it is not as it was registered.
    """
    if not _SOURCE.fullmatch(source):
        raise _refused(what, f"its source {printable(source)[:100]!r} is no model that a training logged")
    folder, place = _fetched(source, what), placed(learner, file)
    own = {place, *(str(parent) for parent in Path(place).parents)}
    strange = sorted(
        name
        for path in folder.rglob("*")
        if (name := str(path.relative_to(folder))) not in own and (path.is_dir() or name not in _KNOWN)
    )
    if strange:
        raise _refused(
            what, f"it holds {printable(strange[0])!r}, which no training of {learner} wrote; only {place} is loaded"
        )
    content = _model_file(folder, place, what).read_bytes()
    if sha256 is None or hashlib.sha256(content).hexdigest() != sha256:
        raise _refused(what, "it is not the file that was registered (SHA-256 differs)")
    _check_description(folder, what, learner=learner, place=place)
    return content


def digest(source: str, *, learner: str = BOOSTING, file: str = BOOSTER) -> str:
    """SHA-256 of the file of a model that was just logged, as hex digits."""
    found = _model_file(_fetched(source, source), placed(learner, file), source)
    return hashlib.sha256(found.read_bytes()).hexdigest()


def placed(learner: str, file: str) -> str:
    """Where in a model's folder its file is."""
    return file if learner == BOOSTING else f"{DATA}/{file}"


def _fetched(source: str, what: str) -> Path:
    import mlflow

    try:
        return Path(mlflow.artifacts.download_artifacts(artifact_uri=source))  # pyright: ignore[reportPrivateImportUsage]
    except Exception as error:
        raise ModelError(
            f"the files of {what} can't be fetched from MLflow ({type(error).__name__}); is its store for artifacts there?"
        ) from None


def _model_file(folder: Path, place: str, what: str) -> Path:
    file = folder / place
    if file.is_symlink() or file.parent.is_symlink() or not file.is_file():
        raise _refused(what, f"it holds no file {place}; only such models are loaded")
    return file


def _check_description(folder: Path, what: str, *, learner: str, place: str) -> None:
    """A description may name the loader of this learner, and no code."""
    own = _of_booster if learner == BOOSTING else _of_data
    try:
        flavors: Any = read(folder / _DESCRIPTION).data["flavors"]
        fits = own(flavors, learner=learner, place=place)
        code = any(one.get("code") for one in flavors.values())
    except (SpecError, KeyError, TypeError, AttributeError):
        raise _refused(what, f"its {_DESCRIPTION} can't be read") from None
    if code or not fits:
        raise _refused(
            what, f"its {_DESCRIPTION} names code or another kind of model; only that of {learner} is loaded"
        )


def _of_booster(flavors: Any, *, learner: str, place: str) -> bool:
    return (
        set(flavors) == {"python_function", "xgboost"}
        and flavors["python_function"]["loader_module"] == "mlflow.xgboost"
    )


def _of_data(flavors: Any, *, learner: str, place: str) -> bool:
    told = flavors["python_function"]
    return (
        set(flavors) == {"python_function"}
        and (told["loader_module"], told["data"], told["config"]) == (LOADER, place, {LEARNER: learner})
        and not {"python_model", "artifacts", "cloudpickle_version", "model_code_path"} & set(told)
    )


def _refused(what: str, why: str) -> ModelError:
    return ModelError(f"{what}: {why}; move the alias to a version that you trust and find out who changed it")
