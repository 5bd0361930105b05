"""`headrace keys`: what it prints, what it refuses, and that it never shows a secret. What needs tables is in tests/stream."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FLIGHTS = Path(__file__).parents[2] / "conf" / "flights"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FLIGHTS, tmp_path / "flights"))


def keys(folder: Path, *arguments: str, ring: str | None = None) -> subprocess.CompletedProcess[str]:
    verb, *rest = arguments
    environment = {"HEADRACE_KEYS": ring or f"{folder}/keys.json", "PATH": "", "PYTHONPATH": ":".join(sys.path)}
    command = [sys.executable, "-m", "headrace.cli", "keys", verb, str(folder), *rest]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environment)


def secrets(folder: Path) -> list[str]:
    return re.findall(r"[0-9a-f]{64}", (folder / "keys.json").read_text())


def test_keys_are_made_listed_rotated_and_never_shown(folder: Path) -> None:
    made = keys(folder, "new")
    assert made.stdout == "pseudonym/aircraft: made version 1\nseal: made version 1\n"
    assert keys(folder, "new").stdout == ""
    rotated = keys(folder, "rotate", "pseudonym/aircraft")
    assert rotated.stdout == "pseudonym/aircraft: version 2 is current\n"
    assert f"headrace keys rewrite {folder}" in rotated.stderr.replace("\n", "")
    listed = keys(folder, "list", "--json")
    told = [json.loads(line) for line in listed.stdout.splitlines()]
    assert [(entry["name"], entry["version"], entry["state"], entry["follows"]) for entry in told] == [
        ("pseudonym/aircraft", 1, "link", None), ("pseudonym/aircraft", 2, "current", 1), ("seal", 1, "current", None),
    ]  # fmt: skip
    table = keys(folder, "list")
    assert [line.split()[:3] for line in table.stdout.splitlines()[1:]] == [
        ["pseudonym/aircraft", "1", "link"], ["pseudonym/aircraft", "2", "current"], ["seal", "1", "current"],
    ]  # fmt: skip
    assert len(secrets(folder)) == 3
    said = "".join(done.stdout + done.stderr for done in (made, rotated, listed, table))
    assert not [secret for secret in secrets(folder) if secret in said]


def test_all_means_the_keys_of_the_file(folder: Path) -> None:
    keys(folder, "new")
    assert (
        keys(folder, "rotate", "--all").stdout
        == "pseudonym/aircraft: version 2 is current\nseal: version 2 is current\n"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["rotate"], 2, "name the keys to rotate, or say --all"),
        (["rotate", "seal", "--all"], 2, "name the keys to rotate, or say --all"),
        (["rotate", "pseudonym/none"], 7, "has no key 'pseudonym/none'"),
        (["retire", "seal", "1"], 7, "version 1 of key 'seal' is the current one; run headrace keys rotate first"),
        (["retire", "seal", "9"], 7, "lacks version 9 of key 'seal'"),
    ],
)
def test_what_is_refused(folder: Path, arguments: list[str], code: int, said: str) -> None:
    keys(folder, "new")
    before = (folder / "keys.json").read_bytes()
    done = keys(folder, *arguments)
    assert done.returncode == code
    assert said in " ".join(done.stderr.replace("│", " ").split())
    assert "Traceback" not in done.stderr
    assert (folder / "keys.json").read_bytes() == before


def test_a_place_that_is_none_is_refused_by_check(folder: Path) -> None:
    for ring, expected in (("env:1", "expected env:NAME"), ("vault:secret", "expected vault:MOUNT/PATH")):
        done = keys(folder, "list", ring=ring)
        assert (done.returncode, expected in done.stderr) == (3, True), done.stderr
