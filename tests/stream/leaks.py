"""What a written file holds: its bytes, and what is compressed in them."""

from __future__ import annotations

import gzip
import io
import sqlite3
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def contents(file: Path) -> list[bytes]:
    """A file's bytes, and what is compressed in them."""
    raw = file.read_bytes()
    found = [raw]
    if raw.startswith(b"PAR1"):
        found += [_values(column) for column in pq.read_table(file).columns]
    elif raw.startswith(b"\x1f\x8b"):
        found.append(gzip.decompress(raw))
    elif raw.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(raw)) as members:
            found += [members.read(name) for name in members.namelist()]
    elif raw.startswith(b"SQLite format 3"):
        found.append(_rows(file))
    elif raw.startswith(b"\x28\xb5\x2f\xfd"):
        found.append(pa.input_stream(pa.BufferReader(raw), compression="zstd").read())
    elif raw.startswith((b"\x04\x22\x4d\x18", b"LZ4Block")):
        found += _lz4(raw)
    return found


def _rows(file: Path) -> bytes:
    """All values of a SQLite database: in its file a long one lies in pieces."""
    with sqlite3.connect(f"file:{file}?mode=ro&immutable=1", uri=True) as database:
        database.text_factory = bytes
        tables = [name.decode() for (name,) in database.execute("select name from sqlite_master where type = 'table'")]
        rows = [row for table in tables for row in database.execute(f'select * from "{table}"')]
    return b"\n".join(value if isinstance(value, bytes) else str(value).encode() for row in rows for value in row)


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
