"""Makes every later start of Spark on this machine a quicker one.

python -m headrace.quick_start       once for each set-up: half a minute, 190 MB in the cache
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from headrace.embedded.class_archive import archive_path
from headrace.embedded.jars import SPARK, fetch
from headrace.embedded.java import find_java
from headrace.errors import INTERRUPTED, HeadraceError, StorageError
from headrace.session import spark_session

KEPT = 2
"""Archives that stay in the cache, the newest ones."""


def make_archive(*, notify: Callable[[str], None]) -> Path:
    """Make it where there is none: start Spark, write and read a small table, and have that JVM keep its classes.

    Raises PrerequisiteError as :func:`fetch` does, StorageError where the cache can't be written.
    """
    archive = archive_path(find_java(), fetch(SPARK, notify=notify))
    if archive.exists():
        return archive
    notify("Preparing the classes of Spark once, so that every later command starts sooner (half a minute).")
    try:
        archive.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".making-", dir=archive.parent) as scratch:
            made = Path(scratch) / "made.jsa"
            command = [sys.executable, "-m", "headrace.quick_start", "--load", f"{scratch}/table"]
            environment = {**os.environ, "SPARK_SUBMIT_OPTS": f"-XX:ArchiveClassesAtExit={made} -Xlog:cds=off"}
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
    spark = spark_session(app="classes", driver_memory="1g")
    rows = spark.range(100).selectExpr("id", "cast(id as string) as name", "id % 2 as part")
    rows.write.format("delta").partitionBy("part").save(table)
    changes = spark.readStream.format("delta").load(table).writeStream.format("delta")
    changes.option("checkpointLocation", f"{table}-checkpoint").trigger(availableNow=True).start(
        f"{table}-copy"
    ).awaitTermination()
    spark.sql(f"DELETE FROM delta.`{table}` WHERE id = 7")
    spark.read.format("delta").load(table).groupBy("part").count().collect()
    gateway: Any = spark.sparkContext._gateway  # pyright: ignore[reportPrivateUsage]
    spark.stop()
    gateway.shutdown()
    gateway.proc.stdin.close()  # the JVM ends when it is closed, and writes the archive then
    gateway.proc.wait()


if __name__ == "__main__":
    try:
        if sys.argv[1:2] == ["--load"]:
            load_classes(sys.argv[2])
        else:
            make_archive(notify=print)
    except HeadraceError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
