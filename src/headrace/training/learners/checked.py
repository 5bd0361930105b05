"""A class of one's own, called with care: what it raises, or answers that is no prediction, becomes one sentence without values."""

from __future__ import annotations

import inspect
import pickletools
import traceback
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headrace.errors import HeadraceError, LearnerError
from headrace.training.dataset import GROUP, LABEL
from headrace.training.learners.found import Found
from headrace.training.learners.linear_model import LinearModel
from headrace.training.learners.protocol import Fitted
from headrace.training.task import Task

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import SparkSession

_PROBABILITIES = ("binary", "multiclass")
_ROUNDING = 1e-3


@dataclass(frozen=True)
class Checked:
    """A fitted model whose answers are checked before anything uses them."""

    fitted: Fitted
    found: Found
    task: Task
    content: bytes = field(repr=False)

    def predict(self, rows: pa.Table, *, features: Sequence[str]) -> np.ndarray:
        """As the model's own. Raises LearnerError."""
        seen = rows.select(list(features))
        with _told(self.found, "predicted"):
            answers = np.asarray(self.fitted.predict(seen, features=tuple(features)), dtype=np.float64)
        self._check(answers, rows.num_rows)
        return answers

    def to_bytes(self) -> bytes:
        """The content of its file."""
        return self.content

    def importance(self) -> dict[str, float]:
        """Shares that sum to 1, largest first; none where the model tells none. Raises LearnerError."""
        own: Any = getattr(self.fitted, "importance", None)
        if own is None:
            return {}
        with _told(self.found, "told how much each feature matters"):
            told = {str(name): float(value) for name, value in dict(own()).items()}
            whole = sum(told.values())
        if not all(np.isfinite(value) and value >= 0 for value in told.values()):
            raise LearnerError(
                f"{self.found.of}: importance gave what is no number from 0 on; leave such a feature out"
            )
        shares = ((name, value / whole) for name, value in told.items() if value)
        return dict(sorted(shares, key=lambda one: -one[1]))

    def _check(self, answers: np.ndarray, rows: int) -> None:
        several = self.task.kind == "multiclass"
        expected = (rows, len(self.task.classes)) if several else (rows,)
        if answers.shape != expected:
            raise LearnerError(
                f"{self.found.of} answered {rows} rows with an array of shape {answers.shape}; a {self.task.kind} model answers "
                f"with {expected}"
            )
        bad = int((~np.isfinite(answers)).reshape(rows, -1).any(axis=1).sum()) if rows else 0
        if bad:
            raise LearnerError(
                f"{self.found.of} answered {bad} of {rows} rows with NaN or infinity; it must have an answer for each row, also "
                "where a feature is missing"
            )
        if self.task.kind in _PROBABILITIES and ((answers < 0) | (answers > 1)).any():
            raise LearnerError(
                f"{self.found.of} answered with what is no probability; a {self.task.kind} model answers from 0 to 1"
            )
        if several and rows and np.abs(answers.sum(axis=1) - 1).max() > _ROUNDING:
            raise LearnerError(f"{self.found.of} answered with probabilities that don't sum to 1 over the classes")


def fitted_by(
    found: Found, rows: pa.Table, *, features: Sequence[str], task: Task, parameters: Mapping[str, Any], seed: int,
    spark: SparkSession,
) -> Fitted:  # fmt: skip
    """The rows' model, by a learner.

    A class of one's own gets the features, the label and the group, and no other column. What comes back is the model as its file
    gives it, so that what is judged is what serves. Raises LearnerError.
    """
    groups = GROUP if GROUP in rows.column_names else None
    given: dict[str, Any] = {
        "features": tuple(features), "label": LABEL, "kind": task.kind, "classes": task.classes, "groups": groups,
        "parameters": dict(parameters), "seed": seed, "spark": spark,
    }  # fmt: skip
    if found.package is None:
        return found.learner.fit(rows, **given)
    with _told(found, "was fitted"):
        made = found.learner.fit(rows.select([*features, LABEL, *([groups] if groups else [])]), **given)
    return opened(found, _written(made, found), task=task)


def opened(found: Found, content: bytes, *, task: Task) -> Fitted:
    """A model from the content of its file, which was found to be the registered one. Raises LearnerError, ModelError."""
    if found.package is None:
        made = found.learner.load(content)
        if isinstance(made, LinearModel):
            made.require(task)
        return made
    refuse_pickle(content, found)
    with _told(found, "read its model"):
        made = found.learner.load(content)
    _require(made, found, "predict")
    return Checked(made, found, task, content)


def importance_of(fitted: Fitted) -> dict[str, float]:
    """Each feature's share of what the model says of them, largest first; empty where it says nothing."""
    own: Any = getattr(fitted, "importance", None)
    return dict(own()) if own is not None else {}


def refuse_pickle(content: bytes, found: Found) -> None:
    """Raise LearnerError where a model's file is a pickle from its first byte to its last: reading one runs what it says."""
    try:
        end = [place for code, _, place in pickletools.genops(content) if code.name == "STOP"]
    except Exception:  # no pickle: pickletools says so by many classes
        return
    if end and end[-1] == len(content) - 1:
        raise LearnerError(
            f"{found.of}: its model is a pickle, which runs code where it is read; write data, such as JSON or Arrow"
        )


def _written(made: Fitted, found: Found) -> bytes:
    """The file of a model that was just fitted."""
    _require(made, found, "to_bytes")
    with _told(found, "wrote its model"):
        content: Any = made.to_bytes()
    if not isinstance(content, bytes) or not content:
        raise LearnerError(f"{found.of}: to_bytes gave no bytes; give back the content of the model's file")
    return content


def _require(made: Any, found: Found, method: str) -> None:
    if not callable(getattr(made, method, None)):
        raise LearnerError(f"{found.of}: its model has no method {method}; docs/training.md shows what a model needs")


@contextmanager
def _told(found: Found, doing: str) -> Generator[None]:
    try:
        yield
    except HeadraceError:  # a sentence of its own
        raise
    except Exception as error:
        where = _place(error, found)
        raise LearnerError(
            f"{found.of} raised {type(error).__name__}{where} while it {doing}; mend it there (its message may hold values and "
            "is not shown)"
        ) from None


def _place(error: Exception, found: Found) -> str:
    """The last line of the class's own file that was at work."""
    try:
        own = inspect.getsourcefile(type(found.learner))
    except TypeError:
        return ""
    lines = [one.lineno for one in traceback.extract_tb(error.__traceback__) if one.filename == own]
    return f" at {Path(own or '').name}, line {lines[-1]}," if lines else ""
