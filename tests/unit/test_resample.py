"""Intervals from draws of the test rows: metrics as scikit-learn has them, the same draws for both models, a cover as is said."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from headrace.training import resample
from headrace.training.resample import METRICS, UNKNOWN, gain, interval, replicates


def rows(seed: int, n: int = 400, *, digits: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes and probabilities that know something of them; with ties where they are rounded."""
    rng = np.random.default_rng(seed)
    label = (rng.random(n) < 0.3).astype(int)
    probability = np.clip(0.3 * label + 0.6 * rng.random(n), 0, 1)
    return label, probability if digits is None else probability.round(digits)


@pytest.mark.parametrize("digits", [None, 1, 0])
def test_metrics_of_a_draw_are_those_of_scikit_learn(digits: int | None) -> None:
    label, probability = rows(1, digits=digits)
    drawn = replicates(label, {"one": probability}, resamples=100, seed=3)["one"]
    assert tuple(drawn) == METRICS
    counts = np.concatenate(list(resample._draws(label, resamples=100, seed=3)))
    clipped = np.clip(probability, 1e-7, 1 - 1e-7)
    for place in (0, 41, 99):
        weight = counts[place]
        assert drawn["auc"][place] == pytest.approx(roc_auc_score(label, probability, sample_weight=weight), abs=1e-6)
        expected = average_precision_score(label, probability, sample_weight=weight)
        assert drawn["average_precision"][place] == pytest.approx(expected, abs=1e-6)
        assert drawn["brier"][place] == pytest.approx(
            brier_score_loss(label, probability, sample_weight=weight), abs=1e-6
        )
        assert drawn["log_loss"][place] == pytest.approx(log_loss(label, clipped, sample_weight=weight), abs=1e-5)


def test_a_draw_has_as_many_of_either_outcome_as_the_rows() -> None:
    label, _ = rows(1)
    for counts in resample._draws(label, resamples=100, seed=3):
        assert (counts[:, label == 1].sum(axis=1) == label.sum()).all()
        assert (counts.sum(axis=1) == len(label)).all()


def test_the_same_seed_draws_the_same_rows_in_blocks_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    label, probability = rows(1)
    first = replicates(label, {"one": probability}, resamples=100, seed=3)["one"]["auc"]
    monkeypatch.setattr(resample, "_VALUES_AT_ONCE", 1000)
    again = replicates(label, {"one": probability}, resamples=100, seed=3)["one"]["auc"]
    np.testing.assert_array_equal(first, again)
    other = replicates(label, {"one": probability}, resamples=100, seed=4)["one"]["auc"]
    assert (first != other).any()


def test_two_models_that_are_one_differ_by_nothing() -> None:
    label, probability = rows(1)
    drawn = replicates(label, {"a": probability, "b": probability}, resamples=100, seed=3)
    for metric in METRICS:
        found = interval(0.0, np.asarray(gain(metric, drawn["a"][metric], drawn["b"][metric])), confidence=0.95)
        assert (found.low, found.high) == (0.0, 0.0)


def test_the_difference_is_surer_on_the_same_rows_than_on_others() -> None:
    """Which is what the pairs are for: drawn apart, two nearly equal models can't be told from two that differ."""
    label, probability = rows(1, 2000)
    other = probability + np.random.default_rng(5).normal(0, 0.01, len(label))
    same = replicates(label, {"a": probability, "b": other}, resamples=200, seed=3)
    apart = replicates(label, {"b": other}, resamples=200, seed=4)
    paired, unpaired = (interval(0.0, same["a"]["auc"] - drawn["b"]["auc"], confidence=0.95) for drawn in (same, apart))
    assert (unpaired.high - unpaired.low) > 5 * (paired.high - paired.low)


def test_an_interval_covers_the_truth_as_often_as_it_says() -> None:
    """Scores from two normal distributions, of which the AUC is known: Phi(1 / sqrt(2)). 90 % must hold in about 90 %."""
    truth, covered, trials = float(norm.cdf(1 / math.sqrt(2))), 0, 200
    rng = np.random.default_rng(11)
    label = (np.arange(200) < 80).astype(int)
    for trial in range(trials):
        score = rng.normal(label, 1)
        drawn = replicates(label, {"one": score}, resamples=200, seed=trial, metrics=["auc"])["one"]["auc"]
        found = interval(float(roc_auc_score(label, score)), drawn, confidence=0.9)
        covered += found.low <= truth <= found.high
    assert 0.83 <= covered / trials <= 0.96


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_figure_or_a_draw_that_is_no_number_has_no_interval(value: float) -> None:
    assert interval(value, np.array([0.1, 0.2]), confidence=0.95) is UNKNOWN
    found = interval(0.1, np.array([0.1, value]), confidence=0.95)
    assert found.value == 0.1
    assert not found.known
    assert not UNKNOWN.known


def test_rows_that_hang_together_are_drawn_together() -> None:
    """Each row is there ten times: ten copies say no more than one, which only draws of whole blocks see."""
    label, probability = rows(1, 200)
    many, blocks = np.repeat(np.arange(200), 10), np.repeat(np.arange(200), 10) + 1000
    widths: list[float] = []
    for copies, drawn_by in ((np.arange(200), None), (many, None), (many, blocks)):
        drawn = replicates(
            label[copies], {"one": probability[copies]}, resamples=400, seed=3, metrics=["auc"], blocks=drawn_by
        )  # fmt: skip
        found = interval(0.5, drawn["one"]["auc"], confidence=0.95)
        widths.append(found.high - found.low)
    honest, deceived, by_block = widths
    assert deceived < honest / 2.5
    assert by_block == pytest.approx(honest, rel=0.2)


def test_a_draw_of_blocks_without_one_outcome_has_no_auc() -> None:
    label, probability = np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.3, 0.4])
    drawn = replicates(label, {"one": probability}, resamples=100, seed=3, blocks=np.array([0, 0, 1, 1]))["one"]
    lacking = np.isnan(drawn["auc"])
    assert 30 < lacking.sum() < 70
    assert (drawn["auc"][~lacking] == 1).all()
    assert np.isfinite(drawn["brier"]).all()


def test_rows_that_nothing_can_be_drawn_from_are_refused() -> None:
    label, probability = rows(1)
    with pytest.raises(ValueError, match="one outcome"):
        replicates(np.zeros(400, dtype=int), {"one": probability}, resamples=100, seed=3)
    with pytest.raises(ValueError, match="not a number"):
        replicates(label, {"one": np.where(label == 1, np.nan, probability)}, resamples=100, seed=3)
