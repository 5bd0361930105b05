"""What a class must have to train a model here. It inherits from nothing: these methods are enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from headrace.spec.kinds import Kind

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from pyspark.sql import SparkSession


class Fitted(Protocol):
    """A model that was fitted.

    It may also have ``importance() -> Mapping[str, float]``: how much each feature matters, none below 0, in any unit.
    """

    def predict(self, rows: pa.Table, *, features: Sequence[str]) -> np.ndarray:
        """One number per row: of a condition the probability that it holds, else the value, or (of a ranking) how far in front. Of
        several classes a column for each, in their order: probabilities that sum to 1. Never NaN. A feature may be null.
        """  # fmt: skip
        ...

    def to_bytes(self) -> bytes:
        """The file of the model: data, from which ``Learner.load`` makes an equal one. No pickle."""
        ...


class Learner(Protocol):
    """Something that fits models. It is made without arguments, and keeps nothing between two calls.

    It may also have ``defaults``: parameters that it takes where the pipeline file has none. They are recorded with a training.
    """

    @property
    def kinds(self) -> frozenset[Kind]:
        """What it can learn: of ``binary``, ``regression``, ``multiclass`` and ``ranking``."""
        ...

    @property
    def file(self) -> str:
        """Name of its models' file, such as ``model.json``."""
        ...

    def fit(
        self,
        rows: pa.Table,
        *,
        features: Sequence[str],
        label: str,
        kind: Kind,
        classes: Sequence[str],
        groups: str | None,
        parameters: Mapping[str, Any],
        seed: int,
        spark: SparkSession,
    ) -> Fitted:
        """A model of these rows, which come sorted by the requests' ids: the same rows, parameters and seed give the same file.

        ``features``: columns of ``double``, null where missing, never infinite. ``label``: the column of outcomes, 0 or 1 of a
        condition, a number, or of several ``classes`` the place in that list. ``groups``: the column that names a ranking's group.
        ``parameters``: as the pipeline file has them under ``model.parameters``, the objective among them.
        """
        ...

    def load(self, content: bytes) -> Fitted:
        """The model whose ``to_bytes`` gave this."""
        ...
