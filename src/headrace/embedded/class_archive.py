"""The classes of Spark and Delta as Java keeps them, loaded and verified once: a JVM that finds them starts sooner.

A class-data archive is Java's own (JEP 350). It holds for one Java and one set of jars: where any of these changes it is not
used, and nothing else happens. ``headrace.quick_start`` makes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from headrace.embedded.jars import cache_folder, pyspark_jars
from headrace.embedded.java import Java

_QUIET = "-Xlog:cds=off -Xlog:cds+dynamic=off"


def jvm_options(java: Java, jars: Sequence[Path]) -> str:
    """What a JVM of ``java`` with ``jars`` ahead of Spark's own is started with: its archive, if there is one."""
    archive = archive_path(java, jars)
    return f"-XX:SharedArchiveFile={archive} {_QUIET}" if archive.exists() else ""


def archive_path(java: Java, jars: Sequence[Path]) -> Path:
    """Where the archive for this Java and these jars is, or would be."""
    told = [
        f"{file} {file.stat().st_size} {file.stat().st_mtime_ns}"
        for file in (java.path.resolve(), *jars, *pyspark_jars())
    ]
    return cache_folder() / "classes" / f"{hashlib.sha256(chr(10).join(told).encode()).hexdigest()[:16]}.jsa"
