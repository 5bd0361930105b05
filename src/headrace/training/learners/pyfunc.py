"""How MLflow itself loads a model that is no Booster (``mlflow.pyfunc.load_model``), where Headrace is installed.

MLflow does not know which file was registered, so nothing of Headrace loads a model this way.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.errors import ModelError
from headrace.training.learners.found import find
from headrace.training.model_files import LEARNER

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from headrace.training.learners.protocol import Fitted


@dataclass(frozen=True)
class Answers:
    """What MLflow calls."""

    fitted: Fitted

    def predict(self, frame: pd.DataFrame) -> np.ndarray:
        """The answers for a frame whose columns are the features."""
        import pyarrow as pa

        return self.fitted.predict(pa.Table.from_pandas(frame, preserve_index=False), features=tuple(frame.columns))


def _load_pyfunc(path: str, model_config: dict[str, Any] | None = None) -> Answers:  # pyright: ignore[reportUnusedFunction]
    """The model in a file; MLflow names the file and the description's ``config``. Raises ModelError where it names no learner."""
    name = (model_config or {}).get(LEARNER)
    if not isinstance(name, str):
        raise ModelError("the description of this model names no learner; train anew")
    found = find(name)
    file = Path(path)
    if file.name != found.learner.file:
        raise ModelError(f"{found.of} writes {found.learner.file}, and this model's file is another; train anew")
    return Answers(found.learner.load(file.read_bytes()))
