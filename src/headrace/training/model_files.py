"""The files of a registered model, judged before any of them is parsed: an XGBoost Booster and its descriptions, nothing else.

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

BOOSTER = "model.ubj"
_DESCRIPTION = "MLmodel"
_KNOWN = frozenset(
    [
        BOOSTER, _DESCRIPTION, "conda.yaml", "python_env.yaml", "requirements.txt", "input_example.json",
        "serving_input_example.json", "registered_model_meta",
    ]
)  # fmt: skip
_SOURCE = re.compile(r"models:/m-[0-9a-f]{8,64}")


def trusted_booster(source: str, *, sha256: str | None, what: str) -> bytes:
    """The Booster file (UBJSON) of a model that Headrace logged, read once, with the recorded SHA-256.

    ``what`` names the model in messages. Raises ModelError where anything about it is not as it was registered.
    """
    if not _SOURCE.fullmatch(source):
        raise _refused(what, f"its source {printable(source)[:100]!r} is no model that a training logged")
    folder = _fetched(source, what)
    strange = sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_dir() or path.name not in _KNOWN
    )
    if strange:
        raise _refused(
            what, f"it holds {printable(strange[0])!r}, which no training wrote; only Booster files are loaded"
        )
    content = _booster_file(folder, what).read_bytes()
    if sha256 is None or hashlib.sha256(content).hexdigest() != sha256:
        raise _refused(what, "it is not the file that was registered (SHA-256 differs)")
    _check_description(folder, what)
    return content


def digest(source: str) -> str:
    """SHA-256 of the Booster file of a model that was just logged, as hex digits."""
    return hashlib.sha256(_booster_file(_fetched(source, source), source).read_bytes()).hexdigest()


def _fetched(source: str, what: str) -> Path:
    import mlflow

    try:
        return Path(mlflow.artifacts.download_artifacts(artifact_uri=source))  # pyright: ignore[reportPrivateImportUsage]
    except Exception as error:
        raise ModelError(
            f"the files of {what} can't be fetched from MLflow ({type(error).__name__}); is its store for artifacts there?"
        ) from None


def _booster_file(folder: Path, what: str) -> Path:
    file = folder / BOOSTER
    if file.is_symlink() or not file.is_file():
        raise _refused(what, f"it holds no Booster file {BOOSTER}; only such models are loaded")
    return file


def _check_description(folder: Path, what: str) -> None:
    """A description may name XGBoost's own loader, and no code."""
    try:
        flavors: Any = read(folder / _DESCRIPTION).data["flavors"]
        loaders = {flavors["python_function"]["loader_module"], "mlflow.xgboost"}
        kinds, code = set(flavors), [one.get("code") for one in flavors.values()]
    except (SpecError, KeyError, TypeError, AttributeError):
        raise _refused(what, f"its {_DESCRIPTION} can't be read") from None
    if kinds != {"python_function", "xgboost"} or loaders != {"mlflow.xgboost"} or any(code):
        raise _refused(what, f"its {_DESCRIPTION} names code or another kind of model; only XGBoost's own is loaded")


def _refused(what: str, why: str) -> ModelError:
    return ModelError(f"{what}: {why}; move the alias to a version that you trust and find out who changed it")
