"""Which Java is taken, and what a user is told when there is none that fits."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.embedded.java import find_java, major_version
from headrace.errors import PrerequisiteError

INSTALLS = ("apt install", "brew install", "dnf install")


def plant_java(folder: Path, version: str, *, modules: str | None = None) -> Path:
    """A program ``folder``/bin/java that answers ``-version`` as a real one of that version does."""
    (folder / "bin").mkdir(parents=True)
    java = folder / "bin" / "java"
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-04-15' >&2\n", encoding="ascii")
    java.chmod(0o755)
    if modules is not None:
        (folder / "release").write_text(f'JAVA_VERSION="{version}"\nMODULES="{modules}"\n', encoding="ascii")
    return java


def on_path(java: Path) -> dict[str, str]:
    return {"PATH": f"{java.parent}:/usr/bin:/bin"}


@pytest.mark.parametrize(
    ("printed", "major"),
    [
        ('java version "1.8.0_402"\nJava(TM) SE Runtime Environment', 8),
        ('openjdk version "11.0.2" 2019-01-15', 11),
        ('openjdk version "17.0.15" 2025-04-15\nOpenJDK Runtime Environment', 17),
        ('openjdk version "21" 2023-09-19', 21),
        ('openjdk version "22-ea" 2024-03-19', 22),
        ('Picked up JAVA_TOOL_OPTIONS: -Dapp.version="3.1"\nopenjdk version "17.0.15" 2025-04-15', 17),
        ("The operation couldn't be completed. Unable to locate a Java Runtime.", None),
        ("", None),
    ],
)
def test_the_major_version_is_read_from_every_form_that_javas_print(printed: str, major: int | None) -> None:
    assert major_version(printed) == major


@pytest.mark.parametrize("version", ["17.0.15", "21"])
def test_java_17_and_21_are_taken_from_path(tmp_path: Path, version: str) -> None:
    java = plant_java(tmp_path, version)
    found = find_java(on_path(java))
    assert (found.path, found.major) == (java, int(version[:2]))


def test_java_home_goes_before_path(tmp_path: Path) -> None:
    at_home, elsewhere = plant_java(tmp_path / "home", "21.0.8"), plant_java(tmp_path / "path", "17.0.15")
    found = find_java({"JAVA_HOME": str(tmp_path / "home"), **on_path(elsewhere)})
    assert (found.path, found.major) == (at_home, 21)


def test_without_java_the_error_names_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(PrerequisiteError, match="no java was found on PATH") as told:
        find_java({"PATH": str(tmp_path)})
    assert all(install in str(told.value) for install in INSTALLS)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("version", "word"), [("1.8.0_402", "old"), ("11.0.2", "old"), ("19", "unusual"), ("25", "new")]
)
def test_another_java_is_refused_by_its_version_and_place(tmp_path: Path, version: str, word: str) -> None:
    java = plant_java(tmp_path, version)
    with pytest.raises(PrerequisiteError, match=f"at {java} .* too {word} for Spark") as told:
        find_java(on_path(java))
    assert all(install in str(told.value) for install in INSTALLS)


def test_a_wrong_java_home_is_named_though_path_has_a_good_java(tmp_path: Path) -> None:
    good = plant_java(tmp_path / "good", "17.0.15")
    with pytest.raises(PrerequisiteError, match=r"JAVA_HOME is .*/nowhere, but there is no program bin/java"):
        find_java({"JAVA_HOME": str(tmp_path / "nowhere"), **on_path(good)})


def test_a_java_that_does_not_run_is_refused_with_what_it_said(tmp_path: Path) -> None:
    java = plant_java(tmp_path, "17.0.15")
    java.write_text("#!/bin/sh\necho 'Unable to locate a Java Runtime.' >&2\nexit 1\n", encoding="ascii")
    with pytest.raises(PrerequisiteError, match="it said: Unable to locate a Java Runtime"):
        find_java(on_path(java))


def test_a_cut_down_runtime_is_refused_before_spark_fails_on_it(tmp_path: Path) -> None:
    whole = plant_java(tmp_path / "whole", "17.0.15", modules="java.base jdk.incubator.vector")
    assert find_java(on_path(whole)).major == 17
    cut = plant_java(tmp_path / "cut", "17.0.15", modules="java.base java.sql")
    with pytest.raises(PrerequisiteError, match=r"jdk\.incubator\.vector"):
        find_java(on_path(cut))
