"""One step of boosting: earlier trees stay bit for bit, leaves move as far as rows weigh, and what can't grow is refused."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import xgboost as xgb
from pydantic import ValidationError
from sklearn.metrics import log_loss

from headrace.errors import ModelError
from headrace.spec.model import Model
from headrace.training.continuous.boost import grown, loaded, matrix, moved, require_growable
from headrace.training.fit import settings

FEATURES = ("a", "b")
SETTINGS = settings({"max_depth": 3, "subsample": 0.7}, seed=3, threads=1)


def rows(count: int, *, seed: int, turned: bool = False) -> pa.Table:
    chance = np.random.default_rng(seed)
    a, b = chance.normal(size=count), chance.normal(size=count)
    signal = b - a if turned else a + b
    return pa.table({"a": a, "b": b, "label": (signal + chance.normal(size=count) > 0).astype("int32")})


def data(table: pa.Table, *, weight: float = 1.0) -> xgb.DMatrix:
    return matrix(table, features=FEATURES, label="label", weight=np.full(table.num_rows, weight))


def trees(content: bytes) -> list[dict[str, Any]]:
    return json.loads(bytes(loaded(content).save_raw("json")))["learner"]["gradient_booster"]["model"]["trees"]


@pytest.fixture(scope="module")
def begun() -> bytes:
    return grown(None, data(rows(2000, seed=1)), settings=SETTINGS, rounds=30)


def test_a_step_adds_trees_behind_those_that_are_there(begun: bytes) -> None:
    more, other = data(rows(300, seed=2)), data(rows(300, seed=3))
    after = grown(begun, more, settings=SETTINGS, rounds=5)
    assert trees(after)[:30] == trees(begun)
    assert len(trees(after)) == 35
    assert grown(begun, more, settings=SETTINGS, rounds=5) == after
    assert grown(begun, other, settings=SETTINGS, rounds=5) != after
    assert trees(grown(None, more, settings=SETTINGS, rounds=35))[:30] != trees(begun)
    whole = loaded(after).predict(more, iteration_range=(0, 30))
    np.testing.assert_array_equal(whole, loaded(begun).predict(more))


def test_leaves_move_between_what_they_were_and_what_the_rows_alone_ask_for(begun: bytes) -> None:
    few = data(rows(300, seed=2, turned=True))
    after = moved(begun, few, settings=SETTINGS)
    assert moved(begun, few, settings=SETTINGS) == after
    asked = {**SETTINGS, "process_type": "update", "updater": "refresh", "refresh_leaf": True, "verbosity": 0}
    alone = bytes(xgb.train(asked, few, num_boost_round=30, xgb_model=loaded(begun)).save_raw("ubj"))
    stayed, went = 0, 0
    for old, new, far in zip(trees(begun), trees(after), trees(alone), strict=True):
        assert [old[key] for key in ("split_indices", "left_children", "default_left")] == [
            new[key] for key in ("split_indices", "left_children", "default_left")
        ]
        for node, child in enumerate(old["left_children"]):
            here, there, value = (one["split_conditions"][node] for one in (old, far, new))
            if child != -1 or far["sum_hessian"][node] < 1:
                assert value == here
                stayed += 1
            else:
                share = far["sum_hessian"][node] / (far["sum_hessian"][node] + old["sum_hessian"][node])
                assert value == pytest.approx(here + share * (there - here), abs=1e-6)
                went += 1
    assert stayed > 30
    assert went > 30


def test_leaves_that_move_follow_the_world_and_do_not_forget_like_a_refresh(begun: bytes) -> None:
    """In a world that stays, many small steps cost little; in one that turned they lead there."""
    for turned, better in ((False, -0.03), (True, 0.3)):
        tested = rows(4000, seed=9, turned=turned)
        label, content = tested.column("label").to_numpy(), begun
        for seed in range(20):
            content = moved(content, data(rows(200, seed=100 + seed, turned=turned)), settings=SETTINGS)
        before, after = (log_loss(label, loaded(one).predict(data(tested))) for one in (begun, content))
        assert before - after > better


def test_a_heavier_row_pulls_harder(begun: bytes) -> None:
    few = rows(300, seed=2, turned=True)
    light, heavy = (
        loaded(grown(begun, data(few, weight=weight), settings=SETTINGS, rounds=5)) for weight in (1.0, 5.0)
    )
    label = few.column("label").to_numpy()
    assert log_loss(label, heavy.predict(data(few))) < log_loss(label, light.predict(data(few)))


@pytest.mark.parametrize("given", [{"objective": "reg:squarederror"}, {"booster": "dart"}, {"num_parallel_tree": 3}])
def test_what_can_not_grow_is_refused(given: dict[str, Any]) -> None:
    booster = loaded(grown(None, data(rows(200, seed=1)), settings={**SETTINGS, **given}, rounds=2))
    with pytest.raises(ModelError, match="step 1 can't be gone on with"):
        require_growable(booster, what="step 1")
    with pytest.raises(ValidationError, match="continuous training"):
        Model.model_validate({"name": "m", "parameters": given, "continuous": {}})
    assert Model.model_validate({"name": "m", "parameters": given}).continuous is None


def test_a_bound_below_one_step_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"max_trees \(3\) leaves no room for steps of 5 trees"):
        Model.model_validate({"name": "m", "continuous": {"max_trees": 3}})
    assert Model.model_validate({"name": "m", "continuous": {}}).continuous is not None
