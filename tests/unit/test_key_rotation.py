"""Rotation and retirement of keys, and pseudonyms that follow their key from version to version."""

from __future__ import annotations

import hmac
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import KeyRingError
from headrace.privacy.keys import SEAL, change_ring, ensure_keys, open_ring
from headrace.privacy.pseudonym import maker, renewer
from headrace.privacy.ring import parse_ring, ring_text
from headrace.privacy.rotation import listed, retire, rotate
from headrace.spec.protect import Pseudonym

NAME = "pseudonym/people"
PEOPLE = Pseudonym.model_validate({"pseudonym": "people", "as": "text"})
KEYS = [(1, b"a" * 32), (2, b"b" * 32), (3, b"c" * 32)]


@pytest.fixture
def ring(tmp_path: Path) -> str:
    path = tmp_path / "keys.json"
    ensure_keys(path, [SEAL, NAME])
    return str(path)


def states(ring: str) -> dict[tuple[str, int], tuple[str, int | None]]:
    return {(entry.name, entry.version): (entry.state, entry.follows) for entry in listed(open_ring(ring))}


def test_a_rotated_key_has_a_new_version_and_keeps_the_old_one(ring: str) -> None:
    before = open_ring(ring)
    after = rotate(ring, [NAME, SEAL], fresh=False)
    assert after == open_ring(ring)
    assert (after.current(NAME), after.current(SEAL)) == (2, 2)
    assert after.key(NAME, 1) == before.key(NAME, 1) != after.key(NAME, 2)
    assert states(ring) == {
        (NAME, 1): ("link", None), (NAME, 2): ("current", 1), (SEAL, 1): ("old", None), (SEAL, 2): ("current", None),
    }  # fmt: skip
    assert Path(ring).stat().st_mode & 0o777 == 0o600


def test_when_a_version_was_made_is_kept(ring: str) -> None:
    before = open_ring(ring).about[NAME][1].made
    content = json.loads(Path(ring).read_text())
    content["keys"][NAME]["1"]["made"] = "2020-01-01T00:00:00+00:00"
    Path(ring).write_text(json.dumps(content))
    rotate(ring, [NAME], fresh=False)
    assert open_ring(ring).about[NAME][1].made == "2020-01-01T00:00:00+00:00" != before


def test_a_ring_of_the_first_version_is_read(tmp_path: Path) -> None:
    text = json.dumps({"keys": {SEAL: {"1": {"key": "ab" * 32, "written": "2026-01-01T00:00:00+00:00"}}}})
    ring = parse_ring(text, "here")
    assert (ring.key(SEAL, 1), ring.about[SEAL][1].made) == (bytes.fromhex("ab" * 32), "2026-01-01T00:00:00+00:00")
    assert parse_ring(ring_text(ring), "here") == ring


def test_ten_that_rotate_at_once_make_ten_versions(ring: str) -> None:
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda _: rotate(ring, [NAME], fresh=False), range(10)))
    assert sorted(open_ring(ring).keys[NAME]) == list(range(1, 12))
    assert open_ring(ring).chain(NAME, 11) == list(range(1, 12))


def test_an_unknown_key_is_not_rotated_and_nothing_is_written(ring: str) -> None:
    before = Path(ring).read_bytes()
    with pytest.raises(KeyRingError, match="has no key 'pseudonym/persons'"):
        rotate(ring, [NAME, "pseudonym/persons"], fresh=False)
    assert Path(ring).read_bytes() == before


def test_a_retired_version_is_gone_but_known(ring: str) -> None:
    secret = open_ring(ring).key(SEAL, 1).hex()
    rotate(ring, [SEAL], fresh=False)
    retire(ring, SEAL, 1)
    assert secret not in Path(ring).read_text()
    assert states(ring)[(SEAL, 1)] == ("retired", None)
    with pytest.raises(
        KeyRingError, match=r"version 1 of key 'seal' was retired on 20\d\d-\d\d-\d\d: what it protects stays closed"
    ):
        open_ring(ring).key(SEAL, 1)
    rotate(ring, [SEAL], fresh=False)
    assert open_ring(ring).current(SEAL) == 3


def test_what_is_still_needed_is_not_retired(ring: str) -> None:
    with pytest.raises(
        KeyRingError, match="version 1 of key 'seal' is the current one; run headrace keys rotate first"
    ):
        retire(ring, SEAL, 1)
    rotate(ring, [NAME], fresh=False)
    with pytest.raises(KeyRingError, match="is a link of the chain that makes version 2; new pseudonyms need it"):
        retire(ring, NAME, 1)
    rotate(ring, [NAME], fresh=True)
    assert open_ring(ring).chain(NAME, 3) == [3]
    retire(ring, NAME, 1)
    retire(ring, NAME, 2)
    assert sorted(open_ring(ring).keys[NAME]) == [3]


def test_a_damaged_ring_is_not_changed(ring: str) -> None:
    Path(ring).write_text("{")
    for change in (
        lambda: rotate(ring, [NAME], fresh=False),
        lambda: retire(ring, NAME, 1),
        lambda: ensure_keys(ring, ["x"]),
    ):
        with pytest.raises(KeyRingError, match="is not a key ring; restore it from your backup"):
            change()
    assert Path(ring).read_text() == "{"


def test_a_write_that_fails_leaves_the_ring_as_it_was(ring: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = Path(ring).read_bytes()
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(KeyRingError, match="can't be written: No space left on device"):
        rotate(ring, [NAME], fresh=False)
    assert Path(ring).read_bytes() == before
    assert [file.name for file in Path(ring).parent.iterdir() if file.suffix == ".tmp"] == []


def test_a_ring_in_the_environment_is_read_and_never_changed(ring: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyRingError, match="no key ring at env:SHOP_KEYS"):
        open_ring("env:SHOP_KEYS")
    with pytest.raises(KeyRingError, match="the environment variable SHOP_KEYS with the key ring is not set"):
        ensure_keys("env:SHOP_KEYS", [SEAL])
    monkeypatch.setenv("SHOP_KEYS", Path(ring).read_text())
    assert open_ring("env:SHOP_KEYS").keys == open_ring(ring).keys
    assert ensure_keys("env:SHOP_KEYS", [SEAL, NAME]) == []
    with pytest.raises(
        KeyRingError, match="in the environment variable SHOP_KEYS can't be changed by a command"
    ) as error:
        rotate("env:SHOP_KEYS", [SEAL], fresh=False)
    assert open_ring(ring).key(SEAL, 1).hex() not in str(error.value)


def test_a_damaged_ring_in_the_environment_is_named_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_KEYS", "hunter2")
    with pytest.raises(KeyRingError) as error:
        open_ring("env:SHOP_KEYS")
    assert str(error.value) == "env:SHOP_KEYS is not a key ring; restore it from your backup"


def test_a_later_version_is_the_hmac_of_the_pseudonym_before() -> None:
    first = "v1." + hmac.new(KEYS[0][1], b"ada", "sha256").hexdigest()[:32]
    second = "v2." + hmac.new(KEYS[1][1], first.encode(), "sha256").hexdigest()[:32]
    assert maker(KEYS[:1], PEOPLE)(" Ada") == first
    assert maker(KEYS[:2], PEOPLE)(" Ada") == second
    assert renewer(KEYS[:2])(first) == second


@given(value=st.text(max_size=12), written=st.integers(1, 3))
def test_an_old_pseudonym_becomes_what_a_new_one_is(value: str, written: int) -> None:
    """Written under any version, brought to the newest: the same as if it were written now."""
    old, new = maker(KEYS[:written], PEOPLE)(value), maker(KEYS, PEOPLE)(value)
    assert renewer(KEYS)(old) == new
    assert renewer(KEYS)(new) == new


@given(one=st.text(max_size=8), other=st.text(max_size=8), versions=st.tuples(st.integers(1, 3), st.integers(1, 3)))
def test_renewed_pseudonyms_link_what_was_equal_and_nothing_else(
    one: str, other: str, versions: tuple[int, int]
) -> None:
    first, second = (maker(KEYS[:v], PEOPLE)(value) for value, v in zip((one, other), versions, strict=True))
    normalized = [" ".join(value.split()).casefold() for value in (one, other)]
    if all(value.isascii() for value in (one, other)):
        assert (renewer(KEYS)(first) == renewer(KEYS)(second)) == (normalized[0] == normalized[1])


def test_what_no_chain_leads_to_stays_as_it_is() -> None:
    fresh = [(4, b"d" * 32)]
    for value in ("v1.00", "v9.00", "no pseudonym", "", "v1"):
        assert renewer(fresh)(value) == value


def test_without_an_older_key_nothing_can_be_told_of_the_value() -> None:
    """Another first key gives another pseudonym, whatever the second one is: the newest key alone is not enough."""
    assert maker(KEYS[:2], PEOPLE)("ada") != maker([(1, b"x" * 32), KEYS[1]], PEOPLE)("ada")


def test_a_change_that_changes_nothing_writes_nothing(ring: str) -> None:
    before = Path(ring).stat().st_mtime_ns
    assert change_ring(ring, lambda found: found) == open_ring(ring)
    assert Path(ring).stat().st_mtime_ns == before
