"""Searching everything that was written for what must not be there, in every spelling and inside compressed files."""

from __future__ import annotations

import base64
import gzip
import urllib.parse
from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def spellings(secret: bytes) -> dict[str, bytes]:
    """A secret as it may be written: raw, hex, base64 (both alphabets, without padding) and URL-encoded."""
    standard = base64.b64encode(secret).rstrip(b"=")
    return {
        "raw": secret,
        "hex": secret.hex().encode(),
        "HEX": secret.hex().upper().encode(),
        "base64": standard,
        "base64url": base64.urlsafe_b64encode(secret).rstrip(b"="),
        "url": urllib.parse.quote_from_bytes(secret, safe="").encode(),
        "url-base64": urllib.parse.quote_from_bytes(standard, safe="").encode(),
        "percent": "".join(f"%{byte:02X}" for byte in secret).encode(),
        "escaped": repr(secret)[2:-1].encode(),
    }


def found_in(data: bytes, secrets: Mapping[str, bytes]) -> set[str]:
    """``name spelling`` of each secret that stands in the data."""
    return {
        f"{name} {spelling}"
        for name, secret in secrets.items()
        for spelling, text in spellings(secret).items()
        if text in data
    }


def search(folders: Iterable[Path], secrets: Mapping[str, bytes]) -> set[str]:
    """``file: name spelling`` of each secret that stands in a file below the folders, compressed files opened."""
    hits: set[str] = set()
    for folder in folders:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            for data in contents(file):
                hits |= {f"{file.relative_to(folder)}: {hit}" for hit in found_in(data, secrets)}
    return hits


def contents(file: Path) -> list[bytes]:
    """A file's bytes, and what is compressed in them."""
    raw = file.read_bytes()
    found = [raw]
    if raw.startswith(b"PAR1"):
        found += [_values(column) for column in pq.read_table(file).columns]
    elif raw.startswith(b"\x1f\x8b"):
        found.append(gzip.decompress(raw))
    elif raw.startswith(b"\x28\xb5\x2f\xfd"):
        found.append(pa.input_stream(pa.BufferReader(raw), compression="zstd").read())
    elif raw.startswith(b"\x04\x22\x4d\x18") or file.suffix == ".lz4":
        found += _lz4(raw)
    return found


def _values(column: pa.ChunkedArray) -> bytes:
    """All values of a column, one after the other, nested ones too."""
    parts: list[bytes] = []

    def add(value: object) -> None:
        if isinstance(value, bytes):
            parts.append(value)
        elif isinstance(value, Mapping):
            for item in value.values():
                add(item)
        elif isinstance(value, list):
            for item in value:
                add(item)
        elif value is not None:
            parts.append(str(value).encode())

    for value in column.to_pylist():
        add(value)
    return b"\n".join(parts)


def _lz4(raw: bytes) -> list[bytes]:
    """Spark's state and shuffle files: blocks of lz4-java, each with a header of 21 bytes."""
    found: list[bytes] = []
    at = 0
    while raw[at : at + 8] == b"LZ4Block":
        packed, size = (int.from_bytes(raw[at + start : at + start + 4], "little") for start in (9, 13))
        block = raw[at + 21 : at + 21 + packed]
        found.append(block if raw[at + 8] & 0xF0 == 0x10 else pa.decompress(block, size, "lz4_raw").to_pybytes())
        at += 21 + packed
    return found or [pa.input_stream(pa.BufferReader(raw), compression="lz4").read()]
