"""Learners in a pipeline file: `headrace check` refuses those that are not there and what they can't do, each at its line."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from own_learner import importable, install

from headrace.errors import SpecError
from headrace.spec import load
from headrace.training.search import search

FLIGHTS = Path(__file__).parents[2] / "conf" / "flights"
TEXT = FLIGHTS.joinpath("pipeline.yaml").read_text(encoding="utf-8")
MODEL = TEXT[TEXT.index("\nmodel:\n") : TEXT.index("  gate:\n")]
REMEDY = "leave it out, or write learner: boosting"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(FLIGHTS, tmp_path / "flights")
    return tmp_path / "flights"


@pytest.fixture
def packages(tmp_path: Path) -> Iterator[Path]:
    with importable(tmp_path / "site"):
        yield tmp_path / "site"


def declared(folder: Path, learner: str, more: str = "", *, published: str = "") -> Path:
    file = folder / "pipeline.yaml"
    model = f"\nmodel:\n  name: flights-late\n  learner: {learner}\n{more}"
    text = TEXT.replace(MODEL, model).replace("\nparameters: #", f"\nparameters:\n  {published} #")
    file.write_text(text, encoding="utf-8")
    return folder


def offer(packages: Path, name: str, *of: str) -> None:
    for package in of:
        install(packages, package=package, version="1.0", module="x", code="raise SystemExit", learner="X", name=name)


def test_a_baseline_takes_its_own_parameters(folder: Path) -> None:
    given = "  parameters: {objective: 'binary:logistic', regularization: 0.5, elastic_net: 0, iterations: 9}\n"
    model = load(declared(folder, "linear", given), {}).spec.model
    assert model is not None
    assert (model.learner, model.kind, model.parameters["iterations"]) == ("linear", "binary", 9)


@pytest.mark.parametrize(
    ("learner", "more", "key", "says"),
    [
        ("linaer", "", "  learner:", "no learner 'linaer' is installed; expected one of boosting, linear"),
        ("linear", "  rounds: 9\n", "  rounds:", f"rounds is the number of trees, and the learner is linear; {REMEDY}"),
        ("linear", "  early_stopping: {}\n", "  early_stopping:", f"early_stopping finds the number of trees, and .*; {REMEDY}"),
        ("linear", "  search: {trials: 3}\n", "  search:", f"search tries parameters of boosting, and .*; {REMEDY}"),
        ("linear", "  continuous: {}\n", "  continuous:", f"continuous adds trees, and the learner is linear; {REMEDY}"),
        ("linear", "  parameters: {max_depth: 3}\n", "  parameters:",
         "'max_depth' is a parameter of boosting; remove it, or write learner: boosting"),
        ("linear", "  parameters: {regularisation: 3}\n", "  parameters:", "no parameter .*; did you mean 'regularization'"),
        ("linear", "  parameters: {nonsense: 3}\n", "  parameters:", "expected one of objective, regularization, elastic_net, "),
        ("linear", "  parameters: {elastic_net: 1.5}\n", "  parameters:", "elastic_net: expected a number from 0 to 1"),
        ("linear", "  parameters: {iterations: 1.5}\n", "  parameters:", "iterations: expected a whole number from 1 to 10,000"),
        ("linear", "  parameters: {regularization: true}\n", "  parameters:", "regularization: expected a number from 0 to"),
        ("linear", "  parameters: {regularization: much}\n", "  parameters:", "regularization: expected a number from 0 to"),
        ("linear", "  parameters: {seed: 3}\n", "  parameters:", "no parameter 'seed'"),
        ("Linear", "", "  learner:", "learner: "),
        ("own", "  parameters: {seed: 3}\n", "  parameters:", "a learner is given model.seed; remove seed"),
        ("linear", "  parameters: {objective: 'rank:ndcg'}\n", "  learner:", "learner linear can't learn rank:ndcg; write learner"),
        ("boosting", "  parameters: {regularization: 1}\n", "  parameters:", "no parameter 'regularization'"),
    ],
)  # fmt: skip
def test_what_a_learner_can_not_do_is_refused_with_a_remedy(
    folder: Path, packages: Path, learner: str, more: str, key: str, says: str
) -> None:
    offer(packages, "own", "own-learner")
    declared(folder, learner, more)
    with pytest.raises(SpecError) as error:
        load(folder, {})
    lines = (folder / "pipeline.yaml").read_text(encoding="utf-8").splitlines()
    model = lines.index("model:")
    line = model + next(number for number, text in enumerate(lines[model:], 1) if text.startswith(key))
    assert re.search(rf"pipeline\.yaml:{line}: .*{says}", str(error.value)), str(error.value)


@pytest.mark.parametrize("key", ["class_weights: true", "hyperparameters: true", "monotonic: {hour: increasing}"])
def test_published_parameters_are_of_boosting(folder: Path, key: str) -> None:
    assert key.partition(":")[0] not in TEXT[TEXT.index("\nparameters:") : TEXT.index("\nmodel:")]
    declared(folder, "linear", published=key)
    with pytest.raises(SpecError, match=rf"{key.partition(':')[0]} \w+ .*, and the learner is linear; {REMEDY}"):
        load(folder, {})


def test_a_search_is_for_boosting(folder: Path) -> None:
    pipeline = load(declared(folder, "linear"), {})
    with pytest.raises(
        SpecError,
        match="headrace search tries parameters of boosting, and the learner is linear; write learner: boosting",
    ):
        search(None, pipeline, tracking=None, broker=None, as_of=datetime(2013, 3, 1, tzinfo=UTC), home=folder)  # pyright: ignore


def test_a_name_must_be_installed_and_is_told_beside_all_others(folder: Path, packages: Path) -> None:
    own = declared(folder, "nearest", "  parameters: {anything: goes}\n")
    with pytest.raises(SpecError, match="no learner 'nearest' is installed; expected one of boosting, linear"):
        load(own, {})
    offer(packages, "nearest", "nearest-trips")
    model = load(own, {}).spec.model  # the class itself is not imported by a check: this one would end the process
    assert model is not None
    assert model.learner == "nearest"
    with pytest.raises(
        SpecError, match=r"'other' is installed; expected one of .*linear, nearest \(of nearest-trips 1\.0\)"
    ):
        load(declared(folder, "other"), {})
    offer(packages, "nearest", "more-trips")
    with pytest.raises(
        SpecError,
        match=r"learner 'nearest' is offered by more-trips 1\.0 and nearest-trips 1\.0; uninstall all but one",
    ):
        load(declared(folder, "nearest"), {})
