"""The Java that Spark and the embedded broker run on."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from headrace.errors import PrerequisiteError

SUPPORTED = (17, 21)

_INSTALL = (
    "install one with `sudo apt install openjdk-17-jre-headless` (or openjdk-21-jre-headless; Debian, Ubuntu), "
    "`brew install openjdk@21` (macOS; then `export JAVA_HOME=$(brew --prefix openjdk@21)`) or "
    "`sudo dnf install java-21-openjdk-headless` (Fedora, RHEL)"
)
_VERSION_LINE = re.compile(r'^\S+ version "([^"]+)"', re.MULTILINE)
_VECTOR_MODULE = "jdk.incubator.vector"


@dataclass(frozen=True)
class Java:
    """A Java that was started once: ``path`` of the program, ``major`` version (17 or 21)."""

    path: Path
    major: int


def find_java(environ: Mapping[str, str] | None = None) -> Java:
    """The Java of ``JAVA_HOME``, or where that isn't set the first on ``PATH``; Spark looks in the same order.

    Raises PrerequisiteError, which names what to install, when there is none, it can't run, it isn't 17 or 21,
    or it is a cut-down runtime without the module that Spark needs.
    """
    environ = os.environ if environ is None else environ
    path, origin = _candidate(environ)
    major = _major_of(path, origin)
    if major not in SUPPORTED:
        age = "old" if major < SUPPORTED[0] else "new" if major > SUPPORTED[-1] else "unusual"
        raise PrerequisiteError(
            f"Java {major} at {path} ({origin}) is too {age} for Spark 4.1, which runs on Java 17 or 21: {_INSTALL}"
            f"{_then_home(origin)}."
        )
    if not _has_vector_module(path):
        raise PrerequisiteError(
            f"Java {major} at {path} ({origin}) is a cut-down runtime without the module {_VECTOR_MODULE}, "
            f"which Spark needs: {_INSTALL}{_then_home(origin)}."
        )
    return Java(path=path, major=major)


def major_version(text: str) -> int | None:
    """The major version in what ``java -version`` prints (1.8.0_402 is 8, 17.0.15 is 17), or None."""
    found = _VERSION_LINE.search(text)
    if found is None:
        return None
    numbers = re.findall(r"\d+", found.group(1))
    if not numbers:
        return None
    return int(numbers[1]) if numbers[0] == "1" and len(numbers) > 1 else int(numbers[0])


def _candidate(environ: Mapping[str, str]) -> tuple[Path, str]:
    home = environ.get("JAVA_HOME", "").strip()
    if home:
        path = Path(home).expanduser() / "bin" / "java"
        if not os.access(path, os.X_OK):
            raise PrerequisiteError(
                f"JAVA_HOME is {home}, but there is no program bin/java in it: unset JAVA_HOME, "
                f"or set it to a Java 17 or 21; to get one, {_INSTALL}."
            )
        return path, "from JAVA_HOME"
    found = shutil.which("java", path=environ.get("PATH", os.defpath))
    if found is None:
        raise PrerequisiteError(f"Headrace needs Java 17 or 21, and no java was found on PATH: {_INSTALL}.")
    return Path(found), "the first on PATH"


def _major_of(path: Path, origin: str) -> int:
    try:
        answer = subprocess.run(
            [str(path), "-version"], capture_output=True, encoding="utf-8", errors="replace", timeout=30, check=False
        )
        major = major_version(answer.stderr) or major_version(answer.stdout)
        printed = (answer.stderr or answer.stdout).strip().splitlines()
    except (OSError, subprocess.TimeoutExpired) as error:
        major, printed = None, [str(error)]
    if major is None:
        said = printed[0] if printed else "nothing"
        raise PrerequisiteError(f"{path} ({origin}) doesn't tell its Java version (it said: {said}): {_INSTALL}.")
    return major


def _has_vector_module(path: Path) -> bool:
    """True unless the runtime's own ``release`` file lists its modules and the one Spark needs isn't there."""
    try:
        lines = (path.resolve().parent.parent / "release").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return True
    modules = next((line for line in lines if line.startswith("MODULES=")), None)
    return modules is None or _VECTOR_MODULE in modules


def _then_home(origin: str) -> str:
    return " and let JAVA_HOME point to it" if origin == "from JAVA_HOME" else ""


if __name__ == "__main__":  # make asks before it runs what needs Java
    try:
        find_java()
    except PrerequisiteError as error:
        sys.exit(f"error: {error}")
