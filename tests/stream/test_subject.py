"""A person is given all that is held of them, once, in clear where it can be read; and nothing of anybody else."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import run_headrace
from deltalake import DeltaTable
from handed_over import Sent, Where, faults, lines_of, sent_to
from shop import CARD, EMAIL, GONE, HERS, SHE, Shop, headrace

from headrace.errors import StorageError
from headrace.lake.layout import Layout

TOPICS = {"customers": "shop", "outcomes": "shop-outcomes"}
HER_RECORDS = {(TOPICS[stream], offset) for stream, offsets in GONE.items() for offset in offsets}


@pytest.fixture(scope="module")
def given(shopped: Shop, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The folder that a command of its own process made, and how it ended."""
    folder = tmp_path_factory.mktemp("given")
    (folder / "person.txt").write_text(SHE)
    done = run_headrace(
        "subject", str(shopped.folder), "--subject-file", str(folder / "person.txt"), "--export", str(folder / "ada"),
        environment={"HEADRACE_HOME": str(folder / "home")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder / "ada", done


@pytest.fixture(scope="module")
def sent(shopped: Shop) -> dict[Where, Sent]:
    return {where: one for topic in TOPICS.values() for where, one in sent_to(shopped.bootstrap, topic).items()}


@pytest.fixture(scope="module")
def pseudonyms(shopped: Shop) -> dict[str, list[str]]:
    return {
        "email": shopped.pseudonyms(EMAIL, f"canary{HERS}@example.org", 2),
        "card": shopped.pseudonyms(CARD, f"41111111{HERS:08d}", 2),
    }


def test_each_row_of_hers_is_there_once_as_she_sent_it(given, sent, pseudonyms) -> None:
    assert faults(given[0], sent, HER_RECORDS, pseudonyms) == []
    rows = {line["record"]["offset"]: line for line in lines_of(given[0])["events.customers.jsonl"]}
    assert {offset: line["row"]["verdict"] for offset, line in rows.items()} == {
        3: "accepted", 5: "duplicate", 6: "quarantined", 8: "quarantined", 9: "accepted", 11: "quarantined",
    }  # fmt: skip
    assert {rows[offset]["row"]["email"] for offset in (3, 9)} == {*pseudonyms["email"]}, (
        "under both versions of the key"
    )


def test_the_files_are_for_their_owner_only_and_nobody_else_is_in_them(given) -> None:
    folder = given[0]
    modes = {file.name: file.stat().st_mode & 0o777 for file in [folder, *folder.iterdir()]}
    assert modes == {"ada": 0o700, "events.customers.jsonl": 0o600, "events.outcomes.jsonl": 0o600, "index.json": 0o600}
    text = "".join(file.read_text("utf-8") for file in folder.iterdir())
    assert f"Canary{HERS} Lovelace" in text
    assert not [n for n in (0, 1, 2, 4, 5) for form in (f"Canary{n} ", f"canary{n}@", f'"c{n}"') if form in text]


def test_the_index_says_where_it_is_from_and_what_is_not_in_it(given, shopped: Shop) -> None:
    index = json.loads((given[0] / "index.json").read_text())
    files = {about["table"]: about for about in index["files"]}
    for stream, offsets in GONE.items():
        about = files[f"events/{stream}"]
        assert about["records"] == [{"partition": 0, "offsets": sorted(offsets)}]
        assert (about["topic"], about["rows"], about["unopened"]) == (TOPICS[stream], len(offsets), 0)
        assert about["version"] == DeltaTable(str(shopped.table(stream))).version()
        assert about["file"] == f"events.{stream}.jsonl"
    assert files["events/customers"]["protected"]["email"] == "pseudonym"
    assert index["identifiers"] == {"card": 1, "email": 1}
    assert [
        sentence for sentence in index["not_in_it"] if sentence.startswith("topic shop holds the records themselves")
    ]


def test_nothing_of_hers_is_printed(given) -> None:
    said = given[1].stdout + given[1].stderr
    assert "events/customers: 6 rows" in said
    assert "canary" not in said.lower()
    assert f"41111111{HERS:08d}" not in said
    assert "Traceback" not in said


def test_each_opening_is_on_record(given, spark, shopped: Shop) -> None:
    rows = DeltaTable(Layout(str(shopped.lake)).openings).to_pyarrow_table().to_pylist()
    assert {(row["topic"], row["partition"], row["offset"]) for row in rows} == {("shop", 0, at) for at in (6, 8, 11)}


def _without_last(lines: list[dict[str, Any]]) -> None:
    lines.pop()


def _repeated(lines: list[dict[str, Any]]) -> None:
    lines.append(lines[0])


def _of_another(lines: list[dict[str, Any]]) -> None:
    lines[0]["record"]["offset"] = 4


def _other_name(lines: list[dict[str, Any]]) -> None:
    lines[0]["row"]["name"] = "Canary4 Lovelace"


def _other_original(lines: list[dict[str, Any]]) -> None:
    next(line for line in lines if "original" in line)["original"]["value"] += " "


def _other_pseudonym(lines: list[dict[str, Any]]) -> None:
    lines[0]["row"]["email"] = "v1." + "0" * 32


@pytest.mark.parametrize(
    ("plant", "found"),
    [
        (_without_last, ["missing ('shop', 11)"]),
        (_repeated, ["repeated ('shop', 3)"]),
        (_of_another, ["missing ('shop', 3)", "foreign ('shop', 4)", "different ('shop', 4) id"]),
        (_other_name, ["different ('shop', 3) name"]),
        (_other_original, ["different ('shop', 6) original"]),
        (_other_pseudonym, ["different ('shop', 3) email"]),
    ],
)
def test_the_judge_catches_planted_faults(
    given, sent, pseudonyms, tmp_path: Path, plant: Callable[[list[dict[str, Any]]], None], found: list[str]
) -> None:
    shutil.copytree(given[0], tmp_path / "ada")
    file = tmp_path / "ada" / "events.customers.jsonl"
    lines = lines_of(tmp_path / "ada")[file.name]
    plant(lines)
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    judged = faults(tmp_path / "ada", sent, HER_RECORDS, pseudonyms)
    assert judged[: len(found)] == found


def test_a_dry_run_counts_and_opens_nothing(given, spark, shopped: Shop, tmp_path: Path) -> None:
    openings = DeltaTable(Layout(str(shopped.lake)).openings).version()
    told = json.loads(headrace("subject", str(shopped.folder), "--subject", SHE, "--dry-run", "--json"))
    assert told["tables"]["events/customers"]["rows"] == {"accepted": 2, "duplicate": 1, "quarantined": 3}
    assert DeltaTable(Layout(str(shopped.lake)).openings).version() == openings
    assert "rows" not in told


def test_nothing_is_overwritten_and_nobody_leaves_no_folder(given, shopped: Shop, tmp_path: Path) -> None:
    before = {file.name: file.read_bytes() for file in given[0].iterdir()}
    with pytest.raises(StorageError, match="nothing is overwritten"):
        headrace("subject", str(shopped.folder), "--subject", SHE, "--export", str(given[0]))
    assert {file.name: file.read_bytes() for file in given[0].iterdir()} == before
    out = headrace(
        "subject", str(shopped.folder), "--subject", "no.one@example.org", "--export", str(tmp_path / "none")
    )
    assert out.startswith("nothing was found; no folder was made")
    assert list(tmp_path.iterdir()) == []
