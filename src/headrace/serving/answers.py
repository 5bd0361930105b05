"""The columns of an answer, by what the model learned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyspark.sql.types import DoubleType, StringType, StructField

from headrace.spec.kinds import Kind

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

_PROBABILITY, _NUMBER = StructField("probability", DoubleType()), StructField("prediction", DoubleType())
_FIELDS: dict[Kind, tuple[StructField, ...]] = {
    "binary": (_PROBABILITY,),
    "regression": (_NUMBER,),
    "multiclass": (StructField("predicted", StringType()), _PROBABILITY),
    "ranking": (_NUMBER,),
}


def answer_fields(kind: Kind) -> tuple[StructField, ...]:
    """``probability`` of a condition; ``prediction``, a number (of a ranking: the higher, the further in front); of several classes
    ``predicted``, the most probable one, and its ``probability``.
    """  # fmt: skip
    return _FIELDS[kind]


def answer_columns(answers: np.ndarray, *, kind: Kind, classes: Sequence[str]) -> list[pa.Array]:
    """What a Booster answered, as the columns of :func:`answer_fields`."""
    import pyarrow as pa

    if kind != "multiclass":
        return [pa.array(answers, pa.float64())]
    best = answers.argmax(axis=1)
    return [pa.array([classes[k] for k in best], pa.string()), pa.array(answers.max(axis=1), pa.float64())]
