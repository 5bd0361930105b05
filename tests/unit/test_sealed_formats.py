"""What stands inside a sealed payload, byte by byte, and that payloads of the first format still open."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import KeyRingError
from headrace.privacy.keys import SEAL, KeyRing, ensure_keys, open_ring
from headrace.privacy.original import Original, packed, unpacked
from headrace.privacy.rotation import rotate
from headrace.privacy.seal import _reseal_one, open_sealed

maybe_bytes = st.none() | st.binary(max_size=40)
headers = st.lists(st.tuples(st.text(max_size=10), maybe_bytes), max_size=4).map(tuple)


@pytest.fixture
def ring(tmp_path: Path) -> KeyRing:
    ensure_keys(tmp_path / "keys.json", [SEAL])
    return open_ring(tmp_path / "keys.json")


def by_hand(ring: KeyRing, clear: bytes, *, form: int, associated: bytes) -> bytes:
    """A sealed payload made without the code under test."""
    nonce = os.urandom(12)
    return struct.pack(">BH", form, 1) + nonce + AESGCM(ring.keys[SEAL][1]).encrypt(nonce, clear, associated)


def opened(payload: bytes, ring: KeyRing) -> Original:
    return open_sealed(payload, topic="t", partition=3, offset=7, ring=ring)


def test_the_layout_of_a_record_is_as_described() -> None:
    record = Original(b"key", b"", (("é", b"v"), ("n", None)))
    expected = (
        b"\x03" + b"\0\0\0\x03key" + b"\0\0\0\0" + b"\0\0\0\x02\xc3\xa9" + b"\0\0\0\x01v" + b"\0\0\0\x01n" + b"\xff" * 4
    )
    assert packed(record) == expected
    assert unpacked(expected) == record


@given(key=maybe_bytes, value=maybe_bytes, headers=headers)
def test_every_record_comes_back_as_it_was(
    key: bytes | None, value: bytes | None, headers: tuple[tuple[str, bytes | None], ...]
) -> None:
    assert unpacked(packed(Original(key, value, headers))) == Original(key, value, headers)


@pytest.mark.parametrize(
    ("clear", "record"),
    [
        (b"\x03\0\0\0\x01kvalue", Original(b"k", b"value")),
        (b"\x02\0\0\0\0value", Original(None, b"value")),
        (b"\x01\0\0\0\x01k", Original(b"k", None)),
        (b"\x00\0\0\0\0", Original(None, None)),
    ],
)
def test_a_payload_of_the_first_format_still_opens(ring: KeyRing, clear: bytes, record: Original) -> None:
    assert opened(by_hand(ring, clear, form=1, associated=b"t/3/7"), ring) == record


@pytest.mark.parametrize(
    ("form", "associated", "clear", "record"),
    [
        (1, b"t/3/7", b"\x03\0\0\0\x01kvalue", Original(b"k", b"value")),
        (2, b"\x02t/3/7", packed(Original(b"k", b"v", (("h", None),))), Original(b"k", b"v", (("h", None),))),
    ],
)
def test_a_payload_of_either_format_follows_its_key(
    tmp_path: Path, ring: KeyRing, form: int, associated: bytes, clear: bytes, record: Original
) -> None:
    payload = by_hand(ring, clear, form=form, associated=associated)
    rotate(ring.path, [SEAL], fresh=False)
    renewed = _reseal_one(ring.path, 2, payload, b"t/3/7")
    assert (payload[:3], renewed[:3]) == (bytes([form, 0, 1]), bytes([form, 0, 2]))
    assert opened(renewed, open_ring(ring.path)) == record
    with pytest.raises(KeyRingError, match="does not open"):
        _reseal_one(ring.path, 2, payload, b"t/3/8")


def test_a_payload_can_not_be_passed_off_as_of_another_format(ring: KeyRing) -> None:
    first = by_hand(ring, b"\x03\0\0\0\x01k\0\0\0\0", form=1, associated=b"t/3/7")
    second = by_hand(ring, b"\x03\0\0\0\x01k\0\0\0\0", form=2, associated=b"\x02t/3/7")
    assert opened(second, ring) == Original(b"k", b"")
    for forged in (b"\x02" + first[1:], b"\x01" + second[1:]):
        with pytest.raises(KeyRingError, match="does not open"):
            opened(forged, ring)


def test_a_record_shows_nothing_of_itself_when_it_is_printed() -> None:
    assert "Ada" not in repr(Original(b"Ada", b"Ada", (("Ada", b"Ada"),)))
