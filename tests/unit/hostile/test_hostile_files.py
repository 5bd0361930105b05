"""What strangers write into pipeline files, schemas and suites: refused in one sentence, or nothing happens."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest
from corpus import CASES
from stranger import ENVIRONMENT, LOOT, Case, lay_out, sentences, trap, watched


@pytest.fixture(scope="module", autouse=True)
def _imported() -> None:
    """What the check imports lazily is imported before anything is watched."""
    import pandas  # noqa: F401

    from headrace.quality.catalogue import expectation_types

    expectation_types()


@pytest.mark.parametrize("name", CASES)
def test_refused_in_one_sentence_and_nothing_happens(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    with trap(tmp_path / "outside") as listener:
        folder = tmp_path / "stranger"
        lay_out(case, folder, listener)
        before = sorted(tmp_path.rglob("*"))
        with watched(folder) as seen:
            said = sentences(folder)
        assert seen.deeds == []
        assert not listener.called
        assert sorted(tmp_path.rglob("*")) == before
    assert all(line.isprintable() for line in said), said
    assert LOOT not in "".join(said)
    if case.says is None:
        assert said == []
    else:
        assert any(re.search(case.says, line) for line in said), said


def test_the_watch_sees_what_it_should(tmp_path: Path) -> None:
    with trap(tmp_path / "outside") as listener, watched(tmp_path / "stranger") as seen:
        host, port = listener.address.split(":")
        (tmp_path / "outside" / "loot.txt").read_text()
        (tmp_path / "stranger").mkdir()
        (tmp_path / "stranger" / "x").write_text("")
        subprocess.run(
            [sys.executable, "-c", f"import socket; socket.create_connection(('{host}', {port}))"], check=True
        )
        pickle.loads(pickle.dumps(Case))
        assert listener.called
    heard = "\n".join(seen.deeds)
    for deed in ("loot.txt", "stranger/x w", "os.mkdir", "subprocess.Popen", "pickle.find_class"):
        assert deed in heard, heard


def test_the_folder_without_a_planted_fault_is_right(tmp_path: Path) -> None:
    with trap(tmp_path / "outside") as listener:
        lay_out(Case(says=None), tmp_path / "stranger", listener)
    assert sentences(tmp_path / "stranger") == []


def test_the_command_ends_with_3_and_plain_lines(tmp_path: Path) -> None:
    with trap(tmp_path / "outside") as listener:
        lay_out(CASES["terminal escapes in a path"], tmp_path / "stranger", listener)
    command = [sys.executable, "-m", "headrace.cli", "check", str(tmp_path / "stranger")]
    done = subprocess.run(
        command, env={"PYTHONPATH": ":".join(sys.path), **ENVIRONMENT}, capture_output=True, text=True
    )
    assert done.returncode == 3, done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_there_are_many() -> None:
    assert len(CASES) >= 60
