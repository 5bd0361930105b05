"""Which files a pipeline file may name: those beside it, and, for secrets and certificates, those of folders meant for them.

A file that somebody else wrote must not make Headrace read the files of who runs it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

SECRETS = "HEADRACE_SECRETS"
"""The variable that lists (separated by ``:``) further folders whose files may be given to Kafka."""
_SECRET_FOLDERS = ("/run/secrets", "/etc/headrace")
_CERTIFICATE_FOLDERS = ("/etc/ssl", "/etc/pki", "/usr/share/ca-certificates", "/usr/local/share/ca-certificates")


def beside(folder: Path, name: str) -> Path:
    """The file ``name`` of a pipeline's folder, its links not followed.

    Raises ValueError, saying what is wrong, where it is no path below the folder, or a link leads out of it.
    """
    if not name or not name.isprintable() or Path(name).is_absolute() or ".." in Path(name).parts or "://" in name:
        raise ValueError(
            f"{name!r} is no path below the pipeline's folder; copy the file there and write its relative path"
        )
    path = folder / name
    if not _resolved(path).is_relative_to(_resolved(folder)):
        raise ValueError(f"{name!r} is a link that leads out of the pipeline's folder; copy the file there")
    return path


def kafka_file(folder: Path, name: str, environment: Mapping[str, str], *, certificate: bool) -> Path:
    """The file that an option of Kafka names; a relative path starts at the pipeline's folder.

    It lies below that folder, ``/run/secrets``, ``/etc/headrace`` or a folder of ``HEADRACE_SECRETS``; a ``certificate`` may lie
    where a system keeps them, too. Raises ValueError, saying what is wrong, where it lies elsewhere.
    """
    if not name or not name.isprintable() or "://" in name:
        raise ValueError(f"{name!r} is no path of a file")
    path = _resolved(folder / name)
    more = [place for place in environment.get(SECRETS, "").split(os.pathsep) if place]
    places = [*_SECRET_FOLDERS, *more, *(_CERTIFICATE_FOLDERS if certificate else ())]
    if not any(path.is_relative_to(_resolved(Path(place))) for place in (folder, *places)):
        raise ValueError(
            f"{name!r} lies outside of what may be read; put it beside the pipeline file or below one of "
            f"{', '.join(places)}, or name its folder in {SECRETS}"
        )
    return path


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # a link to itself
        return Path(os.devnull)
