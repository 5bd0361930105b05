"""What a crash, a lost or damaged file, or another job left out of the ledger is put there when an ingest starts.

What was committed is read from the table's log, and what was read is counted in Kafka. What neither can tell any more is said,
and kept as unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from headrace.lake import delta, files
from headrace.lake.ledger.blocks import (
    BLOCK,
    MERGED,
    Contents,
    block_name,
    first_of_block,
    first_of_merged,
    parse,
    read_contents,
)
from headrace.lake.ledger.compact import compact_ledger
from headrace.lake.ledger.record import BATCH, GONE, UNKNOWN, Record, Rows, add_rows, changed, record_of
from headrace.lake.ledger.recount import Counter, recounted
from headrace.lake.ledger.writer import Ledger, rows_of, write_blocks
from headrace.lake.log import LogEntry, log_versions, read_version

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Notify = Callable[[str], None]
MANY_FILES = 3 * MERGED // BLOCK


def open_ledger(
    spark: SparkSession, *, name: str, folder: str, table: str, count: Counter, notify: Notify = lambda line: None
) -> Ledger:
    """The ledger of a table, brought up to its newest version. Whoever calls it is the one writer of the table.

    ``name`` is the stream's in messages, ``folder`` its ``Layout.ledger``. Raises StorageError where it can't be written.
    """
    path = f"{folder}/{delta.table_id(spark, table)}"
    if len(files.names(spark, path)) > MANY_FILES:
        compact_ledger(spark, folder)
    newest = delta.version(spark, table)
    found = _recent(spark, path, newest=newest)
    kept = _of_this_table(spark, table, found.contents.records, newest=newest)
    missing = [version for version in Contents(kept).missing(newest) if version // MERGED not in found.merged]
    made = _from_log(spark, table, missing, count=count)
    unreachable = sorted(set(missing) - {record.version for record in made})
    if unreachable:
        made += _unknown(spark, table, unreachable, known=_all(spark, path, [*kept.values(), *made]))
    stale = found.contents.records.keys() - kept.keys()
    _tell(name, made, stale=len(stale), notify=notify)
    records = [*kept.values(), *made]
    touched = {*map(block_name, stale), *(block_name(record.version) for record in made), *found.contents.damaged}
    write_blocks(spark, path, records, only={name for name in touched if first_of_block(name) is not None})
    for name in found.overreaching:
        files.delete(spark, f"{path}/{name}")
    first = (newest + 1) // BLOCK * BLOCK
    block = [record for record in records if record.version >= first]
    return Ledger(spark, table=table, path=path, version=newest, block=block, count=count)


@dataclass(frozen=True)
class _Recent:
    """What is looked at in each start: all but the merged files, which a start trusts and the audit reads."""

    merged: set[int]
    """Numbers of the ranges of versions that merged files hold."""
    contents: Contents
    overreaching: list[str]
    """Merged files that know commits which the table does not have; their contents are among ``contents``."""


def _recent(spark: SparkSession, path: str, *, newest: int) -> _Recent:
    merged: set[int] = set()
    overreaching: list[str] = []
    blocks: dict[str, bytes] = {}
    for name in files.names(spark, path):
        first = first_of_merged(name)
        if first is not None and first + MERGED <= newest + 1:
            merged.add(first // MERGED)
        elif first is not None or first_of_block(name) is not None:
            blocks[name] = files.read_bytes(spark, f"{path}/{name}") or b""
            overreaching += [name] if first is not None else []
    return _Recent(merged, parse(blocks), overreaching)


def _of_this_table(
    spark: SparkSession, table: str, records: Mapping[int, Record], *, newest: int
) -> dict[int, Record]:  # fmt: skip
    """The records without those of commits that the table does not have, as where only the table was restored from a copy."""
    kept = {version: record for version, record in records.items() if version <= newest}
    last = kept[max(kept)] if kept else None
    if last is None or _agrees(last, read_version(spark, table, last.version)):
        return kept
    return {version: record for version, record in kept.items() if _agrees(record, read_version(spark, table, version))}


def _agrees(record: Record, entry: LogEntry | None) -> bool:
    return entry is None or entry.committed_at == record.at


def _from_log(spark: SparkSession, table: str, versions: Iterable[int], *, count: Counter) -> list[Record]:
    """Records of the commits that the table's log still has."""
    there = set(versions)
    there &= set(log_versions(spark, table)) if there else set()
    known: dict[str, int] = {}
    made: list[Record] = []

    def rows(path: str) -> int | None:
        return known[path] if path in known else rows_of(spark, table, path)

    for version in sorted(there):
        entry = read_version(spark, table, version)
        if entry is not None:
            known |= {file.path: file.rows for file in entry.added}
            made.append(record_of(entry, rows_of=rows))
    batches = iter(recounted([record for record in made if record.kind == BATCH], count))
    return [next(batches) if record.kind == BATCH else record for record in made]


def _all(spark: SparkSession, path: str, recent: Iterable[Record]) -> dict[int, Record]:
    """These records, and those in merged files."""
    held = read_contents(lambda: files.names(spark, path), lambda name: files.read_bytes(spark, f"{path}/{name}"))
    return held.records | {record.version: record for record in recent}


def _unknown(spark: SparkSession, table: str, versions: list[int], *, known: Mapping[int, Record]) -> list[Record]:
    """A record for each run of versions that nobody knows any more; the last one has all rows that no known commit explains."""
    left: Rows = {}
    for (day, verdict), number in delta.rows_by_partition(spark, table).items():
        left.setdefault(day, {})[verdict] = number
    for record in known.values():
        add_rows(left, record.rows, times=-1)
    ends = [version for version in versions if version + 1 not in versions]
    firsts = [version for version in versions if version - 1 not in versions]
    when = min((record.at for record in known.values()), default=datetime.now(UTC))
    made = [Record(end, when, UNKNOWN, told={"first": first}) for first, end in zip(firsts, ends, strict=True)]
    return [*made[:-1], replace(made[-1], rows=changed(left))]


def _tell(name: str, made: list[Record], *, stale: int, notify: Notify) -> None:
    batches = [record for record in made if record.kind == BATCH]
    gone = [record for record in batches if record.counted == GONE]
    if stale:
        notify(
            f"ledger of stream {name!r}: dropped {stale} entries of commits that the table does not have; was it restored?"
        )
    if batches:
        notify(
            f"ledger of stream {name!r}: {len(batches)} batches were missing; their records were counted again in Kafka"
        )
    if gone:
        some = ", ".join(str(record.batch) for record in gone[:10])
        notify(
            f"warning: ledger of stream {name!r}: Kafka no longer holds all that {len(gone)} of them read (batch {some}); "
            "headrace audit can't prove these"
        )
    for record in made:
        if record.kind == UNKNOWN:
            notify(
                f"warning: ledger of stream {name!r}: neither ledger nor log knows versions {record.versions.start} to "
                f"{record.version} of the table; headrace audit can't prove what was read before"
            )
