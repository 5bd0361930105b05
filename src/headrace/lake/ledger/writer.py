"""Writing the ledger after each commit. It is derived: a record belongs to one version of the table, and may be written again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import unquote

from headrace.lake import delta, files
from headrace.lake.files import storage_error
from headrace.lake.ledger.blocks import BLOCK, MERGED, block_name, blocks_of, first_of_block, first_of_merged, parse
from headrace.lake.ledger.record import BY_SPARK, Record, record_of
from headrace.lake.ledger.recount import Counter, recounted
from headrace.lake.log import LogEntry, read_next

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


class Ledger:
    """The ledger of one table, in the hands of the one job that writes the table. Use :func:`open_ledger`."""

    def __init__(
        self, spark: SparkSession, *, table: str, path: str, version: int, block: Iterable[Record], count: Counter
    ) -> None:
        """``version``: the newest one that it holds. ``block``: what the file that will hold the next one holds by now."""
        self._spark, self._table, self._path, self._count = spark, table, path, count
        self.version = version
        self._block = {record.version: record for record in block}

    def follow(self, *, batch: int | None = None, read: int | None = None) -> list[Record]:
        """Take in the commits that are new. ``read``: records of the micro-batch ``batch``, counted in the pass that wrote it.

        Where that count and the commit disagree, Kafka is asked again: a task that was tried twice counts twice.
        Raises StorageError where the ledger can't be written.
        """
        entries = read_next(self._spark, self._table, after=self.version)
        made = [self._record(entry, read=read if entry.batch == batch else None) for entry in entries]
        if made:
            self._write(made)
        return made

    def _record(self, entry: LogEntry, *, read: int | None) -> Record:
        record = record_of(entry, rows_of=lambda path: rows_of(self._spark, self._table, path))
        if not entry.is_batch:
            return record
        return (
            replace(record, read=read, counted=BY_SPARK)
            if read == record.total
            else recounted([record], self._count)[0]
        )

    def _write(self, made: list[Record]) -> None:
        self._block |= {record.version: record for record in made}
        self.version = max(self._block)
        write_blocks(
            self._spark, self._path, self._block.values(), only={block_name(record.version) for record in made}
        )
        first = self.version // BLOCK * BLOCK
        self._block = {version: record for version, record in self._block.items() if version >= first}


def write_blocks(spark: SparkSession, path: str, records: Iterable[Record], *, only: set[str]) -> None:
    """Write the blocks ``only`` anew, each with those of ``records`` that belong to it. Raises StorageError."""
    texts = dict.fromkeys(only, "") | blocks_of(records)
    try:
        for name in sorted(only):
            files.write_text(spark, f"{path}/{name}", texts[name])
    except Exception as error:
        raise storage_error(error, path) or error from None


def first_unrecorded(spark: SparkSession, *, folder: str, table: str) -> int:
    """The version behind the last one that a table's ledger has; 0 where it has none. ``folder``: its ``Layout.ledger``."""
    path = f"{folder}/{delta.table_id(spark, table)}"
    names = files.names(spark, path)
    blocks = sorted(name for name in names if first_of_block(name) is not None)
    merged = [first for name in names if (first := first_of_merged(name)) is not None]
    held = parse({blocks[-1]: files.read_bytes(spark, f"{path}/{blocks[-1]}") or b""}).records if blocks else {}
    return max([0, *(first + MERGED for first in merged), *(version + 1 for version in held)])


def rows_of(spark: SparkSession, table: str, path: str) -> int | None:
    """Rows of one of the table's data files (its path in the log), or None where it was removed for good."""
    found = unquote(path)
    return files.parquet_rows(spark, found if "://" in found or found.startswith("/") else f"{table}/{found}")
