"""The notebooks run from top to bottom on a lake, as in Jupyter, and hold no logic of their own."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path

import nbformat
import pytest
from deltalake import DeltaTable
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
LOGIC = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.Lambda,
    ast.For,
    ast.While,
    ast.Try,
    ast.comprehension,
)


def read(file: Path) -> nbformat.NotebookNode:
    return nbformat.read(file, as_version=4)


def code(notebook: nbformat.NotebookNode) -> str:
    return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")


def execute(file: Path, lake: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> nbformat.NotebookNode:
    for name, value in lake.items():
        monkeypatch.setenv(name, value)
    settings = {"timeout": 240, "kernel_name": "python3", "resources": {"metadata": {"path": str(file.parent)}}}
    return NotebookClient(read(file), **settings).execute()


def shown(notebook: nbformat.NotebookNode, *, after: str, kind: str = "text/plain") -> str:
    """What the cell that contains ``after`` shows."""
    cell = next(cell for cell in notebook.cells if cell.cell_type == "code" and after in cell.source)
    return "\n".join(output.data[kind] for output in cell.outputs if kind in output.get("data", {}))


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_a_notebook_is_committed_without_outputs_and_without_logic(file: Path) -> None:
    notebook = read(file)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.source for cell in cells if cell.outputs or cell.execution_count is not None] == []
    tree = ast.walk(ast.parse(code(notebook)))
    assert [ast.unparse(node) for node in tree if isinstance(node, LOGIC)] == []


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_a_notebook_uses_headrace_by_its_front_door_only(file: Path) -> None:
    imports = [node for node in ast.walk(ast.parse(code(read(file)))) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert {ast.unparse(node) for node in imports} == {"import os", "from pathlib import Path", "import headrace"}


def test_the_lake_notebook_shows_commits_quarantine_and_one_records_way(
    flights_lake: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = execute(NOTEBOOKS[0], flights_lake, monkeypatch)
    events = f"{flights_lake['HEADRACE_LAKE']}/events"
    held = [
        rule
        for stream in ("upcoming", "movements", "weather")
        for rules in DeltaTable(f"{events}/{stream}").to_pandas(columns=["failed_rules"])["failed_rules"]
        for rule in rules
    ]
    assert held, "the lake of this test must hold rows that failed a rule"
    table = shown(done, after="rules = bench.rules()")
    for rule in sorted(set(held)):
        assert rule in table
    assert shown(done, after="barh", kind="image/png")
    assert "verdict='accepted'" in shown(done, after="bench.record(")
    assert "probability" in shown(done, after="bench.predictions()")


def test_the_training_notebook_shows_runs_the_model_and_its_rows(
    flights_lake: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = execute(NOTEBOOKS[1], flights_lake, monkeypatch)
    assert "passed" in shown(done, after="runs = bench.runs()")
    name, version, run_id = ast.literal_eval(shown(done, after="model = bench.model()"))
    assert (name, version >= 1) == ("flights-late", True)
    snapshot = DeltaTable(f"{flights_lake['HEADRACE_LAKE']}/snapshots/{run_id}")
    assert str(snapshot.to_pyarrow_table(columns=["id"]).num_rows) in shown(done, after="rows = bench.training_rows")
    assert shown(done, after="bench.importance().head(15)", kind="image/png")
    assert shown(done, after="sample[strongest].hist", kind="image/png")
