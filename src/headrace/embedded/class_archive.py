"""The classes of Spark and Delta as the JVM keeps them, loaded and verified once: each later JVM starts in half the time.

    python -m headrace.embedded.class_archive       make the archive where there is none (half a minute, 190 MB)

A class-data archive is Java's own (JEP 350). It holds for one Java and one set of jars; where any of these changes it is no
longer used, and nothing else happens.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from headrace.embedded.jars import SPARK, cache_folder, fetch, pyspark_jars
from headrace.embedded.java import find_java
from headrace.errors import HeadraceError, StorageError

KEPT = 2
"""Archives that stay in the cache, the newest ones."""
_QUIET = "-Xlog:cds=off -Xlog:cds+dynamic=off"
_MAKING = "HEADRACE_MAKING_ARCHIVE"


def jvm_options(jars: Sequence[Path]) -> str:
    """What a JVM with ``jars`` ahead of Spark's own is started with: its archive, if there is one."""
    making = os.environ.get(_MAKING)
    if making:
        return f"-XX:ArchiveClassesAtExit={making} {_QUIET}"
    archive = archive_path(jars)
    return f"-XX:SharedArchiveFile={archive} {_QUIET}" if archive.exists() else ""


def archive_path(jars: Sequence[Path]) -> Path:
    """Where the archive for this Java and these jars is, or would be."""
    java = find_java().path.resolve()
    told = [str(java), str(java.stat().st_mtime_ns)]
    told += [f"{jar} {jar.stat().st_size} {jar.stat().st_mtime_ns}" for jar in (*jars, *pyspark_jars())]
    return cache_folder() / "classes" / f"{hashlib.sha256(chr(10).join(told).encode()).hexdigest()[:16]}.jsa"


def make_archive(*, notify: Callable[[str], None]) -> Path:
    """Make it where there is none: start Spark, write and read a small table, and have that JVM keep its classes.

    Raises PrerequisiteError as :func:`fetch` does, StorageError where the cache can't be written.
    """
    archive = archive_path(fetch(SPARK, notify=notify))
    if archive.exists():
        return archive
    notify("Preparing the classes of Spark once, so that every later command starts in half the time (half a minute).")
    try:
        archive.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".making-", dir=archive.parent) as scratch:
            made = Path(scratch) / "made.jsa"
            command = [sys.executable, "-m", "headrace.embedded.class_archive", "--load", f"{scratch}/table"]
            environment = {**os.environ, _MAKING: str(made)}
            subprocess.run(command, env=environment, capture_output=True, check=True, timeout=600)
            made.replace(archive)
            for older in sorted(archive.parent.glob("*.jsa"), key=lambda one: one.stat().st_mtime)[:-KEPT]:
                older.unlink()
    except (OSError, subprocess.SubprocessError) as error:
        raise StorageError(
            f"the classes of Spark can't be kept in {archive.parent} ({error}); give it 200 MB, or do without: "
            "commands only start more slowly"
        ) from None
    return archive


def load_classes(table: str) -> None:
    """Use what most commands use: a table that is written, changed and read, once as a stream."""
    from headrace.session import spark_session

    spark = spark_session(app="classes", driver_memory="1g")
    rows = spark.range(100).selectExpr("id", "cast(id as string) as name", "id % 2 as part")
    rows.write.format("delta").partitionBy("part").save(table)
    changes = spark.readStream.format("delta").load(table).writeStream.format("delta")
    changes.option("checkpointLocation", f"{table}-checkpoint").trigger(availableNow=True).start(
        f"{table}-copy"
    ).awaitTermination()
    spark.sql(f"DELETE FROM delta.`{table}` WHERE id = 7")
    spark.read.format("delta").load(table).groupBy("part").count().collect()
    gateway = spark.sparkContext._gateway  # pyright: ignore[reportPrivateUsage]
    spark.stop()
    assert gateway is not None
    gateway.shutdown()
    gateway.proc.stdin.close()  # pyright: ignore  # the JVM ends when it is closed, and writes the archive then
    gateway.proc.wait()  # pyright: ignore


if __name__ == "__main__":
    try:
        if sys.argv[1:2] == ["--load"]:
            load_classes(sys.argv[2])
        else:
            make_archive(notify=print)
    except HeadraceError as error:
        sys.exit(f"error: {error}")
