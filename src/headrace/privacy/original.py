"""The record inside a sealed payload, and its layout in bytes.

Format 2: 1 byte flags (1: has key, 2: has value), then key, value, and each header's name (UTF-8) and value, every one of them
after its length in 4 bytes; the length of a header's null value is 2^32 - 1. Format 1: 1 byte flags, 4 bytes key length, key,
value.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

Headers = tuple[tuple[str, bytes | None], ...]
_HAS_KEY, _HAS_VALUE = 1, 2
_LENGTH = struct.Struct(">I")
_NULL = 2**32 - 1


@dataclass(frozen=True, repr=False)
class Original:
    """What a producer sent. Its text form shows nothing of it."""

    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    """Name and value, in the order in which they were sent; a name may occur twice, a value may be null."""


def packed(record: Original) -> bytes:
    """The record in format 2."""
    flags = (_HAS_KEY if record.key is not None else 0) | (_HAS_VALUE if record.value is not None else 0)
    parts = [bytes([flags]), *_sized(record.key or b""), *_sized(record.value or b"")]
    for name, value in record.headers:
        parts += _sized(name.encode())
        parts += [_LENGTH.pack(_NULL)] if value is None else _sized(value)
    return b"".join(parts)


def unpacked(clear: bytes) -> Original:
    """The record that was packed in format 2."""
    parts: list[bytes | None] = []
    at = 1
    while at < len(clear):
        (length,) = _LENGTH.unpack_from(clear, at)
        at += _LENGTH.size
        parts.append(None if length == _NULL else clear[at : at + length])
        at += 0 if length == _NULL else length
    key, value, *rest = parts
    names = ((name or b"").decode() for name in rest[::2])
    headers = tuple(zip(names, rest[1::2], strict=True))
    return Original(key if clear[0] & _HAS_KEY else None, value if clear[0] & _HAS_VALUE else None, headers)


def unpacked_first(clear: bytes) -> Original:
    """The record that was packed in format 1."""
    flags, length = struct.unpack_from(">BI", clear)
    key, value = clear[5 : 5 + length], clear[5 + length :]
    return Original(key if flags & _HAS_KEY else None, value if flags & _HAS_VALUE else None)


def _sized(part: bytes) -> tuple[bytes, bytes]:
    return _LENGTH.pack(len(part)), part
