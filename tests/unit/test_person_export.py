"""The folder that a person's data is handed over in, and the opening of what is in it."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from customers import write_customers
from pyspark.sql import Row

from headrace.erasure.lines import _told
from headrace.erasure.private_folder import private_folder, write_private
from headrace.erasure.scan import SearchedTable
from headrace.errors import StorageError
from headrace.privacy.encrypt import seal_value
from headrace.privacy.ring import KeyRing


def modes(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_mode & 0o777 for file in [folder, *folder.iterdir()]}


def test_a_folder_appears_whole_and_for_its_owner_only(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with private_folder(tmp_path / "ada") as made:
            write_private(made / "rows.jsonl", ["1", "ü"])
            assert not (tmp_path / "ada").exists()
            assert made.stat().st_mode & 0o777 == 0o700
    finally:
        os.umask(before)
    assert (tmp_path / "ada" / "rows.jsonl").read_bytes() == "1\nü\n".encode()
    assert modes(tmp_path / "ada") == {"ada": 0o700, "rows.jsonl": 0o600}
    assert [path.name for path in tmp_path.iterdir()] == ["ada"]


@pytest.mark.parametrize("end", [ValueError, KeyboardInterrupt])
def test_what_breaks_off_leaves_nothing(tmp_path: Path, end: type[BaseException]) -> None:
    def break_off() -> None:
        with private_folder(tmp_path / "ada") as made:
            write_private(made / "rows.jsonl", ["1"])
            raise end

    with pytest.raises(end):
        break_off()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("there", ["file", "folder", "full folder", "broken link", "no parent"])
def test_nothing_is_overwritten(tmp_path: Path, there: str) -> None:
    path = tmp_path / "absent" / "ada" if there == "no parent" else tmp_path / "ada"
    if there == "file":
        path.write_text("x")
    elif there.endswith("folder"):
        path.mkdir()
        if there == "full folder":
            (path / "x").write_text("x")
    elif there == "broken link":
        path.symlink_to("nowhere")
    with pytest.raises(StorageError, match=r"exist yet|make it first"), private_folder(path):
        raise AssertionError("it began")


def test_what_comes_meanwhile_is_not_overwritten_either(tmp_path: Path) -> None:
    def meet_another() -> None:
        with private_folder(tmp_path / "ada") as made:
            write_private(made / "rows.jsonl", ["1"])
            (tmp_path / "ada").mkdir()
            (tmp_path / "ada" / "mine").write_text("x")

    with pytest.raises(StorageError, match="can't be written"):
        meet_another()
    assert [path.name for path in tmp_path.rglob("*")] == ["ada", "mine"]


def test_a_value_that_does_not_open_is_named_and_the_others_are_in_clear(tmp_path: Path) -> None:
    protect = {"name": {"encrypt": "names"}, "home.street": {"encrypt": "streets"}, "contacts[].ip": {"encrypt": "ips"}}
    pipeline = write_customers(
        tmp_path, bootstrap="localhost:1", topic="t", protect=protect, subject={"email": "email"}
    )
    table = SearchedTable("events/customers", "", pipeline.spec.streams["customers"], ())
    ring = KeyRing("ring", {}).with_key("column/names").with_key("column/streets").with_key("column/ips")

    def sealed(text: str, path: str, key: str, offset: int = 7) -> str:
        secret = AESGCM(ring.keys[f"column/{key}"][1])
        return base64.b64encode(seal_value(secret, 1, text, f"t/0/{offset}/{path}".encode())).decode()

    columns = {
        "id": "c1",
        "name": sealed("Ada", "name", "names"),
        "home": {"street": sealed("A1", "home.street", "streets", offset=8), "lat": 1.5},  # another row's
        "contacts": [{"ip": sealed("::1", "contacts[].ip", "ips")}, {"ip": None}, None],
    }
    row = Row(line=json.dumps(columns), payload=b"too short", kafka_partition=0, kafka_offset=7)
    told = _told(row, table, ring=ring)
    assert told["record"] == {"topic": "t", "partition": 0, "offset": 7}
    assert told["row"] == {
        "id": "c1", "name": "Ada", "home": {"street": None, "lat": 1.5}, "contacts": [{"ip": "::1"}, {"ip": None}, None],
    }  # fmt: skip
    assert told["original"] is None
    assert told["unopened"] == ["home.street", "original"]
