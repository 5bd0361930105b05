"""Boosting as a learner: XGBoost, whose models are Booster files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headrace.spec.kinds import KINDS, Kind
from headrace.training import fit

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    import xgboost as xgb
    from pyspark.sql import SparkSession

FILE = "model.ubj"
ROUNDS = "rounds"
"""Among a fit's parameters: how many trees. All others are XGBoost's."""


@dataclass(frozen=True)
class Boosted:
    """A Booster."""

    booster: xgb.Booster

    def predict(self, rows: pa.Table, *, features: Sequence[str]) -> np.ndarray:
        """As :func:`headrace.training.fit.predict`."""
        return fit.predict(self.booster, rows, features=features)

    def to_bytes(self) -> bytes:
        """UBJSON."""
        return bytes(self.booster.save_raw("ubj"))

    def importance(self) -> dict[str, float]:
        """Share of the total gain."""
        return fit.importance(self.booster)

    def by_one_thread(self) -> Boosted:
        """The same, predicting by one thread: for a worker beside others."""
        self.booster.set_param({"nthread": 1})
        return self


class Boosting:
    """Fits Boosters. ``rounds_for`` of headrace.training.fit says how many trees, and is asked before."""

    kinds: frozenset[Kind] = frozenset(KINDS.values())
    file = FILE

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
    ) -> Boosted:
        """``parameters``: all that XGBoost is given, the seed and the threads among them, and ``rounds``."""
        given = {name: value for name, value in parameters.items() if name != ROUNDS}
        return Boosted(
            fit.boosted(rows, features=features, label=label, settings=given, rounds=int(parameters[ROUNDS]))
        )

    def load(self, content: bytes) -> Boosted:
        """As :func:`headrace.training.fit.loaded`."""
        return Boosted(fit.loaded(content))
