"""The ledger's files: a block of a hundred commits is one file of JSON lines; a hundred full blocks are merged into one.

A file holds the commits of a fixed range of versions, which its name tells. So a repeated write changes nothing, a merged
file and a block that was left beside it say the same, and what is missing is known from the names and the versions.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from headrace.lake.ledger.record import Record, from_line, to_line

BLOCK, MERGED = 100, 10_000
"""Versions in a block, and in a merged file."""
_BLOCK_END, _MERGED_END = ".jsonl", ".jsonl.gz"


@dataclass(frozen=True)
class Contents:
    """What a ledger's folder holds."""

    records: dict[int, Record]
    """By version."""
    damaged: tuple[str, ...] = ()
    """Files of which a part can't be read."""

    def missing(self, newest: int) -> list[int]:
        """The versions up to ``newest`` of which it knows nothing."""
        known = set(self.records)
        for record in self.records.values():
            known.update(record.versions)
        return [version for version in range(newest + 1) if version not in known]


def block_name(version: int) -> str:
    """File of the block that holds a version."""
    return f"{version // BLOCK * BLOCK:020d}{_BLOCK_END}"


def merged_name(version: int) -> str:
    """File of the merged range that holds a version."""
    return f"{version // MERGED * MERGED:020d}{_MERGED_END}"


def first_of_block(name: str) -> int | None:
    """First version of a block's file, or None for another file."""
    return _first(name, _BLOCK_END)


def first_of_merged(name: str) -> int | None:
    """First version of a merged file, or None for another file."""
    return _first(name, _MERGED_END)


def blocks_of(records: Iterable[Record]) -> dict[str, str]:
    """File name to text, of all blocks that these records fill."""
    texts: dict[str, list[str]] = {}
    for record in sorted(records, key=lambda record: record.version):
        texts.setdefault(block_name(record.version), []).append(to_line(record))
    return {name: "".join(f"{line}\n" for line in lines) for name, lines in texts.items()}


def merge(blocks: Iterable[bytes]) -> bytes:
    """Full blocks as one merged file; equal blocks give equal bytes."""
    return gzip.compress(b"".join(blocks), compresslevel=6, mtime=0)


def read_contents(names: Callable[[], Iterable[str]], read: Callable[[str], bytes | None]) -> Contents:
    """All records of a folder. ``names`` lists its files; ``read`` gives one, or None where it has gone.

    A block that went meanwhile was merged, so the folder is then listed once more.
    """
    found = {name: read(name) for name in sorted(names()) if _is_ledger(name)}
    if None in found.values():
        found = {name: read(name) for name in sorted(names()) if _is_ledger(name)}
    return parse({name: data for name, data in found.items() if data is not None})


def parse(files: Mapping[str, bytes]) -> Contents:
    """Records of the files of a folder, by name."""
    records: dict[int, Record] = {}
    damaged: list[str] = []
    for name, data in files.items():
        for record in _lines(name, data, damaged):
            records[record.version] = record
    return Contents(records, tuple(damaged))


def is_full(name: str, data: bytes) -> bool:
    """Whether a block holds all of its versions, undamaged."""
    found, first = parse({name: data}), first_of_block(name)
    return first is not None and not found.damaged and set(range(first, first + BLOCK)) <= found.records.keys()


def _lines(name: str, data: bytes, damaged: list[str]) -> Iterator[Record]:
    try:
        text = gzip.decompress(data) if name.endswith(_MERGED_END) else data
    except (OSError, EOFError, zlib.error):
        damaged.append(name)
        return
    for line in text.split(b"\n"):
        if not line:
            continue
        try:
            yield from_line(line.decode())
        except (ValueError, KeyError):
            if name not in damaged:
                damaged.append(name)


def _is_ledger(name: str) -> bool:
    return first_of_block(name) is not None or first_of_merged(name) is not None


def _first(name: str, end: str) -> int | None:
    stem = name.removesuffix(end)
    return int(stem) if stem != name and stem.isdigit() else None
