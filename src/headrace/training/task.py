"""What a model learns: its kind, and of classes their names, in the order of its predictions."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headrace.errors import ModelError, TrainingError
from headrace.spec.kinds import KINDS, Kind
from headrace.training.dataset import GROUP, LABEL

if TYPE_CHECKING:
    import pyarrow as pa

    from headrace.training.apart import Apart

MOST_CLASSES = 100
_MOST_CHARACTERS = 4000
"""Of all their names as JSON: MLflow keeps them in a tag."""
MOST_RELEVANT = 31
"""XGBoost's bound: the gain of a relevance r is 2^r - 1."""
NO_CLASS = -1


@dataclass(frozen=True)
class Task:
    """A kind, and the classes that the training rows had."""

    kind: Kind = "binary"
    classes: tuple[str, ...] = ()
    """Sorted; none but of several classes."""

    @property
    def settings(self) -> dict[str, Any]:
        """What XGBoost must be told besides the declared parameters."""
        return {"num_class": len(self.classes)} if self.kind == "multiclass" else {}

    def numbered(self, rows: pa.Table) -> pa.Table:
        """The rows with a class's number in place of its name; -1 for a class that is none of these."""
        import pyarrow as pa

        if self.kind != "multiclass":
            return rows
        label = class_numbers(rows, self.classes)
        return rows.set_column(rows.column_names.index(LABEL), LABEL, pa.array(label, pa.int32()))


BINARY = Task()
"""A condition: what a model without a word of it learned."""


def task_of(kind: Kind, train: pa.Table | Apart, test: pa.Table) -> Task:
    """The task that the training rows give. Raises TrainingError where the labels are none of this kind."""
    import pyarrow as pa

    text = pa.types.is_string(train.schema.field(LABEL).type) or pa.types.is_large_string(
        train.schema.field(LABEL).type
    )
    if text and kind != "multiclass":
        raise TrainingError(
            f"label.value is a text, and a {kind} model learns a number; write cast(... as double), or learn classes with "
            "the objective multi:softprob"
        )
    if kind == "multiclass":
        if not text:
            raise TrainingError(
                "label.value is a number, and the objective multi:softprob learns a class's name; write cast(... as string)"
            )
        return Task(kind, _classes(train))
    if kind in ("regression", "ranking"):
        _check_numbers(kind, np.concatenate([part.column(LABEL).to_numpy() for part in (train, test)]))
    return Task(kind)


def as_text(task: Task) -> str:
    """A task as JSON, for a tag."""
    return json.dumps(asdict(task), ensure_ascii=False)


def from_text(text: str | None, *, what: str) -> Task:
    """A task from its tag; a condition where there is none. Raises ModelError where it is none that a training wrote."""
    if text is None:
        return Task()
    try:
        found = json.loads(text)
        kind, classes = found["kind"], tuple(found["classes"])
        if (
            kind in KINDS.values()
            and all(isinstance(one, str) for one in classes)
            and set(found) == {"kind", "classes"}
        ):
            return Task(kind, classes)
    except (ValueError, KeyError, TypeError):
        pass
    raise ModelError(f"{what}: its tag of what it predicts was changed; move the alias to a version that you trust")


def class_numbers(rows: pa.Table, classes: tuple[str, ...]) -> np.ndarray:
    """The place of each row's class in ``classes``; -1 where it is not there."""
    place = {name: number for number, name in enumerate(classes)}
    return np.array([place.get(name, NO_CLASS) for name in rows.column(LABEL).to_pylist()], dtype=np.int32)


def group_numbers(rows: pa.Table) -> np.ndarray:
    """A number for each row, the same within a group; groups are numbered by the order of their names."""
    return np.unique(np.array(rows.column(GROUP).to_pylist(), dtype=object), return_inverse=True)[1]


def by_group(rows: pa.Table) -> pa.Table:
    """The rows group after group, in their order within each; unchanged where no groups are declared."""
    if GROUP not in rows.column_names:
        return rows
    return rows.take(np.argsort(group_numbers(rows), kind="stable"))


def _classes(train: pa.Table | Apart) -> tuple[str, ...]:
    found = tuple(sorted(set(train.column(LABEL).to_pylist())))
    if len(found) > MOST_CLASSES or len(json.dumps(found)) > _MOST_CHARACTERS:
        raise TrainingError(
            f"label.value gives {len(found)} classes, and {MOST_CLASSES} with names of {_MOST_CHARACTERS:,} characters in all are "
            "the most; put the rare ones together (case when ... end)"
        )
    return found


def _check_numbers(kind: Kind, label: np.ndarray) -> None:
    bad = int((~np.isfinite(label)).sum())
    if bad:
        raise TrainingError(
            f"label.value is infinite or no number in {bad} rows; guard its expression (nullif, least), or exclude "
            "such rows by label.excluded"
        )
    if kind == "ranking" and len(label) and (label.min() < 0 or label.max() > MOST_RELEVANT or (label % 1 != 0).any()):
        raise TrainingError(
            f"label.value must be a whole number from 0 to {MOST_RELEVANT}, how relevant a row is, and lies between "
            f"{label.min():g} and {label.max():g}; write an expression that gives such numbers"
        )
