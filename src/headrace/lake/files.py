"""Small text files on whatever file system Spark writes to (local, ``s3a://``, ``hdfs://``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headrace.lake.delta import java

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def read_text(spark: SparkSession, path: str) -> str | None:
    """The file's text (UTF-8), or None where there is no such file."""
    jvm: Any = spark._jvm  # pyright: ignore[reportPrivateUsage]
    hadoop_path, system = _open(spark, path)
    if not system.exists(hadoop_path):
        return None
    stream = system.open(hadoop_path)
    try:
        return str(jvm.org.apache.commons.io.IOUtils.toString(stream, "UTF-8"))
    finally:
        stream.close()


def names(spark: SparkSession, path: str) -> list[str]:
    """Names of the files in a folder, sorted; empty where there is no such folder."""
    hadoop_path, system = _open(spark, path)
    if not system.exists(hadoop_path):
        return []
    return sorted(str(status.getPath().getName()) for status in system.listStatus(hadoop_path))


def delete(spark: SparkSession, path: str) -> None:
    """Delete a file or a folder with all that is in it."""
    hadoop_path, system = _open(spark, path)
    system.delete(hadoop_path, True)


def _open(spark: SparkSession, path: str) -> tuple[Any, Any]:
    jvm: Any = spark._jvm  # pyright: ignore[reportPrivateUsage]
    hadoop_path = jvm.org.apache.hadoop.fs.Path(path)
    return hadoop_path, hadoop_path.getFileSystem(java(spark).sessionState().newHadoopConf())
