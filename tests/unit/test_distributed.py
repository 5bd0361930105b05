"""Training by workers, as far as it needs no Spark: how many, what the driver knows, what a rebuild is held against."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from test_recipe import WHERE, WRITTEN, recipe

from headrace.errors import PrerequisiteError, TrainingError
from headrace.spec.model import Model
from headrace.training.apart import Apart, Seen
from headrace.training.dataset import LABEL
from headrace.training.device import device_settings, graphics_cards, require_cuda, require_device
from headrace.training.differences import apart, beyond
from headrace.training.distributed.slots import as_many_as_fit, require_together
from headrace.training.environment import Environment
from headrace.training.fit import boosted, settings
from headrace.training.learners.boosting import Boosted
from headrace.training.quality import check_trainable, feature_facts
from headrace.training.recipe import TOLERANCE, tolerance_of
from headrace.training.reproduce import Reproduction
from headrace.training.task import task_of

NONE: Any = None


def model(**given: Any) -> Model:
    return Model.model_validate({"name": "m", **given})


def test_no_more_workers_than_slots() -> None:
    said: list[str] = []
    assert as_many_as_fit(2, slots=8, notify=said.append) == 2
    assert as_many_as_fit(None, slots=8, notify=said.append) == 8
    assert said == []
    assert as_many_as_fit(9, slots=8, notify=said.append) == 8
    assert said == ["9 workers are declared, and this Spark has slots for 8: so many train"]


@pytest.mark.parametrize(
    ("slots", "dynamic", "says"),
    [
        (0, False, "no executor with a free slot; start the job with"),
        (4, True, "spark.dynamicAllocation.enabled=false"),
    ],
)
def test_workers_that_would_wait_for_ever_are_refused(slots: int, dynamic: bool, says: str) -> None:
    with pytest.raises(TrainingError, match=says):
        require_together(slots, dynamic=dynamic)
    require_together(1, dynamic=False)


def known(labels: list[Any], **features: Seen) -> Apart:
    example = pa.table({name: [0.5] for name in features})
    return Apart(NONE, 1000, pa.table({LABEL: labels}), features, example, 2, 1)


def test_what_the_driver_knows_of_rows_apart_is_judged_as_the_rows_would_be() -> None:
    test = pa.table(
        {"a": [1.0, 2.0, math.nan, 4.0], "b": [1.0, 1.0, 1.0, 1.0], LABEL: pa.array([0, 1, 0, 1], pa.int32())}
    )
    train = pa.table(
        {"a": [1.0, math.nan, 3.0, math.nan], "b": [2.0, 2.0, 2.0, 2.0], LABEL: pa.array([0, 1, 1, 1], pa.int32())}
    )
    same = known([0, 1], a=Seen(0.5, False, 0), b=Seen(0.0, True, 0))
    outcomes = [test.column(LABEL).to_numpy()]
    facts = feature_facts(train, test, features=("a", "b"), outcomes=outcomes)
    assert feature_facts(same, test, features=("a", "b"), outcomes=outcomes) == facts
    assert [one.missing for one in facts] == [0.5, 0.0]
    check_trainable(same, test, features=("a", "b"), label=LABEL)
    assert task_of("multiclass", known(["x", "y"]), pa.table({LABEL: ["x"]})).classes == ("x", "y")


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (known([1], a=Seen(0, False, 0)), "all 1000 training rows have the outcome 1"),
        (known([0, 1], a=Seen(0, False, 3)), "feature 'a' is infinite in 3 rows"),
    ],
)
def test_rows_apart_that_cant_be_trained_on_are_refused(rows: Apart, says: str) -> None:
    test = pa.table({"a": [1.0, 2.0], LABEL: pa.array([0, 1], pa.int32())})
    with pytest.raises(TrainingError, match=says):
        check_trainable(rows, test, features=("a",), label=LABEL)


def test_numbers_apart_that_are_none_are_refused() -> None:
    with pytest.raises(TrainingError, match="infinite or no number in 1 rows"):
        task_of("regression", known([0.0, 9.0, math.inf]), pa.table({LABEL: [1.0]}))
    with pytest.raises(TrainingError, match="a whole number from 0 to 31"):
        task_of("ranking", known([0.0, 2.5]), pa.table({LABEL: [1.0]}))


def test_a_tolerance_is_recorded_where_bytes_may_differ_and_an_older_recipe_has_none() -> None:
    assert tolerance_of(model(), workers=None) is None
    assert tolerance_of(model(), workers=2) == tolerance_of(model(device="cuda"), workers=None) == TOLERANCE
    assert "tolerance" not in WRITTEN
    assert (recipe().tolerance, recipe().workers, recipe().calibration) == (None, None, None)
    assert recipe(tolerance=1e-4, workers=2).workers == 2


def outcome(**changes: Any) -> Reproduction:
    told: dict[str, Any] = dict.fromkeys(("run_id", "model", "source", "recorded_sha256"), "m/1")
    told |= {"rows": 9, "train_rows": 8, "threads": 1, "partitions": 2, "rebuilt_sha256": "other", "differences": ()}
    return Reproduction(**{**told, **changes})


def test_a_rebuild_within_a_tolerance_is_never_called_byte_for_byte() -> None:
    assert outcome(rebuilt_sha256="m/1").sentence == "m/1 was rebuilt byte for byte"
    within = outcome(tolerance=1e-4, apart=2e-5, workers=2)
    assert within.reproduced
    said = "m/1 was rebuilt within the tolerance of 0.0001 (the largest difference of a prediction is 2e-05)"
    assert within.sentence == said
    assert outcome(tolerance=1e-4, apart=0.0, rebuilt_sha256="m/1").how.startswith("within the tolerance")
    further = outcome(tolerance=1e-4, apart=0.2, differences=tuple(beyond(0.2, tolerance=1e-4, model="m/1")))
    assert not further.reproduced
    assert "beyond the tolerance of 0.0001" in further.sentence
    for unknown in (None, math.nan):
        lost = outcome(tolerance=1e-4, apart=unknown, differences=tuple(beyond(unknown, tolerance=1e-4, model="m/1")))
        assert not lost.reproduced


def test_how_far_predictions_are_apart_is_measured_in_probability_or_in_their_spread() -> None:
    chance = np.random.default_rng(3)
    rows = pa.table({"a": chance.normal(size=500), "b": chance.normal(size=500)})
    for objective, unit in (("binary:logistic", 1.0), ("reg:squarederror", 1000.0)):
        noise = chance.normal(size=500)
        number = unit * (np.asarray(rows["a"]) + noise)
        label = pa.array((number > 0).astype("int32") if objective == "binary:logistic" else number)
        given = settings({"objective": objective}, seed=7, threads=1)
        one, other = (
            Boosted(
                boosted(rows.append_column(LABEL, label), features=("a", "b"), label=LABEL, settings=given, rounds=n)
            )
            for n in (20, 21)
        )
        told = recipe(settings={**given}, features=["a", "b"], environment=Environment(**WHERE).model_dump())
        assert apart(one, one, rows, told) == 0
        assert 1e-4 < apart(one, other, rows, told) < 0.2, "the label's unit does not matter"
        assert math.isnan(apart(one, other, rows.slice(0, 0), told))


def test_a_graphics_card_is_refused_where_xgboost_has_no_cuda() -> None:
    """The installed one is xgboost-cpu, so this is what a user meets."""
    require_device("cpu")
    with pytest.raises(PrerequisiteError) as refused:
        require_device("cuda")
    assert str(refused.value).startswith(
        "model.device is cuda, and the installed xgboost-cpu 3.2.0 was built without CUDA; "
    )
    assert "pip install xgboost==3.2.0" in str(refused.value)


def test_a_graphics_card_is_refused_where_there_is_none() -> None:
    with pytest.raises(PrerequisiteError, match="CUDA finds no graphics card here, so XGBoost would go on by the CPU"):
        require_cuda(built=True, cards=0)
    require_cuda(built=True, cards=1)
    assert graphics_cards() >= 0


def test_only_a_graphics_card_is_told_to_xgboost() -> None:
    assert device_settings("cpu") == {}, "an older recipe and a new one are the same"
    assert device_settings("cuda") == {"device": "cuda"}
