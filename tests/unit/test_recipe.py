"""What a training records, read back; and in which words two trainings differ."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from headrace.errors import ModelError
from headrace.training import registry
from headrace.training.differences import (
    booster_differences,
    linear_differences,
    prediction_difference,
    record_differences,
    row_differences,
)
from headrace.training.environment import Environment, environment
from headrace.training.fit import boosted, settings
from headrace.training.learners.boosting import Boosted
from headrace.training.learners.linear_model import LinearModel
from headrace.training.recipe import Recipe, parsed
from headrace.training.trained import Trained

RUN = "0123456789abcdef" * 2
WHERE = {
    "commit": "a" * 40, "dirty": False, "lock_sha256": None, "packages": {"xgboost": "3.1.0", "numpy": "2.4.6"},
    "python": "CPython 3.11.9", "platform": "Linux x86_64 glibc 2.36",
}  # fmt: skip
WRITTEN = {
    "format": 1, "run_id": RUN, "pipeline": {"name": "rides", "version": "0" * 12, "text": "  pipeline: rides\n"},
    "declared_features": {"requests": "asked", "id": "id", "columns": {"a": "a"}},
    "declared_label": {"stream": "moved", "by": "ride", "positive": "delay > 10"},
    "as_of": "2026-01-01T10:00:00Z", "features": ["a", "b"], "label": "label",
    "split": {"share": 0.2, "cut": "2026-01-01T08:00:00Z", "train_rows": 8, "test_rows": 2},
    "settings": {"eta": 0.1, "max_depth": 2, "seed": 7, "nthread": 1}, "rounds": 3,
    "snapshot": {"path": "/l/s", "version": 0, "content": "a-00-00", "columns": {"id": "00", "a": "01", "b": "02"}},
    "tables": {"asked": {"path": "/l/events/asked", "version": 3, "topic": "asked"}}, "parameters": {},
    "environment": WHERE, "booster_sha256": "00",
}  # fmt: skip


def recipe(**changes: object) -> Recipe:
    return parsed(json.dumps({**WRITTEN, **changes}), run_id=RUN)


def test_a_recipe_is_read_as_it_was_written() -> None:
    assert json.loads(recipe().model_dump_json()).items() >= {**WRITTEN, **_completed()}.items()
    assert recipe().snapshot.rows == 10


def test_the_first_figure_of_a_linear_model_that_differs_is_shown() -> None:
    def model(weight: float, mean: float = 0.0) -> LinearModel:
        column = {"name": "size", "mean": mean, "scale": 1.0, "missing": 0.0}
        output = {"intercept": 0.5, "weights": [weight], "when_missing": [0.0]}
        return LinearModel.model_validate({"format": 1, "kind": "binary", "columns": [column], "outputs": [output]})

    assert not list(linear_differences(model(1.0), model(1.0)))
    (weight,) = linear_differences(model(1.0), model(1.5))
    assert weight.sentence == "the weight of size is the first that differs: 1.0 was registered, 1.5 rebuilt"
    (mean,) = linear_differences(model(1.0), model(1.5, mean=0.25))
    assert mean.sentence == "the mean of size is the first that differs: 0.0 was registered, 0.25 rebuilt"
    apart = prediction_difference(model(1.0), model(2.0), pa.table({"size": [0.0, 1.0]}), features=["size"])
    assert apart.sentence.startswith("on these 2 rows 1 predictions differ, by 0.1")


def test_what_mlflow_says_of_a_learner_is_held_against_the_recipe() -> None:
    own = recipe(
        learner="linear", settings={"objective": "binary:logistic", "regularization": 0.5, "seed": 7}, rounds=0
    )
    said = {"learner": "linear", "seed": "7", "linear.objective": "binary:logistic", "linear.regularization": "0.5"}
    beside = {registry.SHA256: "00", registry.CONTENT: "a-00-00", registry.FEATURES: "a,b", registry.LEARNER: "linear"}
    tags = {registry.CONTENT: "a-00-00"}
    assert not list(record_differences(own, Trained(RUN, tags, said, "rides", 1, beside, "")))
    for params, version, says in [
        ({**said, "linear.regularization": "0.1"}, beside, "regularization is 0.5 in training.json, and 0.1 beside it in MLflow"),
        (said, {**beside, registry.LEARNER: "bands"}, "the learner is linear in training.json, and bands beside it in MLflow"),
        (said, {**beside, registry.LEARNER: "boosting"}, "the learner is linear in training.json, and boosting beside"),
    ]:  # fmt: skip
        (found,) = record_differences(own, Trained(RUN, tags, params, "rides", 1, version, ""))
        assert found.sentence.startswith(says)
    assert recipe().learner == "boosting", "what was recorded before there were others"


def _completed() -> dict[str, object]:
    """What of a section was left to its default."""
    return {
        name: json.loads(recipe().model_dump_json())[name]
        for name in ("declared_features", "declared_label", "environment")
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "is not what a training wrote \\(no JSON\\)"),
        ("[]", "is not what a training wrote"),
        (json.dumps({**WRITTEN, "rounds": "many"}), "is not what a training wrote \\(rounds\\)"),
        (json.dumps({**WRITTEN, "code": "import os"}), "is not what a training wrote \\(code\\)"),
        (json.dumps({**WRITTEN, "format": 2}), "is not what a training wrote \\(format\\)"),
        (json.dumps({**WRITTEN, "run_id": "f" * 32}), "is that of run ffff"),
    ],
)
def test_a_recipe_that_was_changed_is_refused(text: str, says: str) -> None:
    with pytest.raises(ModelError, match=says):
        parsed(text, run_id=RUN)


def test_what_is_installed_is_compared_one_by_one() -> None:
    before = Environment(**WHERE)
    assert before.changes_to(before) == []
    now = Environment(**{**WHERE, "packages": {"xgboost": "3.2.0", "pyspark": "4.1.1"}, "dirty": True})
    assert before.changes_to(now) == [
        "numpy was 2.4.6, and is absent here", "pyspark was absent, and is 4.1.1 here", "xgboost was 3.1.0, and is 3.2.0 here",
        f"the code was {'a' * 16}, and is {'a' * 16} with changes here",
    ]  # fmt: skip
    assert environment().packages["xgboost"] == "3.2.0"


def test_rows_are_compared_by_count_then_by_column() -> None:
    same = {"id": "00", "a": "01", "b": "02"}
    assert not list(row_differences(recipe(), content="a-00-00", columns=same, where="it"))
    fewer = list(row_differences(recipe(), content="9-00-00", columns=same, where="it"))
    assert fewer[0].sentence == "it has 9 rows, and the model was made from 10"
    other = list(row_differences(recipe(), content="a-00-01", columns={**same, "b": "ff", "c": "03"}, where="it"))
    assert [one.sentence for one in other[1:]] == ["values differ in b", "it has a column 'c' that was not recorded"]


def test_the_first_node_that_differs_is_shown() -> None:
    made = np.random.default_rng(7).random((200, 2))
    rows = pa.table({"a": made[:, 0], "b": made[:, 1], "label": (made.sum(axis=1) > 1).astype(int)})

    def booster(rounds: int, **parameters: float):
        declared = settings({"max_depth": 2, **parameters}, seed=7, threads=1)
        return boosted(rows, features=["a", "b"], label="label", settings=declared, rounds=rounds)

    one = booster(3)
    (depth,) = booster_differences(one, booster(3, max_depth=1, eta=0.1))
    assert depth.sentence.startswith("tree 0 is the first that differs, at node 1: a split at ")
    assert " was registered, a leaf of " in depth.sentence
    (more,) = booster_differences(one, booster(4))
    assert more.sentence == "the registered model has 3 trees, the rebuilt one 4"
    apart = prediction_difference(Boosted(one), Boosted(booster(4)), rows, features=["a", "b"])
    assert apart.sentence.startswith("on these 200 rows 200 predictions differ, by 0.")
