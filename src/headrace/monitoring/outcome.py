"""Predictions held against what came: the label arrives later, and is joined when it is known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
from pyspark.sql import functions as F

from headrace.errors import SpecError
from headrace.lake.layout import Layout
from headrace.lake.tables import count_failed_rules, read_accepted
from headrace.spec.pipeline import Pipeline
from headrace.training.dataset import LABEL, outcomes
from headrace.training.evaluate import metrics

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True)
class LiveQuality:
    """Predictions whose outcome is known."""

    predictions: int
    label: np.ndarray
    probability: np.ndarray
    day: np.ndarray
    """Day of T (UTC), one ``datetime64[D]`` per prediction with an outcome."""

    def metrics(self) -> dict[str, float]:
        """As :func:`headrace.training.evaluate.metrics`."""
        return metrics(self.label, self.probability)

    def auc_by_day(self) -> dict[date, float]:
        """AUC of each day that has both outcomes."""
        found: dict[date, float] = {}
        for day in np.unique(self.day):
            here = self.day == day
            auc = metrics(self.label[here], self.probability[here])["auc"]
            if np.isfinite(auc):
                found[day.astype(object)] = auc
        return found


def scored_outcomes(spark: SparkSession, pipeline: Pipeline) -> DataFrame:
    """One row per prediction: ``id``, ``at``, ``probability``, ``model_version``, ``label`` (null until the outcome is known)."""
    spec = pipeline.spec
    if spec.label is None or spec.model is None:
        raise SpecError(f"{pipeline.file} declares no label and model; there is nothing to compare predictions with")
    if spec.model.kind != "binary":
        raise SpecError(
            f"{pipeline.file} declares a {spec.model.kind} model; predictions are held against outcomes of binary ones only, so "
            "join the table of predictions with the label's stream yourself"
        )
    layout = Layout(spec.lake.root)
    told = outcomes(read_accepted(spark, layout.events(spec.label.stream)), label=spec.label)
    usable = F.lit(True)
    for name in spec.label.excluded:
        usable = usable & ~F.col(f"__excluded_{name}")
    predictions = spark.read.format("delta").load(layout.predictions(spec.model.name))
    return predictions.select("id", "at", "probability", "model_version").join(
        told.where(usable).select("id", LABEL), "id", "left"
    )


def live_quality(spark: SparkSession, pipeline: Pipeline) -> LiveQuality:
    """How good the predictions were, as far as the outcomes are known."""
    rows = scored_outcomes(spark, pipeline).select("at", "probability", LABEL).toArrow()
    known = rows.filter(rows.column(LABEL).is_valid())
    return LiveQuality(
        rows.num_rows,
        known.column(LABEL).to_numpy().astype(int),
        known.column("probability").to_numpy(),
        known.column("at").to_numpy().astype("datetime64[D]"),
    )


def failed_rule_counts(spark: SparkSession, pipeline: Pipeline) -> dict[str, dict[str, dict[str, int]]]:
    """Stream to verdict to rule (or decode reason) to rows."""
    layout, found = Layout(pipeline.spec.lake.root), dict[str, dict[str, dict[str, int]]]()
    for stream in pipeline.spec.streams:
        found[stream] = {}
        counted = count_failed_rules(spark, layout.events(stream))
        for row in counted.orderBy(F.desc("rows"), "rule").collect():
            found[stream].setdefault(row["verdict"], {})[row["rule"]] = row["rows"]
    return found
