"""Small text files on whatever file system Spark writes to (local, ``s3a://``, ``hdfs://``), and what its failures mean."""

from __future__ import annotations

import errno
import secrets
from typing import TYPE_CHECKING, Any

from headrace.errors import StorageError
from headrace.java_classes import java_class
from headrace.lake.delta import java

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def read_text(spark: SparkSession, path: str) -> str | None:
    """The file's text (UTF-8), or None where there is no such file."""
    hadoop_path, system = _open(spark, path)
    if not system.exists(hadoop_path):
        return None
    stream = system.open(hadoop_path)
    try:
        return str(java_class(spark, "org.apache.commons.io.IOUtils").toString(stream, "UTF-8"))
    finally:
        stream.close()


def read_bytes(spark: SparkSession, path: str) -> bytes | None:
    """The file's bytes, or None where there is no such file."""
    hadoop_path, system = _open(spark, path)
    if str(system.getUri().getScheme()) == "file":
        system = system.getRawFileSystem()
    if not system.exists(hadoop_path):
        return None
    stream = system.open(hadoop_path)
    try:
        return bytes(java_class(spark, "org.apache.commons.io.IOUtils").toByteArray(stream))
    finally:
        stream.close()


def write_text(spark: SparkSession, path: str, text: str) -> None:
    """Write a file (UTF-8), and its folders: a reader sees the old text, the new text, and nothing between."""
    write_bytes(spark, path, text.encode())


def write_bytes(spark: SparkSession, path: str, data: bytes) -> None:
    """As :func:`write_text`.

    On a file system it is written under another name and moved; an object store shows a file only when it is complete.
    """
    hadoop_path, system = _open(spark, path)
    kind = scheme(spark, path)
    if kind == "file":
        system = system.getRawFileSystem()  # a checksum file could not be replaced in the same instant
    whole_or_not = kind not in ("file", "hdfs")
    written = hadoop_path if whole_or_not else hadoop_path.suffix(f".{secrets.token_hex(4)}.tmp")
    stream = system.create(written, True)
    try:
        stream.write(bytearray(data))
    finally:
        stream.close()
    if not whole_or_not:
        _replace(spark, system, written, hadoop_path)


def _replace(spark: SparkSession, system: Any, written: Any, path: Any) -> None:
    if str(system.getUri().getScheme()) == "file":
        system.rename(written, path)
        return
    kind = java_class(spark, "org.apache.hadoop.fs.Options").Rename
    options: Any = spark.sparkContext._gateway.new_array(kind, 1)  # pyright: ignore
    options[0] = kind.OVERWRITE
    java_class(spark, "org.apache.hadoop.fs.FileContext").getFileContext(system.getUri(), system.getConf()).rename(
        written, path, options
    )


def exists(spark: SparkSession, path: str) -> bool:
    """Whether there is a file or folder."""
    hadoop_path, system = _open(spark, path)
    return bool(system.exists(hadoop_path))


def move(spark: SparkSession, path: str, to: str) -> None:
    """Give a file or folder another name, at which nothing stands. Raises OSError where the file system refuses."""
    hadoop_path, system = _open(spark, path)
    target, _ = _open(spark, to)
    if not system.rename(hadoop_path, target):
        raise OSError(f"can't move {path} to {to}")


def parquet_rows(spark: SparkSession, path: str) -> int | None:
    """Rows of a Parquet file, from its footer, or None where there is no such file."""
    hadoop_path, system = _open(spark, path)
    if not system.exists(hadoop_path):
        return None
    source = java_class(spark, "org.apache.parquet.hadoop.util.HadoopInputFile").fromPath(hadoop_path, system.getConf())
    reader = java_class(spark, "org.apache.parquet.hadoop.ParquetFileReader").open(source)
    try:
        return int(reader.getRecordCount())
    finally:
        reader.close()


def names(spark: SparkSession, path: str) -> list[str]:
    """Names of the files in a folder, sorted; empty where there is no such folder."""
    hadoop_path, system = _open(spark, path)
    if not system.exists(hadoop_path):
        return []
    # one call for all of them: a log of a month holds too many to ask for each name
    paths = java_class(spark, "org.apache.hadoop.fs.FileUtil").stat2Paths(system.listStatus(hadoop_path))
    joined = str(java_class(spark, "scala.collection.immutable.ArraySeq").unsafeWrapArray(paths).mkString("\n"))
    return sorted(path.rpartition("/")[2] for path in joined.split("\n") if path)


def modified_ms(spark: SparkSession, path: str) -> int:
    """When a file was last changed, in milliseconds since 1970, by the file system's clock."""
    hadoop_path, system = _open(spark, path)
    return int(system.getFileStatus(hadoop_path).getModificationTime())


def scheme(spark: SparkSession, path: str) -> str:
    """The kind of file system: ``file``, ``hdfs``, ``s3a``..."""
    return str(_open(spark, path)[1].getUri().getScheme())


def delete(spark: SparkSession, path: str) -> None:
    """Delete a file or a folder with all that is in it."""
    hadoop_path, system = _open(spark, path)
    system.delete(hadoop_path, True)


def _open(spark: SparkSession, path: str) -> tuple[Any, Any]:
    hadoop_path = java_class(spark, "org.apache.hadoop.fs.Path")(path)
    return hadoop_path, hadoop_path.getFileSystem(java(spark).sessionState().newHadoopConf())


def storage_error(error: BaseException, path: str) -> StorageError | None:
    """The one sentence for a failure of the file system, or None where the failure is another."""
    text = str(error)
    if "No space left on device" in text or f"[Errno {errno.ENOSPC}]" in text:
        return StorageError(
            f"no space left on the disk of {path}; free some and start again: nothing was lost or half-written"
        )
    if "Permission denied" in text or "Read-only file system" in text or "Mkdirs failed" in text:
        return StorageError(f"{path} can't be written; check its owner and rights, then start again")
    if "Input/output error" in text:
        return StorageError(
            f"the disk of {path} fails (input/output error); see to it, then start again: nothing was half-written"
        )
    return None
