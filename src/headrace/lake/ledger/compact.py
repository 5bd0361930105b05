"""A hundred full blocks become one file, so that a ledger of years stays a few thousand files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from headrace.lake import files
from headrace.lake.ledger.blocks import BLOCK, MERGED, first_of_block, is_full, merge, merged_name

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def compact_ledger(spark: SparkSession, folder: str) -> int:
    """Merge the full blocks of a stream's ledger (``Layout.ledger``); how many files went. Safe beside a running ingest,
    which writes to the newest block only, and under interruption: a block goes after the merged file is there.
    """
    return sum(_compact(spark, f"{folder}/{table}") for table in files.names(spark, folder))


def _compact(spark: SparkSession, folder: str) -> int:
    names = files.names(spark, folder)
    gone = 0
    for group in _whole_groups(names):
        blocks = {name: files.read_bytes(spark, f"{folder}/{name}") for name in group}
        full = [data for name, data in blocks.items() if data is not None and is_full(name, data)]
        if len(full) == len(group):
            target = merged_name(first_of_block(group[0]) or 0)
            files.write_bytes(spark, f"{folder}/{target}", merge(full))
            for name in group:
                files.delete(spark, f"{folder}/{name}")
            gone += len(group)
    return gone


def _whole_groups(names: list[str]) -> Iterator[list[str]]:
    """The blocks of each merged range of which all are there, in order. (``names`` is sorted.)"""
    groups: dict[int, list[str]] = {}
    for name in names:
        first = first_of_block(name)
        if first is not None:
            groups.setdefault(first // MERGED, []).append(name)
    yield from (group for group in groups.values() if len(group) == MERGED // BLOCK)
