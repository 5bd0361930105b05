"""Calibration: probabilities that come true on unseen rows, one map inside the Booster's file, the same wherever it predicts."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import xgboost as xgb

from headrace.errors import ModelError, TrainingError
from headrace.serving.score import _predictor  # pyright: ignore[reportPrivateUsage]
from headrace.spec.boosting import Method
from headrace.spec.model import Model
from headrace.training import evaluate
from headrace.training.calibrate import calibrated, learned, told_by_newest
from headrace.training.calibration import ATTRIBUTE, Isotonic, Sigmoid, answers, carried, carry, parsed
from headrace.training.continuous.boost import require_growable
from headrace.training.differences import Difference, booster_differences
from headrace.training.fit import fit, predict, settings, uncalibrated
from headrace.training.learners.boosting import Boosted
from headrace.training.registry import RegisteredModel

HOUR = 3_600_000_000
FEATURES = ("a", "b")
WEIGHED = {"scale_pos_weight": 8.0, "max_depth": 3}
"""Positive rows weigh eight times: the order stays, and every probability is far too high."""


def rows(count: int = 6000, *, seed: int = 1) -> pa.Table:
    chance = np.random.default_rng(seed)
    at = np.arange(count) * HOUR + int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1e6)
    a, b = chance.normal(size=count), chance.normal(size=count)
    kind = pa.timestamp("us", "UTC")
    return pa.table(
        {
            "at": pa.array(at).cast(kind),
            "a": a,
            "b": pa.array(np.where(chance.random(count) < 0.1, np.nan, b), from_pandas=True),
            "label": pa.array((chance.random(count) < 1 / (1 + np.exp(2 - a - b / 2))).astype("int32")),
            "label_known_at": pa.array(at + HOUR).cast(kind),
        }
    )


def model(**given: Any) -> Model:
    return Model.model_validate({"name": "m", "rounds": 40, **given})


def trained(table: pa.Table, declared: Model) -> xgb.Booster:
    """As a training does it."""
    told = told_by_newest(
        table, features=FEATURES, label="label", model=declared, parameters=WEIGHED, rounds=declared.rounds
    )
    booster = fit(table, features=FEATURES, label="label", parameters=WEIGHED, rounds=told.rounds, seed=declared.seed)
    carry(booster, told.calibration)
    return booster


def sha256(booster: xgb.Booster) -> str:
    return hashlib.sha256(bytes(booster.save_raw("ubj"))).hexdigest()


def reopened(booster: xgb.Booster) -> xgb.Booster:
    again = xgb.Booster()
    again.load_model(bytearray(booster.save_raw("ubj")))
    return again


@pytest.mark.parametrize("stopping", [None, {"share": 0.2, "patience": 10}])
@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_on_unseen_rows_probabilities_come_true(method: Method, stopping: dict[str, Any] | None) -> None:
    booster, unseen = trained(rows(), model(calibration=method, early_stopping=stopping)), rows(seed=2)
    label, after = unseen.column("label").to_numpy(), predict(booster, unseen, features=FEATURES)
    before = uncalibrated(booster, unseen, features=FEATURES)
    assert before is not None
    assert evaluate.calibration_error(label, before) > 0.25, "the fault is there"
    assert evaluate.calibration_error(label, after) < 0.03
    was, now = evaluate.metrics(label, before), evaluate.metrics(label, after)
    assert now["log_loss"] < was["log_loss"] - 0.15
    assert now["brier"] < was["brier"]
    assert now["auc"] == pytest.approx(was["auc"], abs=1e-6 if method == "sigmoid" else 0.02), "steps tie scores"


def test_a_sigmoid_keeps_the_order_of_all_scores() -> None:
    booster, unseen = trained(rows(), model(calibration="sigmoid")), rows(seed=2)
    before, after = uncalibrated(booster, unseen, features=FEATURES), predict(booster, unseen, features=FEATURES)
    assert before is not None
    assert (np.diff(after[np.argsort(before, kind="stable")]) >= 0).all()
    assert after.dtype == before.dtype == np.float32


def test_the_model_itself_trains_on_all_rows_and_the_map_is_of_rows_that_told_it_nothing() -> None:
    table = rows()
    plain = fit(table, features=FEATURES, label="label", parameters=WEIGHED, rounds=40, seed=7)
    booster = trained(table, model(calibration="isotonic"))
    assert booster.get_dump() == plain.get_dump()
    found = carried(booster)
    assert isinstance(found, Isotonic)
    own = plain.predict(xgb.DMatrix(table.select(list(FEATURES))), output_margin=True)
    assert found != learned(own, table.column("label").to_numpy(), method="isotonic"), "not of rows it was trained on"


def test_with_early_stopping_one_model_of_the_older_rows_tells_both(monkeypatch: pytest.MonkeyPatch) -> None:
    table, trainings = rows(), 0
    train = xgb.train

    def counted(*args: Any, **options: Any) -> xgb.Booster:
        nonlocal trainings
        trainings += 1
        return train(*args, **options)

    monkeypatch.setattr(xgb, "train", counted)
    declared = model(calibration="sigmoid", early_stopping={"share": 0.2, "patience": 10}, rounds=200)
    told = told_by_newest(table, features=FEATURES, label="label", model=declared, parameters=WEIGHED, rounds=200)
    assert trainings == 1
    assert 1 <= told.rounds < 200
    again = calibrated(
        table, features=FEATURES, label="label", settings=settings(WEIGHED, seed=7), rounds=told.rounds, method="sigmoid", share=0.2
    )  # fmt: skip
    assert again == told.calibration, "a rebuild, which knows the rounds, gets the same map"


def test_the_map_is_in_the_file_and_so_under_its_sha256() -> None:
    booster = trained(rows(), model(calibration="sigmoid"))
    assert carried(reopened(booster)) == carried(booster) is not None
    assert sha256(trained(rows(), model(calibration="sigmoid"))) == sha256(booster) == sha256(reopened(booster))
    before = sha256(booster)
    carry(booster, Sigmoid(1.0, 0.0))
    assert sha256(booster) != before
    carry(booster, None)
    plain = fit(rows(), features=FEATURES, label="label", parameters=WEIGHED, rounds=40, seed=7)
    assert sha256(booster) == sha256(plain), "without a calibration a file is what it always was"


def scored(booster: xgb.Booster, table: pa.Table) -> np.ndarray:
    """As a scoring job answers."""
    boosted = Boosted(booster)
    answer = _predictor(RegisteredModel("m", 1, "", FEATURES, boosted, content=boosted.to_bytes()))
    return pa.Table.from_batches(list(answer(table.to_batches(max_chunksize=500)))).column("probability").to_numpy()


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_training_and_scoring_answer_the_same(method: Method, monkeypatch: pytest.MonkeyPatch) -> None:
    booster, unseen = trained(rows(), model(calibration=method)), rows(700, seed=3)
    expected = predict(booster, unseen, features=FEATURES)
    assert np.array_equal(scored(booster, unseen), expected)

    def never(loaded: xgb.Booster, data: xgb.DMatrix) -> np.ndarray:
        return loaded.predict(data)

    def twice(loaded: xgb.Booster, data: xgb.DMatrix) -> np.ndarray:
        calibration = carried(loaded)
        assert calibration is not None
        once = answers(loaded, data).astype(float)
        return calibration.probabilities(np.log(once / (1 - once))).astype(np.float32)

    for fault in (never, twice):
        monkeypatch.setattr("headrace.training.fit.answers", fault)
        assert np.abs(scored(booster, unseen) - expected).max() > 0.05, f"applied {fault.__name__}: it is seen"


def test_a_map_as_an_independent_hand_computes_it() -> None:
    margins = np.array([-50.0, -1.0, 0.0, 0.5, 2.0, 800.0])
    told = Sigmoid(2.0, -1.0).probabilities(margins)
    assert told == pytest.approx([0, 1 / (1 + np.e**3), 1 / (1 + np.e), 0.5, 1 / (1 + np.e**-3), 1], abs=1e-12)
    told = Isotonic((-1.0, 0.0, 2.0), (0.1, 0.1, 0.5)).probabilities(margins)
    assert told == pytest.approx([0.1, 0.1, 0.1, 0.2, 0.5, 0.5])
    assert Isotonic((0.0,), (0.3,)).probabilities(margins) == pytest.approx([0.3] * 6)


def test_no_map_says_never_or_always() -> None:
    margins = np.linspace(-3, 3, 200)
    for method in ("sigmoid", "isotonic"):
        told = learned(margins, (margins > 0).astype(int), method=method).probabilities(np.array([-1e3, 1e3]))
        if method == "isotonic":
            assert told == pytest.approx([1 / 202, 201 / 202])
        told = learned(margins, (margins > 0).astype(int), method=method).probabilities(np.array([-3.0, 3.0]))
        assert 0 < told[0] < 0.01 < 0.99 < told[1] < 1


def test_a_score_that_points_the_wrong_way_is_refused() -> None:
    margins = np.linspace(-3, 3, 400)
    with pytest.raises(TrainingError, match=r"^on the newest 400 training rows a higher score does not mean"):
        learned(margins, (margins < 0).astype(int), method="sigmoid")
    level = learned(margins, (margins < 0).astype(int), method="isotonic")
    assert isinstance(level, Isotonic)
    assert set(level.shares) == {0.5}, "an isotonic one says the same for all"


@pytest.mark.parametrize(
    "text",
    [
        "", "null", "7", "[]", "{}", "NaN", '"sigmoid"', "[" * 5000,
        '{"method": "sigmoid", "slope": 1}',
        '{"method": "sigmoid", "slope": 0, "intercept": 0}',
        '{"method": "sigmoid", "slope": -1, "intercept": 0}',
        '{"method": "sigmoid", "slope": NaN, "intercept": 0}',
        '{"method": "sigmoid", "slope": 1, "intercept": Infinity}',
        '{"method": "sigmoid", "slope": true, "intercept": 0}',
        '{"method": "sigmoid", "slope": "1", "intercept": 0}',
        '{"method": "sigmoid", "slope": 1, "intercept": 0, "more": 1}',
        '{"method": "sigmoid", "slope": 1' + "0" * 400 + ', "intercept": 0}',
        '{"method": ["sigmoid"], "slope": 1, "intercept": 0}',
        '{"method": "isotonic", "slope": 1, "intercept": 0}',
        '{"method": "isotonic", "margins": [], "shares": []}',
        '{"method": "isotonic", "margins": [0, 1], "shares": [0.5]}',
        '{"method": "isotonic", "margins": [1, 0], "shares": [0.1, 0.5]}',
        '{"method": "isotonic", "margins": [0, 0], "shares": [0.1, 0.5]}',
        '{"method": "isotonic", "margins": [0, 1], "shares": [0.5, 0.1]}',
        '{"method": "isotonic", "margins": [0, 1], "shares": [0.5, 1.1]}',
        '{"method": "isotonic", "margins": [0, 1], "shares": [-0.1, 0.5]}',
        '{"method": "isotonic", "margins": {"0": 1}, "shares": {"0": 1}}',
        '{"method": "isotonic", "margins": "01", "shares": "01"}',
        json.dumps({"method": "isotonic", "margins": list(range(20001)), "shares": [0.5] * 20001}),
        " " * 2_000_000 + "{}",
    ],
)  # fmt: skip
def test_an_attribute_that_no_training_wrote_is_refused(text: str) -> None:
    with pytest.raises(ModelError, match="is no calibration that a training wrote; find out who changed"):
        parsed(text)


def test_a_tampered_map_stops_every_prediction() -> None:
    booster = trained(rows(), model(calibration="sigmoid"))
    booster.set_attr(**{ATTRIBUTE: '{"method": "sigmoid", "slope": -1, "intercept": 0}'})
    with pytest.raises(ModelError, match=ATTRIBUTE):
        predict(booster, rows(10), features=FEATURES)
    with pytest.raises(ModelError, match=ATTRIBUTE):
        scored(booster, rows(10))


def test_a_rebuild_with_another_map_is_told_from_one_with_other_trees() -> None:
    table = rows(2000)
    one, other = trained(table, model(calibration="sigmoid")), trained(table, model(calibration="isotonic"))
    assert list(booster_differences(one, other)) == [Difference("calibration", "the calibration is another one")]
    assert [found.kind for found in booster_differences(one, reopened(one))] == ["tree"], (
        "nothing differs but the bytes"
    )
    fewer = trained(table, model(calibration="sigmoid", rounds=39))
    assert {found.kind for found in booster_differences(one, fewer)} == {"calibration", "tree"}


def test_a_calibrated_model_is_not_gone_on_with() -> None:
    booster = trained(rows(), model(calibration="sigmoid"))
    with pytest.raises(ModelError, match="the champion can't be gone on with: it carries a calibration"):
        require_growable(booster, what="the champion")
    carry(booster, None)
    require_growable(booster, what="the champion")


def test_the_same_map_on_any_number_of_threads() -> None:
    """The regression runs in a numerical library, which may add in another order on another number of threads."""
    program = (
        "import numpy as np; from headrace.training.calibrate import learned; chance = np.random.default_rng(5)\n"
        "margins = chance.normal(size=100_000).astype('float32')\n"
        "happened = (chance.random(100_000) < 1 / (1 + np.exp(-margins))).astype(int)\n"
        "print(learned(margins, happened, method='sigmoid'), hash(learned(margins, happened, method='isotonic')))"
    )
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    told = {
        subprocess.run(
            [sys.executable, "-c", program], check=True, capture_output=True, text=True,
            env={**os.environ, **dict.fromkeys(names, threads), "PYTHONHASHSEED": "1"},
        ).stdout
        for threads in ("1", "4")
    }  # fmt: skip
    assert len(told) == 1
    assert told.pop().startswith("Sigmoid(slope=")
