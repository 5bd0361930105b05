"""What the training rows are like: rows that can't be trained on, empty and constant features, a leak in one feature, segments."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from headrace.errors import TrainingError
from headrace.spec.gate import Gate, Slice
from headrace.training.evidence import Evidence
from headrace.training.fit import fit
from headrace.training.gate import judge
from headrace.training.quality import alone, check_trainable, feature_facts
from headrace.training.segments import segments
from headrace.training.split import split_in_time

START = datetime(2026, 1, 1, tzinfo=UTC)


def table(label: list[int], **features: list[float | None]) -> pa.Table:
    return pa.table({"label": label, **{name: pa.array(values, pa.float64()) for name, values in features.items()}})


GOOD = table([0, 1, 0, 1], a=[1, 2, 3, None], b=[0.5, 0.1, 0.2, math.nan])


def test_rows_with_both_outcomes_and_finite_features_can_be_trained_on() -> None:
    check_trainable(GOOD, GOOD, features=["a", "b"], label="label")


@pytest.mark.parametrize(
    ("train", "test", "says"),
    [
        (GOOD.slice(0, 0), GOOD, r"no row is left to train on: .* lower model\.test_share"),
        (
            table([0, 0], a=[1, 2], b=[1, 2]),
            GOOD,
            r"all 2 training rows have the outcome 0, .* correct label\.positive",
        ),
        (table([1, 1], a=[1, 2], b=[1, 2]), GOOD, "all 2 training rows have the outcome 1"),
        (table([0, 1], a=[1, 2], b=[1, math.inf]), GOOD, r"feature 'b' is infinite in 1 rows; guard its expression"),
        (GOOD, table([1, 1], a=[1, 2], b=[1, 2]), r"all 2 test rows have the outcome 1, .* raise model\.test_share"),
        (GOOD, table([0, 1], a=[-math.inf, math.inf], b=[1, 2]), "feature 'a' is infinite in 2 rows"),
    ],
    ids=[
        "no rows",
        "negatives only",
        "positives only",
        "infinite in training",
        "one outcome in the test",
        "infinite in the test",
    ],
)
def test_rows_that_cannot_be_trained_on_are_told_in_one_sentence(train: pa.Table, test: pa.Table, says: str) -> None:
    with pytest.raises(TrainingError, match=says) as error:
        check_trainable(train, test, features=["a", "b"], label="label")
    assert error.value.exit_code == 11


def test_too_few_rows_are_refused_by_number() -> None:
    rows = pa.table({"at": pa.array([START] * 19, pa.timestamp("us", "UTC"))})
    with pytest.raises(
        TrainingError, match=r"only 19 labelled rows; at least 20 are needed .* a later --as-of"
    ) as error:
        split_in_time(rows, share=0.2, gate_rows=10)
    assert error.value.exit_code == 11


def test_a_row_whose_outcome_came_too_late_neither_trains_nor_tests() -> None:
    at = [START + timedelta(hours=hour) for hour in range(10)]
    told = [moment + timedelta(hours=3) for moment in at]
    kind = pa.timestamp("us", "UTC")
    rows = pa.table({"n": list(range(10)), "at": pa.array(at, kind), "label_known_at": pa.array(told, kind)})
    found = split_in_time(rows, share=0.2, gate_rows=5)
    assert found.cut == at[8]
    assert found.train.column("n").to_pylist() == [0, 1, 2, 3, 4]
    assert found.test.column("n").to_pylist() == [8, 9]


def test_a_feature_that_is_null_in_every_row_trains_no_tree_and_is_refused_by_the_gate() -> None:
    label = [0, 1, 0, 1] * 50
    rows = table(label, a=[float(k % 5) for k in range(200)], none=[None] * 200)
    booster = fit(rows, features=["a", "none"], label="label", parameters={"min_child_weight": 0}, rounds=3, seed=7)
    assert "none" not in booster.get_score()
    facts = feature_facts(rows, rows, features=["a", "none"], outcomes=[np.array(label)])
    known = Evidence(rows=200, outcomes={"negative": 100, "positive": 100}, metrics={}, features=facts)
    checks = {check.name: check for check in judge(Gate(), known).checks}
    assert not checks["content"].passed
    assert "none (missing in all rows); is their stream ingested?" in checks["content"].sentence
    declared = judge(Gate(may_be_constant=("none",)), known)
    assert {check.name: check.passed for check in declared.checks}["content"]


def test_facts_of_features() -> None:
    train = table(
        [0, 1, 0, 1],
        full=[1, 2, 3, 4],
        half=[1, None, math.nan, 2],
        same=[7, 7, 7, 7],
        none=[None] * 4,
        gone=[1, 2, 3, 4],
    )
    test = table(
        [0, 1, 0, 1], full=[1, 2, 3, 4], half=[1, 2, 3, None], same=[1, 2, 3, 4], none=[1, 2, 3, 4], gone=[None] * 4
    )
    names = ["full", "half", "same", "none", "gone"]
    found = feature_facts(train, test, features=names, outcomes=[np.array([0, 1, 0, 1])])
    assert [one.name for one in found] == names
    assert [one.missing for one in found] == [0, 0.5, 0, 1, 1]
    assert [one.empty for one in found] == [False, False, False, True, True]
    assert [one.constant for one in found] == [False, False, True, True, False]


def test_one_feature_alone_is_measured_in_its_better_direction() -> None:
    outcome = np.array([0, 0, 1, 1])
    assert alone(outcome, np.array([1.0, 2.0, 3.0, 4.0])) == 1.0
    assert alone(outcome, np.array([4.0, 3.0, 2.0, 1.0])) == 1.0
    assert alone(outcome, np.array([1.0, 3.0, 2.0, 4.0])) == 0.75
    assert alone(outcome, np.array([5.0, 5.0, 5.0, 5.0])) == 0.5
    assert alone(outcome, np.full(4, np.nan)) == 0.5
    assert math.isnan(alone(np.zeros(4), np.array([1.0, 2.0, 3.0, 4.0])))


@pytest.mark.parametrize("middle", [0.0, 1e18, -1e18])
def test_a_value_that_is_missing_where_the_outcome_is_bad_is_a_leak_too(middle: float) -> None:
    outcome = np.array([0, 0, 0, 1, 1])
    assert alone(outcome, np.array([middle, middle, middle, np.nan, np.nan])) == 1.0


def masks(declared: dict[str, object], values: list[float]) -> dict[str, list[bool]]:
    found = segments(Slice.model_validate({"feature": "a", **declared}), np.array(values))
    assert (sum(mask.astype(int) for mask in found.values()) == 1).all(), "every row is in one segment"
    return {name: mask.tolist() for name, mask in found.items()}


def test_bands_are_closed_below_and_what_is_missing_is_apart() -> None:
    assert masks({"bands": [10, 100]}, [9.9, 10, 99, 100, math.nan]) == {
        "below 10": [True, False, False, False, False],
        "10 to below 100": [False, True, True, False, False],
        "100 and above": [False, False, False, True, False],
        "missing": [False, False, False, False, True],
    }


def test_values_have_a_segment_each_and_one_for_all_others() -> None:
    assert masks({"values": [1, 7]}, [7, 1, 3, 1]) == {
        "1": [False, True, False, True],
        "7": [True, False, False, False],
        "others": [False, False, True, False],
    }


@pytest.mark.parametrize(
    ("declared", "says"),
    [
        ({}, "bands or values, one of them"),
        ({"bands": [1], "values": [1]}, "bands or values, one of them"),
        ({"bands": [2, 1]}, "bands must rise"),
        ({"bands": [1, 1]}, "bands must rise"),
        ({"values": [1, 1]}, "there twice"),
    ],
)
def test_a_slice_that_makes_no_sense_is_refused(declared: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Slice.model_validate({"feature": "a", **declared})
