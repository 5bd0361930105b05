"""The gate: what lets a challenger pass, and what does not."""

from __future__ import annotations

import math

import pytest

from headrace.spec.model import Gate
from headrace.training.gate import judge

GOOD = {"auc": 0.75, "average_precision": 0.5, "brier": 0.15, "log_loss": 0.45}
FLOORS = {"auc": 0.65, "brier": 0.2}


def failed(
    gate: Gate, challenger: dict[str, float], champion: dict[str, float] | None = None, rows: int = 5000
) -> list[str]:
    verdict = judge(gate, rows=rows, challenger=challenger, champion=champion)
    assert verdict.passed == (not verdict.refusals)
    return [check.name for check in verdict.checks if not check.passed]


def test_a_good_challenger_passes_every_check() -> None:
    gate = Gate(floors=FLOORS, leakage_ceiling=0.8)
    verdict = judge(gate, rows=1000, challenger=GOOD, champion=GOOD)
    assert verdict.passed
    assert [check.name for check in verdict.checks] == ["rows", "floor/auc", "floor/brier", "leakage", "champion"]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("metric", ["auc", "brier"])
def test_a_metric_that_is_no_number_fails_its_floor(metric: str, value: float) -> None:
    assert failed(Gate(floors=FLOORS), {**GOOD, metric: value}) == [f"floor/{metric}"]


def test_a_missing_metric_fails_floor_ceiling_and_comparison() -> None:
    gate = Gate(floors={"auc": 0.1}, leakage_ceiling=0.9)
    assert failed(gate, {}, GOOD) == ["floor/auc", "leakage", "champion"]


@pytest.mark.parametrize("champion", [{}, {"auc": math.nan}])
def test_a_champion_without_the_metric_fails_the_comparison(champion: dict[str, float]) -> None:
    assert failed(Gate(), GOOD, champion) == ["champion"]


@pytest.mark.parametrize(
    ("metric", "value", "passes"),
    [
        ("auc", 0.65, True),
        ("auc", 0.6499, False),
        ("average_precision", 0.65, True),
        ("average_precision", 0.64, False),
        ("brier", 0.65, True),
        ("brier", 0.6501, False),
        ("log_loss", 0.64, True),
        ("log_loss", 0.66, False),
    ],
)
def test_a_floor_bounds_a_score_from_below_and_an_error_from_above(metric: str, value: float, passes: bool) -> None:
    gate = Gate.model_validate({"floors": {metric: 0.65}})
    assert failed(gate, {**GOOD, metric: value}) == ([] if passes else [f"floor/{metric}"])


@pytest.mark.parametrize(("auc", "passes"), [(0.8, True), (0.8001, False)])
def test_an_auc_above_the_ceiling_is_a_leak(auc: float, passes: bool) -> None:
    verdict = judge(Gate(leakage_ceiling=0.8), rows=5000, challenger={**GOOD, "auc": auc}, champion=None)
    assert verdict.passed is passes
    assert passes or "a feature is likely to know the outcome" in verdict.refusals


@pytest.mark.parametrize(
    ("metric", "challenger", "champion", "tolerance", "passes"),
    [
        ("auc", 0.75, 0.75, 0.0, True),
        ("auc", 0.74, 0.75, 0.0, False),
        ("auc", 0.74, 0.75, 0.02, True),
        ("auc", 0.72, 0.75, 0.02, False),
        ("brier", 0.16, 0.15, 0.0, False),
        ("brier", 0.14, 0.15, 0.0, True),
        ("brier", 0.16, 0.15, 0.02, True),
        ("log_loss", 0.50, 0.45, 0.01, False),
    ],
)
def test_the_challenger_may_be_worse_than_the_champion_by_the_tolerance(
    metric: str, challenger: float, champion: float, tolerance: float, passes: bool
) -> None:
    gate = Gate.model_validate({"metric": metric, "tolerance": tolerance})
    assert failed(gate, {**GOOD, metric: challenger}, {metric: champion}) == ([] if passes else ["champion"])


def test_a_difference_of_exactly_the_tolerance_passes() -> None:
    """0.75 - 0.74 is a little more than 0.01 in floating point."""
    assert failed(Gate(tolerance=0.01), {**GOOD, "auc": 0.74}, {"auc": 0.75}) == []


def test_too_few_test_rows_fail_whatever_the_metrics() -> None:
    assert failed(Gate(minimum_rows=1000), GOOD, rows=999) == ["rows"]


def test_the_first_model_needs_no_champion() -> None:
    assert judge(Gate(), rows=5000, challenger=GOOD, champion=None).passed
