"""Data files that an installed distribution carries, found without importing it."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

from headrace.errors import PrerequisiteError


def packaged_file(package: str, name: str, *, extra: str | None = None) -> Path:
    """The path of the file called ``name`` inside the installed distribution ``package``.

    The distribution's own list of files is read and its code is never run: some data packages can't be imported with
    new setuptools. ``extra`` is Headrace's own extra that brings the package, named in the remedy.

    Raises PrerequisiteError where the package is not installed or carries no such file.
    """
    remedy = f"pip install 'headrace[{extra}]'" if extra else f"pip install {package}"
    try:
        files = importlib.metadata.files(package) or []
    except importlib.metadata.PackageNotFoundError:
        raise PrerequisiteError(f"The package {package} is not installed: run {remedy}.") from None
    for file in files:
        if file.name == name:
            path = Path(str(file.locate()))
            if path.is_file():
                return path
    raise PrerequisiteError(f"The installed package {package} has no file {name}: install it anew with {remedy}.")
