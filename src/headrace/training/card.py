"""The model card: what a version is for, what it was trained on, what it showed, every verdict, and how to go back."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from headrace.spec.gate import Metric
from headrace.spec.kinds import METRICS_OF
from headrace.spec.learners import BOOSTING, LINEAR
from headrace.spec.model import Model
from headrace.spec.pipeline import Pipeline
from headrace.training.evidence import Evidence, Rival, Segment
from headrace.training.gate import Verdict
from headrace.training.page import PASSED, REFUSED, Block, Code, Grid, Heading, Picture, Sentence
from headrace.training.plots import gains_plot
from headrace.training.resample import LOWER_IS_BETTER, Interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_NAMES = {
    "auc": "AUC (ROC)", "average_precision": "average precision", "brier": "Brier score", "log_loss": "log loss",
    "rmse": "root mean squared error", "mae": "mean absolute error", "r2": "R squared", "accuracy": "accuracy",
    "macro_auc": "AUC (mean of the classes, each against all others)", "ndcg_10": "NDCG of the first 10 of a group",
}  # fmt: skip
_PREDICTS = {
    "binary": "the probability that stream {stream} will tell: {label}",
    "regression": "what stream {stream} will tell as {label}",
    "multiclass": "the probabilities of each class that stream {stream} can tell as {label}",
    "ranking": "the order, by what stream {stream} will tell as {label}, of the rows with one {group}",
}
_MOST_FEATURES = 30


@dataclass(frozen=True)
class Card:
    """What a card tells. It holds counts and figures, and no row."""

    pipeline: Pipeline
    version: int
    run_id: str
    as_of: datetime
    test_from: datetime
    train_rows: int
    excluded: Mapping[str, int]
    tables: Mapping[str, int]
    """Version of each events table, by stream."""
    content_hash: str
    code: str
    """Commit of the code, or ``unknown``."""
    evidence: Evidence
    verdict: Verdict
    importance: Mapping[str, float]
    calibration: Figure | None
    """None where predictions are no probabilities."""
    importance_plot: Figure
    uncalibrated_error: float | None = None
    """What the calibration error is without the model's calibration; None where it carries none."""

    @property
    def title(self) -> str:
        model = self.pipeline.spec.model
        return f"{model.name if model else self.pipeline.name}, version {self.version}"

    @property
    def summary(self) -> str:
        """The verdict in one sentence."""
        said = f"The gate let it pass: {len(self.verdict.checks)} checks."
        return said if self.verdict.passed else f"The gate refused it: {self.verdict.refusals}."


def blocks(card: Card) -> Iterator[Block]:
    """The page, from top to bottom."""
    yield Sentence(card.summary)
    yield from _purpose(card)
    yield from _data(card)
    yield from _metrics(card)
    yield Heading("Checks")
    rows = [[PASSED if one.passed else REFUSED, one.name, one.sentence] for one in card.verdict.checks]
    yield Grid(["verdict", "check", "what was seen"], rows)
    yield from _segments(card)
    if card.calibration is not None:
        yield from _calibration(card, card.calibration)
    yield from _features(card)
    yield from _way_back(card)


def _purpose(card: Card) -> Iterator[Block]:
    spec = card.pipeline.spec
    yield Heading("What it is for")
    if spec.description:
        yield Sentence(spec.description)
    features, label, model = spec.features, spec.label, spec.model
    if features is None or label is None or model is None:
        return
    predicts = _PREDICTS[model.kind].format(
        stream=label.stream, label=label.value if label.positive is None else label.positive, group=label.group
    )
    told = f" where {label.where}" if label.where else ""
    rows = [
        ["asked by", f"records of stream {features.requests}, at the time at which they are known"],
        ["predicts", f"{predicts}{told}"],
        ["is", _made_by(model)],
        ["is not for", "requests of another kind than those that it was tested on"],
    ]
    yield Grid(["", ""], rows)


def _made_by(model: Model) -> str:
    if model.learner == BOOSTING:
        return f"gradient boosting (XGBoost), {model.rounds} rounds, seed {model.seed}"
    return "linear (Spark ML)" if model.learner == LINEAR else f"made by the learner {model.learner}, seed {model.seed}"


def _data(card: Card) -> Iterator[Block]:
    evidence = card.evidence
    yield Heading("Data")
    rows = [
        ["known before", f"{card.as_of:%Y-%m-%d %H:%M} UTC"],
        ["training rows", f"{card.train_rows:,}"],
        ["test rows", f"{evidence.rows:,}"],
        *_outcomes(evidence),
        ["first test row", f"{card.test_from:%Y-%m-%d %H:%M} UTC"],
        *([f"left out: {reason}", f"{count:,}"] for reason, count in card.excluded.items()),
        *([f"table events/{stream}", f"version {version}"] for stream, version in card.tables.items()),
        ["snapshot", f"snapshots/{card.run_id}"],
        ["content hash", card.content_hash],
        ["pipeline file", f"version {card.pipeline.version}"],
        ["code", card.code],
    ]
    yield Grid(["", ""], rows)


def _outcomes(evidence: Evidence) -> list[list[str]]:
    if evidence.kind == "ranking":
        return [["groups that can tell a good order", f"{evidence.outcomes['groups']:,}"]]
    shown = {name: rows for name, rows in evidence.outcomes.items() if evidence.kind != "binary" or name == "positive"}
    rows = evidence.rows or 1
    return [[f"of these {name}", f"{count:,} ({count / rows:.1%})"] for name, count in shown.items()]


def _metrics(card: Card) -> Iterator[Block]:
    evidence, rival = card.evidence, card.evidence.rival
    assert card.pipeline.spec.model is not None
    gate = card.pipeline.spec.model.gate
    yield Heading("Metrics")
    yield Sentence(
        f"On the newest rows, which trained nothing. Intervals at {gate.confidence:.0%}, from {gate.resamples} draws of these rows."
    )
    rows = [
        [_NAMES[name], *_interval(evidence.metrics.get(name)), "less" if name in LOWER_IS_BETTER else "more"]
        for name in METRICS_OF[evidence.kind]
    ]
    yield Grid(["metric", "value", "from", "to", "better is"], rows)
    if rival is None:
        yield Sentence("There was no champion to be held against.")
        return
    yield Heading(f"Against version {rival.version}")
    yield Sentence(
        f"Both on the {rival.rows:,} test rows that neither was trained on, and on the same draws of them. The difference is what "
        "this version is better by."
    )
    yield Grid(
        ["metric", "this version", "champion", "difference", "from", "to"], _against(rival, METRICS_OF[evidence.kind])
    )
    if rival.other_kind is None and rival.gains[gate.metric].known:
        figure = gains_plot(evidence, metric=gate.metric, tolerance=gate.tolerance)
        yield Picture("difference.png", "What this version is better by, with its interval", figure)


def _against(rival: Rival, metrics: Iterable[Metric]) -> list[list[str]]:
    found: list[list[str]] = []
    for name in metrics:
        ours, theirs = _figure(rival.challenger.get(name)), _figure(rival.metrics.get(name))
        found.append([_NAMES[name], ours, theirs, *_interval(rival.gains.get(name), sign="+")])
    return found


def _segments(card: Card) -> Iterator[Block]:
    evidence, model = card.evidence, card.pipeline.spec.model
    assert model is not None
    if not evidence.segments:
        return
    yield Heading("Slices")
    yield Sentence(
        f"{_NAMES[model.gate.metric]} by segment. One with fewer than {model.gate.minimum_support} rows"
        f"{f', or {model.gate.minimum_outcomes} of an outcome,' if evidence.outcomes else ''} is shown and not judged."
    )
    rows = [_segment(one) for one in evidence.segments]
    yield Grid(["slice", "segment", "rows", "this version", "champion", "difference", "from", "to"], rows)


def _segment(one: Segment) -> list[str]:
    return [
        one.slice, one.name, f"{one.rows:,}", _figure(one.challenger), _figure(one.champion),
        *(_interval(one.gain, sign="+") if one.supported else ("too few", "", "")),
    ]  # fmt: skip


def _calibration(card: Card, figure: Figure) -> Iterator[Block]:
    yield Heading("Calibration")
    of = ", of the most probable class" if card.evidence.kind == "multiclass" else ""
    error = _figure(card.evidence.calibration_error)
    yield Sentence(
        f"Mean distance of predicted probability and observed share{of}, over tenths of the test rows: {error}."
    )
    if card.uncalibrated_error is not None:
        yield Sentence(f"Without the calibration that the model carries, it is {_figure(card.uncalibrated_error)}.")
    yield Picture("calibration.png", "Predicted probability against observed share", figure)


def _features(card: Card) -> Iterator[Block]:
    yield Heading("Features")
    assert card.pipeline.spec.model is not None
    of = "gain" if card.pipeline.spec.model.learner == BOOSTING else "weight"
    yield Picture("importance.png", f"Share of the total {of} by feature", card.importance_plot)
    known = sorted(card.evidence.features, key=lambda one: -card.importance.get(one.name, 0.0))
    rows = [
        [one.name, f"{card.importance.get(one.name, 0.0):.1%}", _figure(one.alone), f"{one.missing:.1%}"]
        for one in known[:_MOST_FEATURES]
    ]
    yield Grid(["feature", f"share of {of}", "AUC alone", "missing"], rows)
    if len(known) > _MOST_FEATURES:
        yield Sentence(f"And {len(known) - _MOST_FEATURES} more.")


def _way_back(card: Card) -> Iterator[Block]:
    yield Heading("How to go back")
    rival = card.evidence.rival
    if rival is None:
        yield Sentence("It is the first one: there is no version to go back to.")
        return
    if not card.verdict.passed:
        yield Sentence(
            f"Version {rival.version} stays in service. If this one is promoted by hand all the same, go back with:"
        )
    else:
        yield Sentence(
            f"This brings version {rival.version} back; a running headrace score takes it up with its next commit."
        )
    yield Code(f'headrace rollback PIPELINE --to {rival.version} --why "..."')


def _figure(value: float | None) -> str:
    return "unknown" if value is None or not math.isfinite(value) else f"{value:.4f}"


def _interval(found: Interval | None, *, sign: str = "") -> tuple[str, str, str]:
    if found is None or not found.known:
        return (_figure(found.value) if found else "unknown", "unknown", "unknown")
    return (f"{found.value:{sign}.4f}", f"{found.low:{sign}.4f}", f"{found.high:{sign}.4f}")
