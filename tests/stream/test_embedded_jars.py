"""The jar cache: complete or not used, and one sentence where the network is absent."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from headrace.embedded.jars import KAFKA, SPARK, Jar, JarSet, fetch
from headrace.errors import PrerequisiteError, StorageError


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every download goes to a proxy where nobody listens."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")


def copied_cache(tmp_path: Path) -> tuple[Path, list[Path]]:
    """A cache with a copy of the broker's jars."""
    source = fetch(KAFKA)[0].parent
    shutil.copytree(source, tmp_path / "jars" / source.name)
    return tmp_path, [tmp_path / "jars" / source.name / jar.name for jar in fetch(KAFKA)]


def test_sparks_jars_are_sorted_and_hold_the_pinned_versions_and_nothing_that_pyspark_ships() -> None:
    names = [jar.name for jar in fetch(SPARK)]
    assert names == sorted(names)
    assert {"delta-spark_4.1_2.13-4.4.0.jar", "spark-sql-kafka-0-10_2.13-4.1.1.jar", "kafka-clients-3.9.2.jar"} <= set(
        names
    )
    assert not [
        name for name in names if name.startswith(("slf4j", "log4j", "parquet", "hadoop", "unitycatalog", "zstd"))
    ]
    assert len(names) <= 20


def test_another_version_has_another_folder() -> None:
    changed = JarSet(name="kafka", roots=(Jar("org.apache.kafka", "kafka_2.13", "4.1.1"), *KAFKA.roots[1:]))
    assert changed.folder != KAFKA.folder


def test_a_copied_cache_is_used_without_a_network(tmp_path: Path, no_network: None) -> None:
    cache, jars = copied_cache(tmp_path)
    lines: list[str] = []
    assert fetch(KAFKA, cache=cache, notify=lines.append) == jars
    assert lines == []


@pytest.mark.parametrize("fault", ["shortened", "missing", "no manifest"])
def test_a_folder_that_is_not_whole_is_never_used(tmp_path: Path, no_network: None, fault: str) -> None:
    cache, jars = copied_cache(tmp_path)
    if fault == "shortened":
        jars[3].write_bytes(jars[3].read_bytes()[:1000])
    elif fault == "missing":
        jars[3].unlink()
    else:
        (jars[0].parent / "jars.json").unlink()
    with pytest.raises(PrerequisiteError):
        fetch(KAFKA, cache=cache)


def test_without_a_network_one_sentence_tells_the_remedy(tmp_path: Path, no_network: None) -> None:
    lines: list[str] = []
    with pytest.raises(PrerequisiteError, match=r"can't be reached .* connect to the network once") as told:
        fetch(KAFKA, cache=tmp_path, notify=lines.append)
    assert "\n" not in str(told.value)
    assert len(lines) == 1
    assert [path.name for path in (tmp_path / "jars").iterdir() if path.is_dir()] == []


def test_a_cache_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="ascii")
    with pytest.raises(StorageError, match="HEADRACE_CACHE"):
        fetch(KAFKA, cache=tmp_path / "file" / "cache")
