"""What a model can learn, by XGBoost's objective: which metrics there are of it, and how its label is declared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from headrace.spec.gate import Metric

Kind = Literal["binary", "regression", "multiclass", "ranking"]

KINDS: dict[str, Kind] = {
    "binary:logistic": "binary",
    "reg:squarederror": "regression",
    "multi:softprob": "multiclass",
    "rank:ndcg": "ranking",
}
"""Objective to kind."""
METRICS_OF: dict[Kind, tuple[Metric, ...]] = {
    "binary": ("auc", "average_precision", "brier", "log_loss"),
    "regression": ("rmse", "mae", "r2"),
    "multiclass": ("macro_auc", "accuracy", "log_loss"),
    "ranking": ("ndcg_10",),
}
"""Those of a kind; the first decides where the gate names none."""
AUC_OF: dict[Kind, Metric] = {"binary": "auc", "multiclass": "macro_auc"}
"""Kinds whose predictions are probabilities: a leak is seen by an AUC, and calibration can be measured."""


def objective_of(parameters: Mapping[str, Any]) -> str:
    """The objective that XGBoost's parameters name, or the usual one."""
    return str(parameters.get("objective", "binary:logistic"))


def kind_of(parameters: Mapping[str, Any]) -> Kind:
    """What a model with these parameters of XGBoost learns. Raises KeyError for an objective that a file can't declare."""
    return KINDS[objective_of(parameters)]
