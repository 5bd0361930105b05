"""The linear baseline: logistic or linear regression by Spark ML, on standardized features. Its models answer without Spark."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from headrace.errors import TrainingError
from headrace.spec.kinds import Kind
from headrace.training.learners.linear_model import Column, LinearModel, Output
from headrace.training.quality import column

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import SparkSession

TOLERANCE = 1e-9
"""A fit ends where the loss changes by less than this share, or after ``iterations``."""
_FAMILIES = {"binary": "binomial", "multiclass": "multinomial"}


class Linear:
    """Logistic regression of a condition or of classes, linear regression of a number.

    A feature has mean 0 and standard deviation 1 when it is fitted, so that ``regularization`` means the same for each. A missing
    value counts as the mean; a feature that the training rows lacked somewhere has a weight of its own for that.
    """

    kinds: frozenset[Kind] = frozenset({"binary", "regression", "multiclass"})
    file = "linear.json"
    defaults: Mapping[str, float | int] = MappingProxyType(
        {"regularization": 1e-4, "elastic_net": 0.0, "iterations": 200}
    )

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
    ) -> LinearModel:
        """Nothing is drawn at random, so ``seed`` changes nothing. Raises TrainingError where there is one outcome only."""
        values = {name: column(rows, name) for name in features}
        outcome = rows.column(label).to_numpy().astype(np.float64)
        if len(np.unique(outcome)) < 2:
            raise TrainingError(
                "all training rows have one outcome, so there is nothing to tell apart; ingest more data"
            )
        told = tuple(_described(name, one) for name, one in values.items())
        plain = {one.name: one.standardized(values[one.name]) for one in told}
        absent = {one.name: np.isnan(values[one.name]).astype(np.float64) for one in told}
        seen = [(one.name, False) for one in told if np.ptp(plain[one.name]) > 0]
        seen += [(one.name, True) for one in told if 0 < one.missing < 1]
        shift = {name: np.array([absent[name].mean(), absent[name].std()]) for name, indicator in seen if indicator}
        inputs = [
            (absent[name] - shift[name][0]) / shift[name][1] if indicator else plain[name] for name, indicator in seen
        ]
        weights, intercepts = _by_spark(spark, inputs, outcome, kind=kind, parameters={**self.defaults, **parameters})
        outputs: list[Output] = []
        for weight, intercept in zip(weights, intercepts, strict=True):
            by_input = dict(zip(seen, weight.tolist(), strict=True))
            extra = {name: by_input[name, True] / shift[name][1] for name in shift}
            outputs.append(
                Output(
                    intercept=float(intercept) - math.fsum(extra[name] * shift[name][0] for name in extra),
                    weights=tuple(by_input.get((one.name, False), 0.0) for one in told),
                    when_missing=tuple(float(extra.get(one.name, 0.0)) for one in told),
                )
            )
        return LinearModel(format=1, kind=kind, columns=told, outputs=tuple(outputs))

    def load(self, content: bytes) -> LinearModel:
        """From its JSON."""
        return LinearModel.read(content)


def _described(name: str, values: np.ndarray) -> Column:
    missing = np.isnan(values)
    known = values[~missing]
    mean, scale = (float(known.mean()), float(known.std())) if len(known) else (0.0, 1.0)
    constant = not len(known) or float(np.ptp(known)) == 0
    return Column(name=name, mean=mean, scale=1.0 if constant or scale == 0 else scale, missing=float(missing.mean()))


def _by_spark(
    spark: SparkSession, inputs: Sequence[np.ndarray], outcome: np.ndarray, *, kind: Kind, parameters: Mapping[str, Any]
) -> tuple[np.ndarray, np.ndarray]:
    """Weights (a row for each output) and intercepts.

    The rows are in one partition, in their order, so that sums are always in one order.
    """
    import pyarrow as pa
    from pyspark.ml.classification import LogisticRegression
    from pyspark.ml.functions import array_to_vector
    from pyspark.ml.regression import LinearRegression
    from pyspark.sql import functions as F

    flat = np.ascontiguousarray(np.column_stack(inputs or [np.zeros(len(outcome))]))
    mean, scale = (0.0, 1.0) if kind in _FAMILIES else (float(outcome.mean()), float(outcome.std()))
    sent = pa.table(
        {
            "row": np.arange(len(outcome)),
            "label": (outcome - mean) / scale,
            "array": pa.FixedSizeListArray.from_arrays(pa.array(flat.reshape(-1)), flat.shape[1]).cast(
                pa.list_(pa.float64())
            ),
        }
    )
    frame = spark.createDataFrame(sent).repartition(1).sortWithinPartitions("row")
    frame = frame.select("label", array_to_vector(F.col("array")).alias("features"))
    common: dict[str, Any] = {
        "maxIter": int(parameters["iterations"]), "regParam": float(parameters["regularization"]),
        "elasticNetParam": float(parameters["elastic_net"]), "tol": TOLERANCE, "standardization": False,
    }  # fmt: skip
    if kind in _FAMILIES:
        fitted = LogisticRegression(family=_FAMILIES[kind], **common).fit(frame)
        weights, intercepts = fitted.coefficientMatrix.toArray(), fitted.interceptVector.toArray()
    else:
        found = LinearRegression(**common).fit(frame)
        weights = scale * found.coefficients.toArray()[None, :]
        intercepts = np.array([mean + scale * found.intercept])
    return (weights if inputs else weights[:, :0]), intercepts
