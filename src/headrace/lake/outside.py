"""The lake without Spark: tables by delta-rs, files by Arrow. For readers that must not trust what wrote it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from headrace.errors import StorageError, first_line

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import DeltaTable
    from pyarrow.fs import FileSystem


@dataclass(frozen=True)
class DataFile:
    """A data file of a table: its partition, and what the table's log says of its rows."""

    path: str
    day: str
    """Of ingest: ``2026-11-24``."""
    verdict: str
    rows: int
    batches: tuple[int, int] | None
    """First and last ``batch_id`` in it; None where the log does not say."""


class DamagedLog(Exception):
    """A table's log can't be read: a commit is missing or cut."""


class UnreadableFiles(Exception):
    """Data files are gone or damaged; ``found`` says which, and why."""

    def __init__(self, found: Sequence[str]) -> None:
        super().__init__("; ".join(found))
        self.found = tuple(found)


def open_table(path: str, *, version: int | None = None) -> DeltaTable | None:
    """The table as of a version (default: the newest), or None where there is none. Raises DamagedLog, StorageError."""
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError, TableNotFoundError

    try:
        return DeltaTable(path, version=version)
    except TableNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"can't read {path} ({first_line(error)}); check the path and its rights") from None
    except DeltaError as error:
        raise DamagedLog(first_line(error)) from None


def data_files(table: DeltaTable) -> Iterator[DataFile]:
    """All data files of the table. No data is read, but for the footers of files of which the log does not tell the rows."""
    import pyarrow as pa

    actions = pa.table(table.get_add_actions(flatten=True))
    wanted = ("path", "partition.ingest_date", "partition.verdict", "num_records", "min.batch_id", "max.batch_id")
    columns = [_column(actions, name) for name in wanted]
    for path, day, verdict, rows, first, last in zip(*columns, strict=True):
        known = rows if rows is not None else footer_rows(f"{_place(table)}/{path}")
        yield DataFile(path, str(day), str(verdict), known, None if first is None or last is None else (first, last))


def scan(
    table: DeltaTable, columns: Sequence[str], *, days: Sequence[str] | None, at_once: int
) -> Iterator[pa.RecordBatch]:
    """Those of the columns that a file has, of all rows or those of some days of ingest, file by file, a batch at a time.

    Raises UnreadableFiles, after all that can be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    unreadable: list[str] = []
    for file in data_files(table):
        if days is not None and file.day not in days:
            continue
        system, inside = _open(f"{_place(table)}/{unquote(file.path)}")
        try:
            with system.open_input_file(inside) as stream, pq.ParquetFile(stream) as parquet:
                there = [name for name in columns if name in parquet.schema_arrow.names]
                yield from (_plain(rows) for rows in parquet.iter_batches(batch_size=at_once, columns=there))
        except (OSError, pa.ArrowException) as error:
            unreadable.append(f"{file.path} ({first_line(error)})")
    if unreadable:
        raise UnreadableFiles(unreadable)


def names(path: str) -> list[str]:
    """Names in a folder; empty where there is no such folder."""
    from pyarrow.fs import FileSelector

    system, inside = _open(path)
    found = system.get_file_info(FileSelector(inside, allow_not_found=True))
    return sorted(info.base_name for info in found)


def read_bytes(path: str) -> bytes | None:
    """The file's bytes, or None where there is no such file."""
    system, inside = _open(path)
    try:
        with system.open_input_file(inside) as stream:
            return stream.read()
    except FileNotFoundError:
        return None


def footer_rows(path: str) -> int:
    """Rows of a Parquet file, from its footer. Raises OSError where it is not there."""
    import pyarrow.parquet as pq

    system, inside = _open(path)
    with system.open_input_file(inside) as stream:
        return pq.read_metadata(stream).num_rows


def _open(path: str) -> tuple[FileSystem, str]:
    from pyarrow.fs import FileSystem, LocalFileSystem

    if "://" not in path:
        return LocalFileSystem(), path
    return FileSystem.from_uri(path.replace("s3a://", "s3://", 1))


def _plain(rows: pa.RecordBatch) -> pa.RecordBatch:
    """With binary columns of the kind that Arrow can filter; files that delta-rs wrote are read as views."""
    import pyarrow as pa

    kinds = [field.with_type(pa.binary()) if field.type == pa.binary_view() else field for field in rows.schema]
    return rows.cast(pa.schema(kinds))


def _column(actions: pa.Table, name: str) -> list:
    return actions.column(name).to_pylist() if name in actions.column_names else [None] * actions.num_rows


def _place(table: DeltaTable) -> str:
    return table.table_uri.removeprefix("file://").rstrip("/")
