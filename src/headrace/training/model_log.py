"""Logging a fitted model to MLflow: a Booster as XGBoost's own kind, all else as a file of data beside the name of its learner."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from headrace.training import registry
from headrace.training.learners.boosting import Boosted
from headrace.training.learners.found import Found
from headrace.training.learners.protocol import Fitted
from headrace.training.model_files import LEARNER, LOADER, digest

if TYPE_CHECKING:
    import pyarrow as pa


def log_fitted(fitted: Fitted, found: Found, *, example: pa.Table) -> tuple[str, str]:
    """Log a model with signature and input example to the active run: its model URI and the SHA-256 of its file."""
    if isinstance(fitted, Boosted):
        return registry.log_booster(fitted.booster, example=example)
    import mlflow
    from mlflow.models import infer_signature

    frame, features = example.to_pandas(), tuple(example.column_names)
    with TemporaryDirectory() as folder:
        file = Path(folder) / found.learner.file
        file.write_bytes(fitted.to_bytes())
        logged = mlflow.pyfunc.log_model(  # pyright: ignore[reportPrivateImportUsage]
            name="model",
            loader_module=LOADER,
            data_path=str(file),
            model_config={LEARNER: found.name},
            signature=infer_signature(frame, fitted.predict(example, features=features)),
            input_example=frame,
            pip_requirements=_needed(found),
        )
    return logged.model_uri, digest(logged.model_uri, learner=found.name, file=found.learner.file)


def _needed(found: Found) -> list[str]:
    """What must be installed where MLflow itself loads the model."""
    try:
        own = [f"headrace=={version('headrace')}"]
    except PackageNotFoundError:
        own = ["headrace"]
    return own + (["==".join(found.package)] if found.package else [])
