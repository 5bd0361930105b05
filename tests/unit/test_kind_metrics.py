"""Metrics, draws and the gate of models that predict numbers, classes or an order, with real Boosters and scikit-learn beside."""

from __future__ import annotations

import math
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import xgboost as xgb
from sklearn.metrics import accuracy_score, log_loss, mean_absolute_error, ndcg_score, r2_score, roc_auc_score
from sklearn.metrics import root_mean_squared_error as rmse

from headrace.errors import ModelError, TrainingError
from headrace.serving.scoring import require_kind
from headrace.spec.gate import Gate
from headrace.spec.kinds import KINDS, METRICS_OF, Kind
from headrace.spec.model import Model
from headrace.training import evaluate, resample
from headrace.training.evidence import Champion, Evidence
from headrace.training.fit import boosted, rounds_that_gain, settings
from headrace.training.folds import newest_share, time_folds
from headrace.training.gate import judge
from headrace.training.gather import gather
from headrace.training.learners.boosting import Boosted
from headrace.training.registry import RegisteredModel
from headrace.training.split import split_in_time
from headrace.training.task import Task, as_text, by_group, from_text, task_of
from headrace.training.trial import Judge
from headrace.training.truth import Truth, truth_of

START = datetime(2026, 1, 1, tzinfo=UTC)
OBJECTIVES = {kind: objective for objective, kind in KINDS.items()}
CLASSES = ("air", "rail", "road")


def rows(kind: Kind, n: int, *, seed: int, first: int = 0, shuffled: bool = False) -> pa.Table:
    """Rows a minute apart, whose label follows size and speed."""
    rng = np.random.default_rng(seed)
    size, speed = rng.normal(size=n), rng.normal(size=n)
    label: Any = 5 * size + speed + rng.normal(size=n)
    if kind == "multiclass":
        label = np.array(CLASSES)[np.where(size + 0.3 * rng.normal(size=n) > 0.5, 0, np.where(speed > 0, 1, 2))]
    elif kind == "ranking":
        label = np.clip(np.round(2 + size + 0.3 * rng.normal(size=n)), 0, 4)
    at = pa.array([START + timedelta(minutes=first + k) for k in range(n)], pa.timestamp("us", "UTC"))
    table = {"at": at, "size": size, "speed": speed, "label": pa.array(rng.permutation(label) if shuffled else label)}
    groups = {"label_group": [f"g{(first + k) // 8}" for k in range(n)]} if kind == "ranking" else {}
    return pa.table({**table, **groups})


def fitted(kind: Kind, train: pa.Table, task: Task, rounds: int = 15) -> Boosted:
    given = settings({"objective": OBJECTIVES[kind], "max_depth": 3, **task.settings}, seed=7, threads=1)
    made = boosted(task.numbered(train), features=["size", "speed"], label="label", settings=given, rounds=rounds)
    return Boosted(made)


def gathered(kind: Kind, booster: Boosted, task: Task, champion: Champion | None = None, **gate: Any) -> Evidence:
    train, test = rows(kind, 1600, seed=1), rows(kind, 800, seed=2, first=1600)
    declared = Gate.model_validate({"metric": METRICS_OF[kind][0], "resamples": 100, **gate})
    return gather(
        declared, booster, features=["size", "speed"], train=train, test=test, champion=champion, seed=7, task=task
    )


@pytest.mark.parametrize("kind", ["regression", "multiclass", "ranking"])
def test_a_worse_challenger_is_refused_and_the_champion_itself_passes(kind: Kind) -> None:
    train = rows(kind, 1600, seed=1)
    task = task_of(kind, train, train)
    good, bad = fitted(kind, train, task), fitted(kind, rows(kind, 1600, seed=1, shuffled=True), task)
    champion = Champion(4, good, ("size", "speed"), START + timedelta(minutes=1600), task=task)
    gate = Gate.model_validate({"metric": METRICS_OF[kind][0], "minimum_rows": 400, "resamples": 100})
    same = judge(gate, gathered(kind, good, task, champion))
    assert same.passed, same.refusals
    worse = judge(gate, gathered(kind, bad, task, champion))
    assert [check.name for check in worse.checks if not check.passed] == ["champion"]
    assert " worse, between -" in worse.refusals
    reverse = gathered(kind, good, task, Champion(4, bad, ("size", "speed"), None, task=task))
    assert reverse.rival is not None
    assert all(gain.low > 0 for gain in reverse.rival.gains.values()), "smaller errors are better, and are counted so"


def test_draws_have_the_metrics_of_scikit_learn() -> None:
    rng = np.random.default_rng(3)
    label = 100 + 10 * rng.normal(size=300)
    prediction = (label + 4 * rng.normal(size=300)).astype(np.float32)
    truth = Truth("regression", label)
    drawn = truth.replicates({"": prediction}, resamples=50, seed=3, metrics=METRICS_OF["regression"], blocks=None)[""]
    counts = np.concatenate(list(resample._draws(np.zeros(300), resamples=50, seed=3)))
    expected = {
        "rmse": lambda w: rmse(label, prediction, sample_weight=w),
        "mae": lambda w: mean_absolute_error(label, prediction, sample_weight=w),
        "r2": lambda w: r2_score(label, prediction, sample_weight=w),
    }
    for place in (0, 21, 49):
        for name, value in expected.items():
            assert drawn[name][place] == pytest.approx(value(counts[place]), rel=1e-6)
    for name, value in expected.items():
        assert truth.metrics(prediction)[name] == pytest.approx(value(None))


def test_draws_of_classes_have_the_metrics_of_scikit_learn() -> None:
    rng = np.random.default_rng(4)
    label = rng.choice(3, size=400, p=[0.7, 0.2, 0.1])
    raw = rng.random((400, 3)) + 0.5 * np.eye(3)[label]
    said = raw / raw.sum(axis=1, keepdims=True)
    truth = Truth("multiclass", label, CLASSES)
    drawn = truth.replicates({"": said}, resamples=50, seed=3, metrics=METRICS_OF["multiclass"], blocks=None)[""]
    counts = np.concatenate(list(resample._draws(label, resamples=50, seed=3)))
    assert all((counts[:, label == k].sum(axis=1) == (label == k).sum()).all() for k in range(3))
    for place in (0, 21, 49):
        weight = counts[place]
        each = [roc_auc_score(label == k, said[:, k], sample_weight=weight) for k in range(3)]
        assert drawn["macro_auc"][place] == pytest.approx(np.mean(each), abs=1e-6)
        hit = accuracy_score(label, said.argmax(axis=1), sample_weight=weight)
        assert drawn["accuracy"][place] == pytest.approx(hit, abs=1e-6)
        assert drawn["log_loss"][place] == pytest.approx(log_loss(label, said, sample_weight=weight), abs=1e-6)
    found = truth.metrics(said)
    assert found["macro_auc"] == pytest.approx(roc_auc_score(label, said, multi_class="ovr", average="macro"))
    assert found["log_loss"] == pytest.approx(log_loss(label, said))


@pytest.mark.parametrize("digits", [None, 0])
def test_ndcg_is_that_of_scikit_learn_on_the_gains_of_xgboost(digits: int | None) -> None:
    rng = np.random.default_rng(6)
    for size in (2, 9, 10, 30):
        relevance = rng.integers(0, 5, size)
        relevance[0] = 3
        score = rng.normal(size=size) if digits is None else rng.normal(size=size).round(digits)
        expected = ndcg_score([2.0**relevance - 1], [score], k=10)
        assert evaluate.ndcg(relevance, score, best=10) == pytest.approx(expected)
    assert math.isnan(evaluate.ndcg(np.zeros(3), np.arange(3), best=10))


def test_groups_that_tell_nothing_do_not_count_and_groups_are_drawn_whole() -> None:
    label = np.array([0, 1, 2, 2, 1, 0, 0, 3])
    group = np.array([0, 0, 1, 1, 2, 2, 3, 3])
    truth = Truth("ranking", label, group=group)
    right, score = label.astype(float), np.array([2.0, 1, 0, 0, 1, 2, 1, 2])
    assert truth.counts == {"groups": 3}, "all rows of group 1 are equally relevant"
    assert truth.metrics(right) == {"ndcg_10": 1.0}
    values = [evaluate.ndcg(label[group == g], score[group == g], best=10) for g in (0, 2, 3)]
    assert truth.metrics(score)["ndcg_10"] == pytest.approx(np.mean(values))
    drawn = truth.replicates({"": score}, resamples=200, seed=1, metrics=["ndcg_10"], blocks=None)[""]["ndcg_10"]
    possible = {round(float(np.mean([values[k] for k in ks])), 9) for ks in np.ndindex(3, 3, 3)}
    assert {round(float(one), 9) for one in drawn} <= possible
    assert truth.whole(np.array([True] * 5 + [False] + [True] * 2)).tolist() == [True] * 4 + [False] * 2 + [True] * 2


def test_a_group_of_both_parts_trains_and_does_not_test() -> None:
    table = rows("ranking", 100, seed=1)
    table = table.append_column("label_known_at", table.column("at"))
    found = split_in_time(table, share=0.3, gate_rows=10)
    assert found.train.num_rows == 70
    assert set(found.test.column("label_group").to_pylist()) == {"g9", "g10", "g11", "g12"}, (
        "g8 begins in the older part"
    )


def test_rows_are_trained_on_group_after_group_in_any_order() -> None:
    table = rows("ranking", 400, seed=1)
    task = Task("ranking")
    names = [f"{'ab'[k % 2]}{k // 20}" for k in range(400)]
    mixed = table.set_column(table.column_names.index("label_group"), "label_group", pa.array(names))
    booster = fitted("ranking", mixed, task)
    assert booster.to_bytes() == fitted("ranking", by_group(mixed), task).to_bytes()
    assert booster.to_bytes() != fitted("ranking", table, task).to_bytes(), "other groups, another model"


def test_a_class_that_training_never_saw_counts_as_wrong() -> None:
    train = rows("multiclass", 1600, seed=1)
    known = train.filter(pa.array([name != "road" for name in train.column("label").to_pylist()]))
    task = task_of("multiclass", known, known)
    assert task.classes == ("air", "rail")
    test = rows("multiclass", 800, seed=2)
    truth = truth_of(test, task)
    answers = truth.aligned(fitted("multiclass", known, task).predict(test, features=["size", "speed"]), task.classes)
    assert truth.classes == CLASSES
    assert (answers[:, 2] == 0).all()
    share = truth.counts["road"] / 800
    assert 0.2 < share < 0.5
    assert truth.metrics(answers)["accuracy"] < 1 - share
    assert truth.metrics(answers)["log_loss"] > share * 16, "16.1 is the loss of a probability of 1e-7"


def test_answers_of_a_champion_with_other_classes_are_put_under_their_names() -> None:
    truth = Truth("multiclass", np.array([0, 1, 2]), CLASSES)
    found = truth.aligned(np.array([[0.1, 0.2, 0.7]]), ("air", "boat", "road"))
    assert found.tolist() == [[0.1, 0.0, 0.7]]


def test_too_few_rows_of_a_class_or_too_few_groups_fail() -> None:
    classes = Evidence(900, {"air": 500, "rail": 391, "road": 9}, {}, kind="multiclass")
    (check,) = [one for one in judge(Gate(metric="macro_auc"), classes).checks if one.name == "outcomes"]
    assert (check.passed, check.sentence[-25:]) == (False, "there are fewer of 'road' 9"[-25:])
    groups = Evidence(900, {"groups": 9}, {}, kind="ranking")
    (check,) = [one for one in judge(Gate(metric="ndcg_10"), groups).checks if one.name == "outcomes"]
    assert not check.passed
    names = {one.name for one in judge(Gate(metric="rmse"), Evidence(900, {}, {}, kind="regression")).checks}
    assert not names & {"outcomes", "leakage", "single feature", "calibration"}


@pytest.mark.parametrize(("metric", "kind"), [(metric, kind) for kind in METRICS_OF for metric in METRICS_OF[kind]])
def test_a_metric_that_is_missing_or_not_a_number_fails_for_every_kind(metric: Any, kind: Kind) -> None:
    unknown = resample.Interval(math.nan, math.nan, math.nan)
    gate = Gate(metric=metric, floors={metric: 0.5})
    outcomes = {"negative": 500, "positive": 500} if kind == "binary" else {"groups": 99}
    for metrics in ({}, {metric: unknown}):
        checks = judge(gate, Evidence(5000, outcomes, metrics, kind=kind)).checks
        assert {f"metric/{metric}", f"floor/{metric}"} <= {one.name for one in checks if not one.passed}


@pytest.mark.parametrize(("value", "passes"), [(3.9, True), (4.0, True), (4.1, False)])
def test_an_error_is_bounded_from_above(value: float, passes: bool) -> None:
    sure = resample.Interval(value, value, value)
    checks = judge(
        Gate(metric="rmse", floors={"rmse": 4}), Evidence(5000, {}, {"rmse": sure}, kind="regression")
    ).checks
    assert {one.name: one.passed for one in checks}["floor/rmse"] is passes


@pytest.mark.parametrize("kind", ["regression", "multiclass", "ranking"])
def test_early_stopping_watches_the_metric_of_the_gate(kind: Kind) -> None:
    table = rows(kind, 1200, seed=1)
    table = table.append_column("label_known_at", table.column("at"))
    task = task_of(kind, table, table)
    given = {"objective": OBJECTIVES[kind], "max_depth": 6, "eta": 0.5, **task.settings}
    for metric in METRICS_OF[kind]:
        found = rounds_that_gain(
            task.numbered(table), features=["size", "speed"], label="label", parameters=given, most=300, seed=7, patience=5,
            share=0.3, metric=metric,
        )  # fmt: skip
        assert 1 <= found < 200, "deep trees on a noisy line overfit soon"


@pytest.mark.parametrize("kind", ["regression", "multiclass", "ranking"])
def test_a_search_judges_a_fold_by_the_metric_of_the_gate(kind: Kind) -> None:
    table = rows(kind, 1200, seed=1)
    table = by_group(table.append_column("label_known_at", table.column("at")))
    task = task_of(kind, table, table)
    for metric in METRICS_OF[kind]:
        given = {"objective": OBJECTIVES[kind], "max_depth": 2}
        declared = Model.model_validate(
            {"name": "m", "parameters": given, "gate": {"metric": metric}, "search": {"most_rounds": 20, "patience": 5}}
        )
        assert len(newest_share(table, share=0.2).train) == 960
        folds = time_folds(task.numbered(table), folds=2)
        judge = Judge(table, folds, features=["size", "speed"], model=declared, task=task)
        score = judge.judge(0, given, stop=threading.Event())
        assert score is not None
        parts = [table.take(positions) for positions in (folds[0].train, folds[0].validation)]
        again = boosted(
            task.numbered(parts[0]), features=["size", "speed"], label="label", rounds=score.rounds,
            settings=settings({**given, **task.settings}, seed=7),
        )  # fmt: skip
        answers = again.predict(xgb.DMatrix(parts[1].select(["size", "speed"])))
        assert score.value == pytest.approx(truth_of(parts[1], task).metrics(answers)[metric], rel=1e-5)


def test_too_many_classes_are_refused() -> None:
    table = pa.table({"label": [f"c{k}" for k in range(101)]})
    with pytest.raises(TrainingError, match=r"label\.value gives 101 classes, and 100 .*put the rare ones together"):
        task_of("multiclass", table, table)


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_a_label_that_is_no_number_is_refused_in_either_part(value: float) -> None:
    good, bad = pa.table({"label": [1.0, 2.0]}), pa.table({"label": [1.0, value]})
    for train, test in ((good, bad), (bad, good)):
        with pytest.raises(
            TrainingError, match=r"label\.value is infinite or no number in 1 rows; guard its expression"
        ):
            task_of("regression", train, test)


def test_a_version_of_another_kind_does_not_answer() -> None:
    model = RegisteredModel("m", 3, "run", ("size",), Boosted(xgb.Booster()), task=Task("multiclass", CLASSES))
    require_kind(model, Model.model_validate({"name": "m", "parameters": {"objective": "multi:softprob"}}))
    with pytest.raises(
        ModelError, match="m version 3 is a multiclass model, and the pipeline file declares a binary one; score"
    ):
        require_kind(model, Model.model_validate({"name": "m"}))


@pytest.mark.parametrize("value", [-1.0, 0.5, 32.0])
def test_a_relevance_is_a_whole_number_of_bounded_size(value: float) -> None:
    table = pa.table({"label": [1.0, value]})
    with pytest.raises(
        TrainingError, match=r"must be a whole number from 0 to 31, how relevant a row is, and lies between"
    ):
        task_of("ranking", table, table)


def test_a_task_is_read_as_it_was_written_and_a_changed_one_is_refused() -> None:
    for task in (Task(), Task("regression"), Task("multiclass", CLASSES)):
        assert from_text(as_text(task), what="m/1") == task
    assert from_text(None, what="m/1") == Task(), "a model of an older Headrace predicts a condition"
    for text in (
        "",
        "[]",
        '{"kind": "code", "classes": []}',
        '{"kind": "binary", "classes": [1]}',
        '{"kind": "binary"}',
    ):
        with pytest.raises(ModelError, match="m/1: its tag of what it predicts was changed"):
            from_text(text, what="m/1")
