"""Spark's classes are kept once, and each JVM that starts later takes them from there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.embedded.class_archive import archive_path, jvm_options
from headrace.embedded.jars import SPARK, fetch
from headrace.embedded.java import find_java
from headrace.errors import StorageError
from headrace.quick_start import make_archive

COUNTS = """
from headrace.session import spark_session
spark = spark_session(app="classes", settings={"spark.driver.defaultJavaOptions": "-Xlog:class+load:file=classes.log"})
spark.range(3).write.format("delta").save("table")
"""


def test_a_session_takes_most_of_its_classes_from_the_archive(tmp_path: Path) -> None:
    make_archive(notify=lambda line: None)  # unless make test did
    subprocess.run([sys.executable, "-c", COUNTS], cwd=tmp_path, check=True, timeout=300)
    loaded = [line for line in (tmp_path / "classes.log").read_text().splitlines() if " org.apache.spark." in line]
    delta = [
        line for line in (tmp_path / "classes.log").read_text().splitlines() if " org.apache.spark.sql.delta." in line
    ]
    for lines in (loaded, delta):
        kept = [line for line in lines if "shared objects file" in line]
        from_jars = [line for line in lines if line.endswith(".jar")]
        assert len(kept) > 5 * len(from_jars)
        assert len(kept) > 100


def test_an_archive_is_of_one_java_and_one_set_of_jars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java = find_java()
    jars = [Path(shutil.copy2(jar, tmp_path)) for jar in fetch(SPARK)[:2]]
    assert archive_path(java, jars) == archive_path(java, jars) != archive_path(java, jars[:-1])
    monkeypatch.setenv("HEADRACE_CACHE", str(tmp_path))
    assert jvm_options(java, jars) == ""  # where there is none, nothing is asked for
    archive = archive_path(java, jars)
    archive.parent.mkdir()
    archive.touch()
    assert f"-XX:SharedArchiveFile={archive}" in jvm_options(java, jars)
    os.utime(jars[0])
    assert archive_path(java, jars) != archive, "a jar that was changed has classes of its own"


def test_a_cache_that_cannot_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jars = tmp_path / "jars"
    jars.symlink_to(fetch(SPARK)[0].parent.parent)
    monkeypatch.setenv("HEADRACE_CACHE", str(tmp_path))
    (tmp_path / "classes").write_text("in the way")
    with pytest.raises(StorageError, match="do without"):
        make_archive(notify=lambda line: None)
