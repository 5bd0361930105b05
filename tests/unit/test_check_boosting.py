"""What boosting is asked for besides trees, and can't do, is said by `headrace check`, each in one sentence at its line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from headrace.errors import SpecError
from headrace.spec import load
from headrace.spec.model import Model

FLIGHTS = Path(__file__).parents[2] / "conf" / "flights"
OWN = "    objective: binary:logistic\n"
NUMBERS = ("    objective: reg:squarederror\n", "  positive: arr_delay > 15\n", "  value: arr_delay\n")


def declared(folder: Path, more: str, *, numbers: bool = False) -> Path:
    """The flights' pipeline with ``more`` under its model; ``numbers``: one that learns the delay."""
    shutil.copytree(FLIGHTS, folder / "flights")
    file = folder / "flights" / "pipeline.yaml"
    text = file.read_text(encoding="utf-8")
    assert text.count("model:\n") == 1
    text = text.replace("model:\n", f"model:\n{more}")
    if numbers:
        text = text.replace(OWN, NUMBERS[0]).replace(NUMBERS[1], NUMBERS[2])
        text = text[: text.index("  gate:\n")] + "  gate: {}\n" + text[text.index("\nscoring:") :]
    file.write_text(text, encoding="utf-8")
    return file.parent


@pytest.mark.parametrize(
    "more",
    [
        "  calibration: sigmoid\n",
        "  calibration: isotonic\n  calibration_share: 0.2\n",
        "  calibration: sigmoid\n  early_stopping: {share: 0.2}\n",
        "  distributed: {above_rows: 1000000, workers: 8}\n  early_stopping: {}\n",
        "  distributed: {above_rows: 1000000}\n",
        "  device: cuda\n  calibration: isotonic\n",
    ],
)
def test_what_goes_together_is_let_pass(tmp_path: Path, more: str) -> None:
    assert load(declared(tmp_path, more), {}).spec.model is not None


@pytest.mark.parametrize(
    ("more", "numbers", "says"),
    [
        ("  calibration: sigmoid\n", True,
         "calibration is for the probability of a condition, and reg:squarederror learns none; leave it out"),
        ("  calibration: sigmoid\n  continuous: {}\n", False,
         "trees that a continuous training adds make a calibration wrong; remove calibration, or the section continuous"),
        ("  calibration: beta\n", False, "model.calibration: input should be 'sigmoid' or 'isotonic', got 'beta'"),
        ("  calibration_share: 0.2\n", False, "no calibration is declared that a share could tell; leave it out"),
        ("  calibration: sigmoid\n  early_stopping: {}\n  calibration_share: 0.2\n", False,
         "early_stopping.share tells the calibration, too; leave calibration_share out"),
        ("  distributed: {workers: 2}\n", False, "model.distributed lacks the key 'above_rows'"),
        ("  distributed: {above_rows: 9, workers: 0}\n", False, "model.distributed.workers: input should be greater than"),
        ("  distributed: {above_rows: 9}\n  calibration: sigmoid\n", False,
         "a calibration is learned on the driver, without the rows that workers hold; remove calibration, or distributed"),
        ("  distributed: {above_rows: 9}\n  continuous: {}\n", False,
         "a continuous training adds trees on the driver; remove distributed, or the section continuous"),
        ("  device: gpu\n", False, "model.device: input should be 'cpu' or 'cuda', got 'gpu'"),
        ("  device: cuda\n  distributed: {above_rows: 9}\n", False,
         "a graphics card grows the trees of a plain training only; remove device, or the section distributed"),
        ("  device: cuda\n  continuous: {}\n", False,
         "a graphics card grows the trees of a plain training only; remove device, or the section continuous"),
    ],
)  # fmt: skip
def test_what_contradicts_is_refused_at_its_line(tmp_path: Path, more: str, numbers: bool, says: str) -> None:
    with pytest.raises(SpecError) as refused:
        load(declared(tmp_path, more, numbers=numbers), {})
    assert says in str(refused.value)
    assert "pipeline.yaml:" in str(refused.value)


def test_early_stopping_and_calibration_share_their_rows() -> None:
    assert Model.model_validate({"name": "m", "calibration": "sigmoid"}).newest_share == 0.15
    both = Model.model_validate({"name": "m", "calibration": "sigmoid", "early_stopping": {"share": 0.3}})
    assert both.newest_share == 0.3


@pytest.mark.parametrize(
    ("more", "parameter", "says"),
    [
        (
            "  distributed: {above_rows: 9}\n",
            "tree_method: exact",
            "Spark's workers can't train with tree_method: exact",
        ),
        ("  distributed: {above_rows: 9}\n", "booster: dart", "Spark's workers can't train with booster: dart"),
        ("  device: cuda\n", "tree_method: exact", "a graphics card can't train with tree_method: exact"),
    ],
)
def test_parameters_that_only_the_driver_or_the_cpu_knows_are_refused(
    tmp_path: Path, more: str, parameter: str, says: str
) -> None:
    file = declared(tmp_path, more) / "pipeline.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace(OWN, f"{OWN}    {parameter}\n"), encoding="utf-8")
    with pytest.raises(SpecError, match=says):
        load(file.parent, {})
