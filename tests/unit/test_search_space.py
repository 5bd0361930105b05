"""The declared search: what may stand in it, what a study is called, and which parameters a trial is given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from headrace.errors import StorageError, TrainingError
from headrace.spec.model import Model
from headrace.spec.search import USUAL
from headrace.training.study import ask, finished, open_study, space_of, study_name


def model(**search: Any) -> Model:
    return Model.model_validate({"name": "m", "search": search})


def test_a_space_is_written_in_three_ways() -> None:
    space = model(space={"max_depth": [3, 8], "eta": {"log": [0.01, 0.3]}, "grow_policy": {"choice": ["a", "b"]}})
    assert space_of(space)["max_depth"] == (3, 8)
    assert all(isinstance(bound, int) for bound in space_of(space)["max_depth"])


def test_where_no_space_is_declared_there_is_a_usual_one_under_the_declared_names() -> None:
    assert space_of(model()) == USUAL
    renamed = Model.model_validate({"name": "m", "parameters": {"learning_rate": 0.1, "reg_lambda": 1}})
    assert set(space_of(renamed)) == {*USUAL, "learning_rate", "reg_lambda"} - {"eta", "lambda"}


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ({"max_dept": [3, 8]}, "no parameter 'max_dept'; did you mean 'max_depth'?"),
        ({"max_depth": [8, 3]}, "max_depth: 8 is not below 3; write the lower bound first"),
        ({"max_depth": [3, 3]}, "3 is not below 3"),
        ({"max_depth": [3.0, 8.0]}, "max_depth: takes whole numbers only"),
        ({"eta": {"log": [0, 0.3]}}, "eta: a logarithmic range begins above 0, not at 0"),
        ({"eta": [0.1]}, r"eta: expected \[LOW, HIGH\], {log: \[LOW, HIGH\]} or {choice: \[...\]}"),
        ({"eta": {"log": [0.1, 0.2], "step": 1}}, r"eta: expected \[LOW, HIGH\]"),
        ({"eta": "0.1"}, r"eta: expected \[LOW, HIGH\]"),
        ({"eta": [True, False]}, r"eta: expected \[LOW, HIGH\]"),
        ({"eta": {"choice": []}}, r"eta: expected \[LOW, HIGH\]"),
        ({"eta": [float("nan"), 1]}, r"eta: expected \[LOW, HIGH\]"),
        ({"objective": {"choice": ["reg:squarederror"]}}, "'objective' says what is learned; set it under parameters"),
        ({"eta": [0.1, 0.2], "learning_rate": [0.1, 0.2]}, "are one parameter; write one of the names"),
    ],
)
def test_a_space_that_is_wrong_is_one_sentence(space: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said) as caught:
        model(space=space)
    assert caught.value.error_count() == 1


def test_a_parameter_under_two_names_is_refused() -> None:
    with pytest.raises(ValidationError, match="'eta' and 'learning_rate' are one parameter; write one of the names"):
        Model.model_validate(
            {"name": "m", "parameters": {"learning_rate": 0.1}, "search": {"space": {"eta": [0.1, 0.2]}}}
        )


@pytest.mark.parametrize("storage", ["postgresql://db/x?sslmode=off", "oracle://db/x", "/tmp/x.db", "redis://db"])
def test_a_storage_that_is_no_plain_database_is_refused(storage: str) -> None:
    with pytest.raises(ValidationError, match="expected 'embedded', or a URI of sqlite, postgresql or mysql without"):
        model(storage=storage)


def named(content: str = "1-2-3", features: tuple[str, ...] = ("a", "b"), **search: Any) -> str:
    return study_name("p", content=content, features=features, model=model(**search))


def test_a_study_is_named_by_its_rows_and_its_space() -> None:
    assert named() == named(trials=99), "more trials go on with the same study"
    others = [
        named("1-2-4"),
        named(features=("a", "c")),
        named(folds=4),
        named(patience=9),
        named(space={"max_depth": [3, 8]}),
        named(space={"max_depth": [3, 9]}),
        named(space={"eta": [0.1, 0.2]}),
        named(space={"eta": {"log": [0.1, 0.2]}}),
    ]
    assert len({named(), *others}) == len(others) + 1


SPACE = {"max_depth": [3, 8], "eta": {"log": [0.01, 0.3]}, "subsample": [0.5, 1.0], "max_bin": {"choice": [64, 256]}}


def drawn(home: Path, *, trials: int, seed: int = 7, killed_at: int | None = None) -> list[dict[str, Any]]:
    """The parameters of each finished trial, of which the deepest tree with the smallest eta is best."""
    declared = model(space=SPACE)
    with open_study(declared.search, name="s", home=home, metric="auc") as study:
        while len(finished(study)) < trials:
            trial, chosen = ask(study, space=space_of(declared), seed=seed)
            if len(finished(study)) == killed_at:
                break  # and leaves the trial as a killed process does: running for ever
            study.tell(trial, chosen["max_depth"] - chosen["eta"])
        return [trial.params for trial in finished(study)]


def test_the_same_seed_draws_the_same_trials_also_where_a_search_was_killed(tmp_path: Path) -> None:
    straight = drawn(tmp_path / "a", trials=14)
    assert len(drawn(tmp_path / "b", trials=14, killed_at=12)) == 12
    assert drawn(tmp_path / "b", trials=14) == straight, "two of them are drawn by what the first 12 taught"
    assert drawn(tmp_path / "c", trials=14, seed=8) != straight
    for parameters in straight:
        assert 3 <= parameters["max_depth"] <= 8
        assert 0.01 <= parameters["eta"] <= 0.3
        assert parameters["max_bin"] in (64, 256)


def test_two_searches_of_one_study_do_not_mix(tmp_path: Path) -> None:
    with (
        open_study(model().search, name="s", home=tmp_path, metric="auc"),
        pytest.raises(TrainingError, match="another search works on the study s; wait for it, or stop it"),
        open_study(model().search, name="s", home=tmp_path, metric="auc"),
    ):
        pass


def test_a_database_that_does_not_answer_is_told_without_the_log_in(tmp_path: Path) -> None:
    search = model(storage="sqlite:///absent-folder/of/x.db").search
    with (
        pytest.raises(
            StorageError, match=r"model\.search\.storage: sqlite:///absent-folder/of/x\.db can't be used"
        ) as told,
        open_study(search, name="s", home=tmp_path, metric="auc"),
    ):
        pass
    secret = model(storage="postgresql://tuner:hunter2@localhost:1/x").search
    with pytest.raises(StorageError) as told, open_study(secret, name="s", home=tmp_path, metric="auc"):
        pass
    assert "hunter2" not in str(told.value)
    assert "tuner" not in str(told.value)


def test_a_metric_where_less_is_better_is_minimized(tmp_path: Path) -> None:
    with open_study(model().search, name="s", home=tmp_path, metric="brier") as study:
        assert study.direction.name == "MINIMIZE"
