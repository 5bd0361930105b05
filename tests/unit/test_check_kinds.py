"""Objective, label and gate that contradict each other are found by `headrace check`, each in one sentence at its line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from headrace.errors import SpecError
from headrace.spec import load

FLIGHTS = Path(__file__).parents[2] / "conf" / "flights"
OWN = "    objective: binary:logistic\n"
GATE = FLIGHTS.joinpath("pipeline.yaml").read_text(encoding="utf-8")
GATE = GATE[GATE.index("  gate:\n") : GATE.index("\nscoring:")]
POSITIVE = "  positive: arr_delay > 15\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(FLIGHTS, tmp_path / "flights")
    return tmp_path / "flights"


def changed(folder: Path, objective: str, label: str, gate: str, more: str = "") -> Path:
    file = folder / "pipeline.yaml"
    text = file.read_text(encoding="utf-8")
    for old, new in ((OWN, f"    objective: {objective}\n{more}"), (POSITIVE, label), (GATE, f"  gate: {gate}\n")):
        assert text.count(old) == 1
        text = text.replace(old, new)
    file.write_text(text, encoding="utf-8")
    return folder


VALUE, CLASS = "  value: arr_delay\n", "  value: kind\n"
RANKED = "  value: arr_delay\n  group: origin\n"


@pytest.mark.parametrize(
    ("objective", "label", "metric"),
    [
        ("binary:logistic", POSITIVE, "auc"),
        ("reg:squarederror", VALUE, "rmse"),
        ("multi:softprob", CLASS, "macro_auc"),
        ("rank:ndcg", "  value: arr_delay\n  group: flight_id\n", "ndcg_10"),
    ],
)
def test_each_kind_has_a_metric_that_decides(folder: Path, objective: str, label: str, metric: str) -> None:
    model = load(changed(folder, objective, label, "{}"), {}).spec.model
    assert model is not None
    assert model.gate.metric == metric


@pytest.mark.parametrize(
    ("objective", "label", "gate", "more", "key", "says"),
    [
        ("binary:logistic", POSITIVE + VALUE, "{}", "", "value:", "positive and value are two labels; leave one out"),
        ("binary:logistic", "", "{}", "", "label:", "a label needs positive (an SQL condition), or value"),
        ("binary:logistic", VALUE, "{}", "", "value:", "binary:logistic learns a condition; write positive, or set"),
        ("reg:squarederror", POSITIVE, "{}", "", "positive:", "reg:squarederror learns a value, not a condition"),
        ("rank:ndcg", VALUE, "{}", "", "label:", "rank:ndcg ranks within groups; write group"),
        ("rank:ndcg", "  value: arr_delay\n  group: nowhere\n", "{}", "", "group:", "no column 'nowhere' in stream"),
        ("reg:squarederror", VALUE + "  group: kind\n", "{}", "", "group:", "reg:squarederror knows no groups; leave"),
        ("reg:squarederror", VALUE, "{metric: auc}", "", "  gate:",
         "auc is no metric of a regression model (reg:squarederror); expected one of rmse, mae, r2"),
        ("multi:softprob", CLASS, "{floors: {auc: 0.7}}", "", "  gate:", "auc is no metric of a multiclass model"),
        ("binary:logistic", POSITIVE, "{floors: {rmse: 1}}", "", "  gate:", "rmse is no metric of a binary model"),
        ("reg:squarederror", VALUE, "{leakage_ceiling: 0.8}", "", "  gate:", "leakage_ceiling needs probabilities"),
        ("reg:squarederror", VALUE, "{calibration_ceiling: 0.1}", "", "  gate:", "calibration_ceiling needs probabilities"),
        ("rank:ndcg", "  value: arr_delay\n  group: kind\n", "{slices: {d: {feature: distance, bands: [9]}}}", "", "  gate:",
         "slices are of rows, and a ranking is judged by whole groups; leave them out"),
        ("reg:squarederror", VALUE, "{}", "    scale_pos_weight: 3\n", "    scale_pos_weight",
         "scale_pos_weight weighs positive rows"),
        ("reg:sqarederror", VALUE, "{}", "", "",
         "objective: expected one of binary:logistic, reg:squarederror, multi:softprob, rank:ndcg"),
    ],
)  # fmt: skip
def test_a_contradiction_is_one_sentence_at_its_line(
    folder: Path, objective: str, label: str, gate: str, more: str, key: str, says: str
) -> None:
    with pytest.raises(SpecError) as error:
        load(changed(folder, objective, label, gate, more), {})
    lines = (folder / "pipeline.yaml").read_text(encoding="utf-8").splitlines()
    (problem,) = str(error.value).splitlines()
    assert says in problem
    if key:
        assert key in lines[int(problem.split(":")[1]) - 1]
