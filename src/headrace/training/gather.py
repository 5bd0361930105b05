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
from headrace.training.evidence import Champion, Evidence, Rival, Segment
from headrace.training.learners.protocol import Fitted
from headrace.training.quality import column, feature_facts
from headrace.training.resample import UNKNOWN, Interval, gain, interval
from headrace.training.segments import segments
from headrace.training.task import BINARY, Task
from headrace.training.truth import Truth, truth_of

if TYPE_CHECKING:
    import pyarrow as pa

    from headrace.training.apart import Apart

LATENCY_ROWS, _LATENCY_TRIES = 1000, 9
LEAST_STRETCHES = 10
"""Of fewer no interval is told: what so few of them say is chance."""


def gather(
    gate: Gate,
    fitted: Fitted,
    *,
    features: Sequence[str],
    train: pa.Table | Apart,
    test: pa.Table,
    champion: Champion | None,
    seed: int,
    seen: pa.Table | None = None,
    task: Task = BINARY,
) -> Evidence:
    """Everything that the gate asks for. The same rows, models and seed give the same evidence, apart from the latency.

    ``seen``: the test rows as the champion sees them, where its vocabularies are others. ``task``: what the challenger learned.
    """
    truth = truth_of(test, task)
    ours = truth.aligned(fitted.predict(test, features=features), task.classes)
    fair, lacking, theirs = np.ones(test.num_rows, dtype=bool), (), None
    if champion is not None:
        fair = truth.whole(_untrained(test, champion))
        lacking = tuple(name for name in champion.features if name not in test.column_names)
        if not lacking and champion.task.kind == task.kind:
            found = champion.fitted.predict(test if seen is None else seen, features=champion.features)
            theirs = truth.aligned(found, champion.task.classes)
    both = _Answers(gate, seed, truth, ours, theirs, _stretches(test, gate))
    calibrated = truth.calibration(ours)
    return Evidence(
        test.num_rows,
        truth.counts,
        both.metrics(),
        feature_facts(train, test, features=features, outcomes=truth.outcomes),
        math.nan if calibrated is None else evaluate.calibration_error(*calibrated),
        None if gate.latency_ms is None else latency_ms(fitted, test, features=features),
        None if champion is None else both.where(fair).rival(champion, lacking=lacking),
        tuple(_segments(both, test, fair)),
        task.kind,
    )


def latency_ms(fitted: Fitted, rows: pa.Table, *, features: Sequence[str]) -> float:
    """Median wall time to predict 1,000 rows, in milliseconds; the first try is not counted."""
    import pyarrow as pa

    chosen = rows.take(pa.array(np.arange(LATENCY_ROWS) % rows.num_rows))
    taken: list[float] = []
    for _ in range(_LATENCY_TRIES + 1):
        begun = time.perf_counter()
        fitted.predict(chosen, features=features)
        taken.append(1000 * (time.perf_counter() - begun))
    return float(np.median(taken[1:]))


@dataclass(frozen=True)
class _Answers:
    """Outcomes, the challenger's predictions and, where there is a champion that can answer, its own."""

    gate: Gate
    seed: int
    truth: Truth
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
        return _Answers(self.gate, self.seed, self.truth.where(mask), self.ours[mask], theirs, stretches)

    def metrics(self) -> dict[Metric, Interval]:
        """The challenger's, with intervals."""
        values = self.truth.metrics(self.ours)
        known: list[Metric] = [name for name, value in values.items() if math.isfinite(value)]
        found = dict.fromkeys(values, UNKNOWN)
        if known:
            drawn = self._drawn({"": self.ours}, known)[""]
            found |= {name: interval(values[name], drawn[name], confidence=self.gate.confidence) for name in known}
        return found

    def rival(self, champion: Champion, *, lacking: tuple[str, ...]) -> Rival:
        names, kind = self.truth.metric_names, champion.task.kind
        theirs = dict.fromkeys(names, math.nan) if self.theirs is None else self.truth.metrics(self.theirs)
        return Rival(
            champion.version, len(self.truth.label), theirs, self.truth.metrics(self.ours), self.gains(names), lacking,
            None if kind == self.truth.kind else kind,
        )  # fmt: skip

    def gains(self, metrics: Sequence[Metric]) -> dict[Metric, Interval]:
        """By how much the challenger is better: each draw of the rows is put to both models."""
        found: dict[Metric, Interval] = dict.fromkeys(metrics, UNKNOWN)
        if self.theirs is None:
            return found
        ours, theirs = self.truth.metrics(self.ours), self.truth.metrics(self.theirs)
        known: list[Metric] = [name for name in metrics if math.isfinite(ours[name]) and math.isfinite(theirs[name])]
        if not known:
            return found
        drawn = self._drawn({"ours": self.ours, "theirs": self.theirs}, known)
        for name in known:
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
        return self.truth.replicates(
            probabilities, resamples=self.gate.resamples, seed=self.seed, metrics=metrics, blocks=self.stretches
        )  # fmt: skip


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
            rows, least = len(one.truth.label), min(one.truth.counts.values(), default=gate.minimum_outcomes)
            enough = rows >= gate.minimum_support and least >= gate.minimum_outcomes and one.spans
            theirs = math.nan if one.theirs is None else one.truth.metrics(one.theirs)[metric]
            change = one.gains([metric])[metric] if enough else UNKNOWN
            yield Segment(name, part, rows, enough, one.truth.metrics(one.ours)[metric], theirs, change)
