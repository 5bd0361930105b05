"""Trying a challenger: metrics with intervals, the champion on the same rows, segments, calibration, latency."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from headrace.spec.gate import Gate, Metric
from headrace.spec.section import seconds
from headrace.training import evaluate
from headrace.training.dataset import LABEL
from headrace.training.evidence import Champion, Evidence, Rival, Segment
from headrace.training.fit import predict
from headrace.training.quality import column, feature_facts
from headrace.training.resample import METRICS, UNKNOWN, Interval, gain, interval, replicates
from headrace.training.segments import segments

if TYPE_CHECKING:
    import pyarrow as pa
    import xgboost as xgb

LATENCY_ROWS, _LATENCY_TRIES = 1000, 9
LEAST_STRETCHES = 10
"""Of fewer no interval is told: what so few of them say is chance."""


def gather(
    gate: Gate,
    booster: xgb.Booster,
    *,
    features: Sequence[str],
    train: pa.Table,
    test: pa.Table,
    champion: Champion | None,
    seed: int,
    seen: pa.Table | None = None,
) -> Evidence:
    """Everything that the gate asks for. The same rows, models and seed give the same evidence, apart from the latency.

    ``seen``: the test rows as the champion sees them, where its vocabularies are others.
    """
    label = test.column(LABEL).to_numpy()
    probability = predict(booster, test, features=features)
    positives = int(label.sum())
    fair, lacking, answers = np.ones(test.num_rows, dtype=bool), (), None
    if champion is not None:
        fair = _untrained(test, champion)
        lacking = tuple(name for name in champion.features if name not in test.column_names)
        answers = (
            None if lacking else predict(champion.booster, test if seen is None else seen, features=champion.features)
        )
    both = _Answers(gate, seed, label, probability, answers, _stretches(test, gate))
    return Evidence(
        test.num_rows,
        (test.num_rows - positives, positives),
        both.metrics(),
        feature_facts(train, test, features=features, label=LABEL),
        evaluate.calibration_error(label, probability),
        None if gate.latency_ms is None else latency_ms(booster, test, features=features),
        None if champion is None else both.where(fair).rival(champion.version, lacking=lacking),
        tuple(_segments(both, test, fair)),
    )


def latency_ms(booster: xgb.Booster, rows: pa.Table, *, features: Sequence[str]) -> float:
    """Median wall time to predict 1,000 rows, in milliseconds; the first try is not counted."""
    import pyarrow as pa

    chosen = rows.take(pa.array(np.arange(LATENCY_ROWS) % rows.num_rows))
    taken: list[float] = []
    for _ in range(_LATENCY_TRIES + 1):
        begun = time.perf_counter()
        predict(booster, chosen, features=features)
        taken.append(1000 * (time.perf_counter() - begun))
    return float(np.median(taken[1:]))


@dataclass(frozen=True)
class _Answers:
    """Outcomes, the challenger's predictions and, where there is a champion that can answer, its own."""

    gate: Gate
    seed: int
    label: np.ndarray
    ours: np.ndarray
    theirs: np.ndarray | None
    stretches: np.ndarray | None
    """Of each row, which stretch of time it is from; None where rows are drawn one by one."""

    @property
    def spans(self) -> bool:
        """Whether there are stretches enough to draw from, if they are what is drawn."""
        return self.stretches is None or len(np.unique(self.stretches)) >= LEAST_STRETCHES

    def where(self, mask: np.ndarray) -> _Answers:
        theirs, stretches = (None if part is None else part[mask] for part in (self.theirs, self.stretches))
        return _Answers(self.gate, self.seed, self.label[mask], self.ours[mask], theirs, stretches)

    def metrics(self) -> dict[Metric, Interval]:
        """The challenger's, with intervals."""
        values = evaluate.metrics(self.label, self.ours)
        if not _known(values):
            return dict.fromkeys(METRICS, UNKNOWN)
        drawn = self._drawn({"": self.ours}, METRICS)[""]
        return {name: interval(values[name], drawn[name], confidence=self.gate.confidence) for name in METRICS}

    def rival(self, version: int, *, lacking: tuple[str, ...]) -> Rival:
        ours = evaluate.metrics(self.label, self.ours)
        theirs = {} if self.theirs is None else evaluate.metrics(self.label, self.theirs)
        challenger: dict[Metric, float] = {name: ours[name] for name in METRICS}
        metrics: dict[Metric, float] = {name: theirs.get(name, math.nan) for name in METRICS}
        return Rival(version, len(self.label), metrics, challenger, self.gains(METRICS), lacking)

    def gains(self, metrics: Sequence[Metric]) -> dict[Metric, Interval]:
        """By how much the challenger is better: each draw of the rows is put to both models."""
        ours = evaluate.metrics(self.label, self.ours)
        theirs = {} if self.theirs is None else evaluate.metrics(self.label, self.theirs)
        if self.theirs is None or not _known(ours) or not _known(theirs):
            return dict.fromkeys(metrics, UNKNOWN)
        drawn = self._drawn({"ours": self.ours, "theirs": self.theirs}, metrics)
        found: dict[Metric, Interval] = {}
        for name in metrics:
            changes = np.asarray(gain(name, drawn["ours"][name], drawn["theirs"][name]))
            change = float(gain(name, ours[name], theirs[name]))
            found[name] = interval(change, changes, confidence=self.gate.confidence)
        return found

    def _drawn(
        self, probabilities: dict[str, np.ndarray], metrics: Sequence[Metric]
    ) -> dict[str, dict[Metric, np.ndarray]]:  # fmt: skip
        if not self.spans:
            nothing = np.array([np.nan])
            return {name: dict.fromkeys(metrics, nothing) for name in probabilities}
        return replicates(
            self.label, probabilities, resamples=self.gate.resamples, seed=self.seed, metrics=metrics, blocks=self.stretches
        )  # fmt: skip


def _known(values: dict[str, float]) -> bool:
    return all(math.isfinite(value) for value in values.values())


def _stretches(test: pa.Table, gate: Gate) -> np.ndarray | None:
    if gate.draw_by is None:
        return None
    return test.column("at").to_numpy().astype("datetime64[s]").astype(np.int64) // seconds(gate.draw_by)


def _untrained(test: pa.Table, champion: Champion) -> np.ndarray:
    """Which test rows the champion was not trained on: those at or after the beginning of its own test rows."""
    if champion.tested_from is None:
        return np.ones(test.num_rows, dtype=bool)
    begin = np.datetime64(champion.tested_from.replace(tzinfo=None), "us")
    return test.column("at").to_numpy().astype("datetime64[us]") >= begin


def _segments(both: _Answers, test: pa.Table, fair: np.ndarray) -> Iterator[Segment]:
    """Each segment, on the rows that neither model was trained on."""
    gate, answers = both.gate, both.where(fair)
    metric = gate.metric
    for name, declared in gate.slices.items():
        for part, mask in segments(declared, column(test, declared.feature)[fair]).items():
            one = answers.where(mask)
            rows, positives = len(one.label), int(one.label.sum())
            least = min(positives, rows - positives)
            enough = rows >= gate.minimum_support and least >= gate.minimum_outcomes and one.spans
            theirs = math.nan if one.theirs is None else evaluate.metrics(one.label, one.theirs)[metric]
            change = one.gains([metric])[metric] if enough else UNKNOWN
            yield Segment(name, part, rows, enough, evaluate.metrics(one.label, one.ours)[metric], theirs, change)
