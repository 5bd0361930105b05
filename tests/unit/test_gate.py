"""The gate: what lets a challenger pass, and what does not."""

from __future__ import annotations

import math

import pytest

from headrace.spec.model import Gate
from headrace.training.evidence import Evidence, Rival, Segment
from headrace.training.gate import Verdict, judge
from headrace.training.quality import FeatureFacts
from headrace.training.resample import LOWER_IS_BETTER, UNKNOWN, Interval

GOOD = {"auc": 0.75, "average_precision": 0.5, "brier": 0.15, "log_loss": 0.45}
FLOORS = {"auc": 0.65, "brier": 0.2}
PLAIN = FeatureFacts("speed", missing=0.1, empty=False, constant=False, alone=0.6)
SLICES = {"size": {"feature": "speed", "bands": [10]}}


def sure(value: float) -> Interval:
    """An interval without width."""
    return Interval(value, value, value)


def rival(challenger: dict[str, float], champion: dict[str, float], **more: object) -> Rival:
    """Both on the same rows, with differences that are sure."""
    gains = {
        name: sure(champion[name] - value if name in LOWER_IS_BETTER else value - champion[name])
        for name, value in challenger.items()
        if name in champion
    }
    return Rival(**{"version": 3, "rows": 5000, "metrics": champion, "challenger": challenger, "gains": gains, **more})  # type: ignore[arg-type]


def evidence(challenger: dict[str, float], **more: object) -> Evidence:
    metrics = {name: sure(value) for name, value in challenger.items()}
    known = {
        "rows": 5000,
        "outcomes": {"negative": 4000, "positive": 1000},
        "metrics": metrics,
        "features": (PLAIN,),
        "calibration_error": 0.01,
    }
    return Evidence(**{**known, **more})  # type: ignore[arg-type]


def names(verdict: Verdict) -> list[str]:
    assert verdict.passed == (not verdict.refusals)
    return [check.name for check in verdict.checks if not check.passed]


def failed(
    gate: Gate, challenger: dict[str, float], champion: dict[str, float] | None = None, rows: int = 5000
) -> list[str]:
    held = None if champion is None else rival(challenger, champion)
    return names(judge(gate, evidence(challenger, rows=rows, rival=held)))


def refused(gate: Gate, **more: object) -> dict[str, str]:
    """What fails of a challenger that is good apart from ``more``: name to sentence."""
    verdict = judge(gate, evidence(GOOD, **more))
    return {check.name: check.sentence for check in verdict.checks if not check.passed}


def test_a_good_challenger_passes_every_check() -> None:
    gate = Gate.model_validate(
        {"floors": FLOORS, "leakage_ceiling": 0.8, "calibration_ceiling": 0.02, "latency_ms": 5, "slices": SLICES}
    )
    part = Segment("size", "below 10", 400, True, 0.7, 0.7, sure(0.0))
    verdict = judge(gate, evidence(GOOD, rows=1000, latency_ms=4.0, rival=rival(GOOD, GOOD), segments=(part,)))
    assert verdict.passed, verdict.refusals
    assert [check.name for check in verdict.checks] == [
        "rows", "outcomes", "metric/auc", "floor/auc", "floor/brier", "leakage", "single feature", "content", "missing",
        "calibration", "latency", "champion", "slice/size/below 10",
    ]  # fmt: skip


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("metric", ["auc", "brier"])
def test_a_metric_that_is_no_number_fails_its_floor(metric: str, value: float) -> None:
    assert failed(Gate(floors=FLOORS), {**GOOD, metric: value}) == [
        *(["metric/auc"] if metric == "auc" else []), f"floor/{metric}"
    ]  # fmt: skip


def test_a_missing_metric_fails_floor_ceiling_and_comparison() -> None:
    gate = Gate(floors={"auc": 0.1}, leakage_ceiling=0.9)
    assert failed(gate, {}, GOOD) == ["metric/auc", "floor/auc", "leakage", "champion"]


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
    verdict = judge(Gate(leakage_ceiling=0.8), evidence({**GOOD, "auc": auc}))
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
    assert judge(Gate(), evidence(GOOD)).passed


def test_a_metric_that_decides_and_is_no_number_fails_without_any_bound() -> None:
    assert failed(Gate(), {**GOOD, "auc": math.nan}) == ["metric/auc"]
    assert failed(Gate(metric="brier"), {}) == ["metric/brier"]


@pytest.mark.parametrize("outcomes", [(5000, 0), (0, 5000), (4991, 9)])
def test_too_few_of_one_outcome_fail(outcomes: tuple[int, int]) -> None:
    said = refused(Gate(), outcomes=dict(zip(("negative", "positive"), outcomes, strict=True)))
    assert list(said) == ["outcomes"]
    assert f"{outcomes[1]} positive and {outcomes[0]} negative outcomes" in said["outcomes"]


@pytest.mark.parametrize(
    ("low", "high", "passes", "says"),
    [
        (-0.009, 0.004, True, ""),
        (-0.010, 0.004, True, ""),
        (-0.011, 0.004, False, "these rows can't tell"),
        (-0.030, -0.011, False, "0.0050 worse, between -0.0300 and -0.0110 at 95%"),
        (0.001, 0.004, True, ""),
    ],
)
def test_the_whole_interval_must_lie_above_the_tolerance(low: float, high: float, passes: bool, says: str) -> None:
    held = rival(GOOD, GOOD, gains={"auc": Interval(-0.005, low, high)})
    said = refused(Gate(tolerance=0.01), rival=held)
    assert list(said) == ([] if passes else ["champion"])
    assert says in said.get("champion", "")
    assert passes or ("can't tell" in said["champion"]) == (high > -0.01)


@pytest.mark.parametrize("gains", [{}, {"auc": UNKNOWN}, {"auc": Interval(0.1, math.nan, 0.2)}])
def test_an_interval_that_is_missing_fails_however_good_the_metric_is(gains: dict[str, Interval]) -> None:
    held = rival({**GOOD, "auc": 0.79}, GOOD, gains=gains)
    assert list(refused(Gate(), rival=held)) == ["champion"]


def test_a_champion_that_was_trained_on_the_test_rows_is_no_measure() -> None:
    said = refused(Gate(minimum_rows=1000), rival=rival(GOOD, GOOD, rows=999))
    assert "only 999 of the test rows are none that the champion, version 3, was trained on" in said["champion"]


def test_a_champion_whose_features_are_gone_says_which() -> None:
    held = rival(GOOD, {}, lacking=("speed_30m",))
    assert "needs features that are declared no more: speed_30m" in refused(Gate(), rival=held)["champion"]


@pytest.mark.parametrize(("value", "passes"), [(0.98, True), (0.981, False), (math.nan, False)])
def test_a_feature_that_is_too_good_alone_is_a_leak(value: float, passes: bool) -> None:
    fact = FeatureFacts("told", missing=0.0, empty=False, constant=False, alone=value)
    said = refused(Gate(single_feature_ceiling=0.98), features=(PLAIN, fact))
    assert list(said) == ([] if passes else ["single feature"])
    assert passes or math.isnan(value) or "told (0.9810)" in said["single feature"]


def test_nothing_known_of_the_features_fails() -> None:
    assert list(refused(Gate(), features=())) == ["single feature"]


@pytest.mark.parametrize(("empty", "says"), [(True, "missing in all rows"), (False, "always the same")])
def test_a_feature_without_content_fails_unless_it_may_be(empty: bool, says: str) -> None:
    fact = FeatureFacts("gusts", missing=float(empty), empty=empty, constant=not empty, alone=0.5)
    said = refused(Gate(), features=(PLAIN, fact))
    assert list(said) == ["content"]
    assert f"gusts ({says})" in said["content"]
    assert refused(Gate(may_be_constant=("gusts",)), features=(PLAIN, fact)) == {}


def test_a_feature_that_is_missing_too_often_fails_by_its_own_bound_or_the_common_one() -> None:
    gusts = FeatureFacts("gusts", missing=0.8, empty=False, constant=False, alone=0.5)
    assert list(refused(Gate(most_missing=0.5), features=(PLAIN, gusts))) == ["missing"]
    assert refused(Gate(most_missing=0.5, most_missing_of={"gusts": 0.9}), features=(PLAIN, gusts)) == {}
    said = refused(Gate(most_missing_of={"gusts": 0.7}), features=(PLAIN, gusts))
    assert said == {"missing": "missing too often: gusts in 80.0% of the rows, at most 70.0%"}
    unknown = FeatureFacts("gusts", missing=math.nan, empty=False, constant=False, alone=0.5)
    assert list(refused(Gate(most_missing=0.5), features=(unknown,))) == ["missing"]


@pytest.mark.parametrize(("value", "passes"), [(0.02, True), (0.021, False), (math.nan, False)])
def test_a_model_that_is_badly_calibrated_fails(value: float, passes: bool) -> None:
    said = refused(Gate(calibration_ceiling=0.02), calibration_error=value)
    assert list(said) == ([] if passes else ["calibration"])


@pytest.mark.parametrize(("value", "passes"), [(5.0, True), (5.1, False), (None, False), (math.nan, False)])
def test_a_model_that_is_slow_fails(value: float | None, passes: bool) -> None:
    assert list(refused(Gate(latency_ms=5), latency_ms=value)) == ([] if passes else ["latency"])


def of(name: str, change: Interval, *, rows: int = 400, supported: bool = True) -> Segment:
    return Segment("size", name, rows, supported, 0.7, 0.7 - change.value, change)


@pytest.mark.parametrize(
    ("change", "passes"),
    [
        (Interval(-0.02, -0.05, 0.01), True),  # it may be noise
        (Interval(-0.05, -0.08, -0.011), False),
        (Interval(0.02, 0.01, 0.03), True),
        (UNKNOWN, False),
    ],
)
def test_a_segment_that_is_shown_to_be_worse_fails(change: Interval, passes: bool) -> None:
    gate = Gate.model_validate({"tolerance": 0.01, "slices": SLICES})
    parts = (of("below 10", change), of("10 and above", sure(0.1)))
    said = refused(gate, rival=rival(GOOD, GOOD), segments=parts)
    assert list(said) == ([] if passes else ["slice/size/below 10"])


def test_segments_have_a_tolerance_of_their_own() -> None:
    worse = (of("below 10", Interval(-0.05, -0.08, -0.02)),)
    for bound, passes in ((0.019, False), (0.03, True)):
        gate = Gate.model_validate({"slices": SLICES, "slice_tolerance": bound})
        assert (refused(gate, rival=rival(GOOD, GOOD), segments=worse) == {}) is passes


def test_a_segment_with_little_support_is_not_judged_but_one_must_be() -> None:
    gate = Gate.model_validate({"slices": SLICES})
    small = of("below 10", UNKNOWN, rows=20, supported=False)
    assert refused(gate, rival=rival(GOOD, GOOD), segments=(small, of("10 and above", sure(0.0)))) == {}
    for parts in ((), (small,)):
        said = refused(gate, rival=rival(GOOD, GOOD), segments=parts)
        assert "no segment of slice size has rows enough" in said["slice/size"]


def test_without_a_champion_segments_are_not_judged() -> None:
    assert refused(Gate.model_validate({"slices": SLICES}), segments=(of("below 10", UNKNOWN),)) == {}
