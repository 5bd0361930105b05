"""Learners without Spark: the file of a linear model, where a class of one's own is found, and what becomes of its mistakes."""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from own_learner import example, importable, install

from headrace.errors import LearnerError, ModelError
from headrace.spec.model import Model
from headrace.training.environment import environment
from headrace.training.learn import learner_of
from headrace.training.learners.boosting import Boosting
from headrace.training.learners.checked import fitted_by, importance_of, opened
from headrace.training.learners.found import Found, find
from headrace.training.learners.linear import Linear
from headrace.training.learners.linear_model import LinearModel
from headrace.training.task import BINARY, Task

CLASSES = Task("multiclass", ("a", "b", "c"))


def linear(kind: str = "binary", outputs: int = 1) -> dict[str, Any]:
    columns = [
        {"name": "size", "mean": 10.0, "scale": 2.0, "missing": 0.25},
        {"name": "speed", "mean": 0.0, "scale": 1.0, "missing": 0.0},
    ]
    each = [{"intercept": 0.5 + k, "weights": [1.0, -2.0], "when_missing": [3.0, 0.0]} for k in range(outputs)]
    return {"format": 1, "kind": kind, "columns": columns, "outputs": each}


def read(told: Any) -> LinearModel:
    return LinearModel.read(json.dumps(told).encode())


ROWS = pa.table({"size": pa.array([12.0, None, math.inf, 8.0]), "speed": pa.array([1.0, 0.0, 0.0, None])})
SUMS = [0.5 + 1 - 2, 0.5 + 3, 0.5 + 3, 0.5 - 1]
"""By hand. An infinite value is a missing one; what was never missing in training counts as its mean."""


def test_a_linear_model_adds_up_what_its_file_says() -> None:
    features = ("size", "speed")
    assert read(linear("regression")).predict(ROWS, features=features).tolist() == SUMS
    told = read(linear()).predict(ROWS, features=features)
    assert told.tolist() == pytest.approx([1 / (1 + math.exp(-one)) for one in SUMS])
    several = read(linear("multiclass", 3)).predict(ROWS, features=features)
    assert several.shape == (4, 3)
    assert several[1].tolist() == pytest.approx([math.exp(k) / sum(map(math.exp, range(3))) for k in range(3)])
    far = pa.table({"size": [1e300, -1e300], "speed": [0.0, 0.0]})
    assert read(linear()).predict(far, features=features).tolist() == pytest.approx([1, 0], abs=1e-300)
    assert np.isfinite(read(linear("multiclass", 3)).predict(far, features=features)).all()


def test_an_answer_does_not_depend_on_the_rows_beside_it() -> None:
    chance = np.random.default_rng(3)
    rows, model = pa.table({"size": chance.normal(size=501), "speed": chance.normal(size=501)}), read(linear())
    together = model.predict(rows, features=("size", "speed"))
    alone = [model.predict(rows.slice(k, 1), features=("size", "speed"))[0] for k in range(501)]
    assert together.tolist() == alone


def test_a_linear_model_is_read_as_it_was_written() -> None:
    model = read(
        {**linear(), "outputs": [{"intercept": 0.1 + 0.2, "weights": [1e-300, 1 / 3], "when_missing": [0.0, -0.0]}]}
    )
    assert Linear().load(model.to_bytes()) == model
    assert Linear().load(model.to_bytes()).to_bytes() == model.to_bytes()


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2}, {"kind": "ranking"}, {"kind": "multiclass"}, {"outputs": []}, {"columns": []}, {"code": "import os"},
        {"outputs": linear(outputs=2)["outputs"]},
        {"outputs": [{"intercept": math.nan, "weights": [1, 1], "when_missing": [1, 1]}]},
        {"outputs": [{"intercept": 0, "weights": [1], "when_missing": [1, 1]}]},
        {"columns": [{"name": "size", "mean": 0, "scale": 0, "missing": 0}]},
    ],
)  # fmt: skip
def test_a_file_that_is_no_linear_model_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="is not what a training wrote; train anew"):
        read({**linear(), **change})


def test_other_features_are_refused() -> None:
    for features in (("speed", "size"), ("size",)):
        with pytest.raises(ModelError, match="asked with other features"):
            read(linear()).predict(ROWS, features=features)


def test_weights_are_shared_out_by_feature() -> None:
    shares = importance_of(read(linear()))
    size = 1 + 3 * math.sqrt(0.25 * 0.75)
    assert list(shares) == ["size", "speed"]
    assert shares == pytest.approx({"size": size / (size + 2), "speed": 2 / (size + 2)})


# A class of one's own


@pytest.fixture
def packages(tmp_path: Path) -> Iterator[Path]:
    with importable(tmp_path / "site", "bands"):
        yield tmp_path / "site"


def offer(packages: Path, code: str, *, name: str = "bands", package: str = "trip-bands", **other: str) -> Found:
    given = {"module": "bands", "learner": "Bands", "version": "1.0", **other}
    install(packages, package=package, code=code, name=name, **given)  # pyright: ignore
    return find(name)


def changed(old: str, new: str) -> str:
    assert old in example()
    return example().replace(old, new)


CHANCE = np.random.default_rng(4)
TABLE = pa.table(
    {
        "id": [f"t{k}" for k in range(80)],
        "size": CHANCE.normal(size=80),
        "label": pa.array(CHANCE.integers(0, 2, 80), pa.int32()),
    }
)


def fitted(found: Found, task: Task = BINARY, **parameters: Any) -> Any:
    given = {"feature": "size", **found.learner.defaults, **parameters}  # pyright: ignore
    return fitted_by(found, TABLE, features=("size",), task=task, parameters=given, seed=1, spark=None)  # pyright: ignore


def test_the_example_of_the_guide_is_found_by_its_entry_point(packages: Path) -> None:
    found = offer(packages, example())
    assert (found.package, found.of) == (("trip-bands", "1.0"), "learner 'bands' (of trip-bands 1.0)")
    model = fitted(found, bands=2)
    low, high = TABLE["size"].to_numpy() < np.median(TABLE["size"]), TABLE["label"].to_numpy()
    told = model.predict(TABLE, features=("size",))
    assert told.tolist() == pytest.approx(np.where(low, high[low].mean(), high[~low].mean()))
    assert opened(found, model.to_bytes(), task=BINARY).predict(TABLE, features=("size",)).tolist() == told.tolist()
    assert importance_of(model) == {"size": 1.0}
    where = environment(found)
    assert where.packages["trip-bands"] == "1.0"
    newer = environment(offer(packages, example() + "\n", version="2.0"))
    assert [one.partition(" was ")[0] for one in where.changes_to(newer)] == ["trip-bands", "the learner's code"]


def test_built_in_learners_can_not_be_replaced(packages: Path) -> None:
    for name, own in (("boosting", Boosting), ("linear", Linear)):
        assert type(offer(packages, example(), name=name).learner) is own


def test_only_one_installed_package_may_offer_a_name(packages: Path) -> None:
    with pytest.raises(
        LearnerError, match=r"^no learner 'bands' is installed here; expected one of boosting, linear; install"
    ):
        find("bands")
    for name in ("os:system", "../bands", "bands\x1b[2J"):
        with pytest.raises(LearnerError, match="is installed here"):
            find(name)
    offer(packages, example())
    with pytest.raises(LearnerError, match=r"offered by more-bands 1\.0 and trip-bands 1\.0; uninstall all but one"):
        offer(packages, example(), package="more-bands")


def test_an_entry_point_of_another_group_is_none(packages: Path) -> None:
    with pytest.raises(LearnerError, match="no learner 'bands' is installed here"):
        offer(packages, example(), group="other.learners")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("class Bands", "class Other", r"bands:Bands can't be made \(AttributeError\); it must be a class that is made without"),
        ("import json", "import absent", r"can't be made \(ModuleNotFoundError\)"),
        ("    defaults", "    def __init__(self, secret):\n        pass\n\n    defaults", r"can't be made \(TypeError\)"),
        ("def load", "def lead", "has no method load; docs/training.md shows what a learner needs"),
        ("def fit", "def fat", "has no method fit"),
        ('{"binary", "regression"}', '{"clusters"}', "must say what it can learn: kinds, a set of binary, regression, "),
        ('"bands.json"', '"bands.pkl"', "must name its models' file, such as model.json"),
        ('"bands.json"', '"../bands.json"', "must name its models' file, such as model.json"),
        ('"bands.json"', '"MLmodel"', "must name its models' file, such as model.json"),
    ],
)  # fmt: skip
def test_a_class_that_is_no_learner_is_told_so(packages: Path, old: str, new: str, says: str) -> None:
    with pytest.raises(LearnerError, match=rf"^learner 'bands' \(of trip-bands 1\.0\):? .*{says}") as error:
        offer(packages, changed(old, new))
    assert error.value.exit_code == 20


SECRET = "4711-0815"
RAISES = f"raise ValueError('{SECRET}')"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("        known =", f"        {RAISES}\n        known =", r"raised ValueError at bands\.py, line 14, while it was fitted"),
        ("rows[feature]", "rows['id']", r"raised KeyError at bands\.py, line 13, while it was fitted"),
        ("        return json.dumps(", f"        {RAISES}\n        return json.dumps(", "while it wrote its model"),
        ("        return Model(**json", f"        {RAISES}\n        return Model(**json", "while it read its model"),
        ("json.dumps(vars(self)).encode()", "vars(self)", "to_bytes gave no bytes"),
        ("json.dumps(vars(self)).encode()", "b''", "to_bytes gave no bytes"),
        ("json.dumps(vars(self)).encode()", "__import__('pickle').dumps(vars(self))", "its model is a pickle, which runs code"),
        ("json.dumps(vars(self)).encode()", "__import__('pickle').dumps(vars(self), protocol=0)", "its model is a pickle"),
        ("def to_bytes", "def as_bytes", "its model has no method to_bytes"),
        ("def predict", "def answer", "its model has no method predict"),
    ],
)  # fmt: skip
def test_what_a_class_does_wrong_in_a_fit_is_one_sentence_without_values(
    packages: Path, old: str, new: str, says: str
) -> None:
    found = offer(packages, changed(old, new))
    with pytest.raises(LearnerError, match=says) as error:
        fitted(found)
    assert SECRET not in str(error.value)
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__ or error.value.__context__ is None, (
        "a worker's trace would show what was raised"
    )


@pytest.mark.parametrize(
    ("task", "answer", "says"),
    [
        (BINARY, RAISES, r"raised ValueError at bands\.py, line \d+, while it predicted"),
        (BINARY, "return np.full(rows.num_rows, np.nan)", "answered 80 of 80 rows with NaN or infinity"),
        (BINARY, "return np.full(rows.num_rows, 1.5)", "answered with what is no probability; a binary model answers from 0 to 1"),
        (BINARY, "return np.zeros((rows.num_rows, 2))", r"an array of shape \(80, 2\); a binary model answers with \(80,\)"),
        (BINARY, "return ['x'] * rows.num_rows", "raised ValueError"),
        (Task("regression"), "return np.full(rows.num_rows, np.inf)", "NaN or infinity"),
        (CLASSES, "return np.zeros(rows.num_rows)", r"a multiclass model answers with \(80, 3\)"),
        (CLASSES, "return np.full((rows.num_rows, 3), 0.5)", "don't sum to 1 over the classes"),
    ],
)  # fmt: skip
def test_answers_that_are_none_are_one_sentence_without_values(
    packages: Path, task: Task, answer: str, says: str
) -> None:
    model = fitted(
        offer(packages, changed("        values = rows[self.feature].to_numpy()\n", f"        {answer}\n")), task
    )
    with pytest.raises(LearnerError, match=says) as error:
        model.predict(TABLE, features=("size",))
    assert SECRET not in str(error.value)


def test_a_class_sees_no_column_that_is_no_feature(packages: Path) -> None:
    names = "        assert rows.column_names == ['size', 'label'], rows.column_names\n        known ="
    fitted(offer(packages, changed("        known =", names)))


def test_a_sentence_of_the_class_itself_is_told(packages: Path) -> None:
    own = "from headrace.errors import LearnerError\n        raise LearnerError('bands: give it 2 bands or more')"
    with pytest.raises(LearnerError, match=r"^bands: give it 2 bands or more$"):
        fitted(offer(packages, changed("        known =", f"        {own}\n        known =")))


def test_a_pickle_in_the_place_of_the_registered_file_is_not_read(packages: Path) -> None:
    found = offer(packages, example())
    with pytest.raises(LearnerError, match="its model is a pickle"):
        opened(found, pickle.dumps({"feature": "size"}), task=BINARY)


def test_a_kind_that_a_class_can_not_learn_is_refused_before_rows_are_read(packages: Path) -> None:
    offer(packages, example())
    several = Model.model_validate({"name": "m", "learner": "bands", "parameters": {"objective": "multi:softprob"}})
    with pytest.raises(
        LearnerError, match=r"can't learn a multiclass model, only binary, regression; correct model\.parameters"
    ):
        learner_of(several)
    assert learner_of(Model.model_validate({"name": "m", "learner": "bands"})).name == "bands"


def test_a_file_that_is_no_booster_is_refused_and_ends_no_process() -> None:
    for content in (b"", b"no UBJSON"):
        with pytest.raises(ModelError, match="empty or no UBJSON"):
            Boosting().load(content)
