"""The key ring: who may read it, what it shows, and what a damaged one says."""

from __future__ import annotations

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from headrace.errors import KeyRingError
from headrace.privacy.keys import SEAL, ensure_keys, open_ring, pseudonym_key

NAME = pseudonym_key("aircraft")


@pytest.fixture
def ring(tmp_path: Path) -> Path:
    path = tmp_path / "keys" / "ring.json"
    ensure_keys(path, [SEAL, NAME])
    return path


def one_sentence(error: pytest.ExceptionInfo[KeyRingError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    assert error.value.exit_code == 7
    assert error.value.__cause__ is None
    return text


def test_a_new_ring_is_readable_by_its_owner_only(ring: Path) -> None:
    assert stat.S_IMODE(ring.stat().st_mode) == 0o600
    assert [entry.name for entry in ring.parent.iterdir() if entry.suffix == ".tmp"] == []


def test_keys_are_32_random_bytes_each_its_own(ring: Path) -> None:
    keys = open_ring(ring).keys
    assert {len(key) for versions in keys.values() for key in versions.values()} == {32}
    assert keys[SEAL][1] != keys[NAME][1]


def test_asking_again_keeps_the_keys_and_adds_what_is_lacking(ring: Path) -> None:
    before = open_ring(ring).keys
    assert ensure_keys(ring, [SEAL, "pseudonym/airport", NAME]) == ["pseudonym/airport"]
    after = open_ring(ring).keys
    assert {name: after[name] for name in before} == before
    assert ensure_keys(ring, [SEAL, NAME]) == []


def test_ten_that_ask_at_once_get_the_same_keys(tmp_path: Path) -> None:
    path = tmp_path / "ring.json"
    with ThreadPoolExecutor(10) as pool:
        made = list(pool.map(lambda _: ensure_keys(path, [SEAL]), range(10)))
    assert sorted(made) == [[]] * 9 + [[SEAL]]


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o601])
def test_a_ring_that_others_can_touch_is_refused_with_the_command_that_mends_it(ring: Path, mode: int) -> None:
    ring.chmod(mode)
    with pytest.raises(KeyRingError) as error:
        open_ring(ring)
    assert one_sentence(error).endswith(f"(mode {mode:o}); run: chmod 600 {ring}")
    with pytest.raises(KeyRingError):
        ensure_keys(ring, [SEAL])


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'{"keys": []}', b'{"keys": {"seal": 1}}', b'{"keys": {"seal": {"1": {}}}}',
     b'{"keys": {"seal": {"1": {"key": "xyz"}}}}', b'{"keys": {"seal": {"one": {"key": "00"}}}}', b"\xff\xfe\x00"],
)  # fmt: skip
def test_a_damaged_ring_is_refused_and_left_as_it_is(ring: Path, content: bytes) -> None:
    ring.write_bytes(content)
    for use in (open_ring, lambda path: ensure_keys(path, [SEAL])):
        with pytest.raises(KeyRingError) as error:
            use(ring)
        assert one_sentence(error) == f"{ring} is not a key ring; restore it from your backup"
    assert ring.read_bytes() == content


def test_a_short_key_is_refused(ring: Path) -> None:
    ring.write_text(json.dumps({"keys": {SEAL: {"1": {"key": "00" * 16}}}}), encoding="utf-8")
    with pytest.raises(KeyRingError) as error:
        open_ring(ring)
    assert one_sentence(error) == f"key 'seal' in {ring} is not 32 bytes long; restore the ring from your backup"


def test_an_absent_ring_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(KeyRingError) as error:
        open_ring(tmp_path / "none.json")
    assert "restore it from your backup" in one_sentence(error)


def test_an_absent_key_and_an_absent_version_are_named(ring: Path) -> None:
    opened = open_ring(ring)
    with pytest.raises(KeyRingError) as error:
        opened.current("pseudonym/person")
    assert "no key 'pseudonym/person'" in one_sentence(error)
    with pytest.raises(KeyRingError) as error:
        opened.key(SEAL, 2)
    assert "lacks version 2 of key 'seal'; restore the ring that wrote these rows" in one_sentence(error)


def test_the_newest_version_is_current_and_older_ones_stay_readable(ring: Path) -> None:
    content = json.loads(ring.read_text(encoding="utf-8"))
    content["keys"][SEAL]["10"] = {"key": "ab" * 32}
    content["keys"][SEAL]["9"] = {"key": "cd" * 32}
    ring.write_text(json.dumps(content), encoding="utf-8")
    opened = open_ring(ring)
    assert opened.current(SEAL) == 10
    assert opened.key(SEAL, 9) == bytes.fromhex("cd" * 32)


def test_no_text_form_of_a_ring_shows_a_key(ring: Path) -> None:
    opened = open_ring(ring)
    shown = f"{opened!r} {opened} {opened!s} {[opened]} {vars(type(opened))}"
    for versions in opened.keys.values():
        for key in versions.values():
            assert key.hex() not in shown
            assert repr(key) not in shown
    assert SEAL in repr(opened)


def test_a_folder_that_cant_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(KeyRingError) as error:
        ensure_keys(tmp_path / "file" / "ring.json", [SEAL])
    assert "choose another path in keys.ring" in one_sentence(error)
