"""What the training rows themselves are like, feature by feature, and what can't be trained on at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from headrace.errors import TrainingError
from headrace.training.apart import Apart, Seen

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class FeatureFacts:
    """One feature in the training rows and the test rows."""

    name: str
    missing: float
    """Share of the rows without it: of the training rows or of the test rows, the larger."""
    empty: bool
    """Missing in all training rows, or in all test rows."""
    constant: bool
    """The same in all training rows."""
    alone: float
    """AUC on the test rows of this feature alone, in the better direction (0.5 to 1); of several classes, of the one it tells best.
    NaN where the label is a number."""


def check_trainable(
    train: pa.Table | Apart, test: pa.Table, *, features: Sequence[str], label: str, named: str = "label.positive"
) -> None:  # fmt: skip
    """Raise TrainingError where there are no training rows, only one outcome in them or in the test rows, or infinite features.

    ``named``: the key of the pipeline file that gives the label.
    """
    if not train.num_rows:
        raise TrainingError(
            "no row is left to train on: no older outcome was known when the test part begins; ingest more data, or lower "
            "model.test_share"
        )
    for part, rows, remedy in (("training", train, f"correct {named}"), ("test", test, "raise model.test_share")):
        outcomes = rows.column(label).unique().to_pylist()
        if len(outcomes) == 1:
            raise TrainingError(
                f"all {rows.num_rows} {part} rows have the outcome {_shown(outcomes[0])}, so there is nothing to tell apart; "
                f"{remedy}, or ingest more data"
            )
    for name in features:
        rows = sum(_seen(part, name).infinite for part in (train, test))
        if rows:
            raise TrainingError(
                f"feature {name!r} is infinite in {rows} rows; guard its expression in features (nullif, least), or add a "
                "rule that quarantines such records"
            )


def feature_facts(
    train: pa.Table | Apart, test: pa.Table, *, features: Sequence[str], outcomes: Sequence[np.ndarray]
) -> tuple[FeatureFacts, ...]:  # fmt: skip
    """The facts of each feature, in this order. ``outcomes``: of each class, whether it is a test row's; none where the label is a
    number, of which no AUC is known.
    """  # fmt: skip
    return tuple(_facts(name, _seen(train, name), column(test, name), outcomes) for name in features)


def column(rows: pa.Table, name: str) -> np.ndarray:
    """A numeric column as ``float64``, NaN where it is null."""
    return rows.column(name).to_numpy().astype(np.float64)


def _facts(name: str, train: Seen, test: np.ndarray, outcomes: Sequence[np.ndarray]) -> FeatureFacts:
    missing = max(train.missing, float(np.isnan(test).mean()) if len(test) else 1.0)
    best = max((alone(outcome, test) for outcome in outcomes), default=float("nan"))
    return FeatureFacts(name, missing, missing == 1.0, train.constant, best)


def _seen(rows: pa.Table | Apart, name: str) -> Seen:
    if isinstance(rows, Apart):
        return rows.features[name]
    values = column(rows, name)
    missing = float(np.isnan(values).mean()) if len(values) else 1.0
    return Seen(missing, len(np.unique(values)) == 1, int(np.isinf(values).sum()))  # NaN equals NaN here


def _shown(outcome: object) -> str:
    return repr(outcome) if isinstance(outcome, str) else f"{outcome:g}"


def alone(outcome: np.ndarray, values: np.ndarray) -> float:
    """AUC of one feature as the only score, in the better direction; NaN where one outcome is absent.

    Missing values count as the lowest, then as the highest, and the better one is told: that a value is missing may be what
    gives the outcome away.
    """
    from sklearn.metrics import roc_auc_score

    if len(np.unique(outcome)) < 2:
        return float("nan")
    missing = np.isnan(values)
    known = values[~missing]
    if not len(known):
        return 0.5
    ends = (np.nextafter(known.min(), -np.inf), np.nextafter(known.max(), np.inf))
    places = ends if missing.any() else ends[:1]
    found = [float(roc_auc_score(outcome, np.where(missing, place, values))) for place in places]
    return max(max(one, 1 - one) for one in found)
