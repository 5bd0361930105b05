"""A command that is looked at while it runs: what it says, Spark's event log, and what a list of processes shows of it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

LOOK_SECONDS = 0.3


@dataclass(frozen=True)
class Watched:
    """A command that has ended."""

    code: int
    said: str
    """Its standard output and error, also in ``said.txt``."""
    processes: bytes
    """Name, arguments and environment of it and of all that it started, as often as they changed."""


def run_watched(
    command: Sequence[str], folder: Path, *, environment: Mapping[str, str], settings: Mapping[str, str] | None = None
) -> Watched:
    """Run it with Spark's event log in ``folder/events``. ``settings``: more of Spark's."""
    for name in ("events", "conf"):
        (folder / name).mkdir(parents=True)
    written = {"spark.eventLog.enabled": "true", "spark.eventLog.compress": "false",
               "spark.eventLog.dir": f"file://{folder / 'events'}", **(settings or {})}  # fmt: skip
    defaults = "".join(f"{name} {value}\n" for name, value in written.items())
    (folder / "conf" / "spark-defaults.conf").write_text(defaults)
    seen: set[str] = set()
    with (folder / "said.txt").open("wb") as said:
        process = subprocess.Popen(
            command, env={**os.environ, **environment, "SPARK_CONF_DIR": str(folder / "conf")}, stdout=said, stderr=said
        )  # fmt: skip
        try:
            while process.poll() is None:
                seen |= _shown(process.pid)
                try:
                    process.wait(timeout=LOOK_SECONDS)
                except subprocess.TimeoutExpired:
                    continue
        finally:
            process.kill()
    return Watched(process.returncode, (folder / "said.txt").read_text(), "\n".join(seen).encode())


def _shown(pid: int) -> set[str]:
    shown: set[str] = set()
    try:
        parent = psutil.Process(pid)
        for one in (parent, *parent.children(recursive=True)):
            shown.add(f"{one.name()} {one.cmdline()} {one.environ()}")
    except psutil.Error:
        pass
    return shown
