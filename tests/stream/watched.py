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
    seen: frozenset[tuple[str, bytes]]
    """Of it and all that it started: the name, and the bytes of the arguments and of the environment."""

    @property
    def processes(self) -> bytes:
        """All that was seen."""
        return b"\n".join(name.encode() + b" " + shown for name, shown in self.seen)


def run_watched(
    command: Sequence[str], folder: Path, *, environment: Mapping[str, str], settings: Mapping[str, str] | None = None
) -> Watched:
    """Run it with Spark's event log in ``folder/events``. ``settings``: more of Spark's."""
    for name in ("events", "conf"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    written = {"spark.eventLog.enabled": "true", "spark.eventLog.compress": "false",
               "spark.eventLog.dir": f"file://{folder / 'events'}", **(settings or {})}  # fmt: skip
    defaults = "".join(f"{name} {value}\n" for name, value in written.items())
    (folder / "conf" / "spark-defaults.conf").write_text(defaults)
    seen: set[tuple[str, bytes]] = set()
    with (folder / "said.txt").open("ab") as said:
        process = subprocess.Popen(
            command, env={**os.environ, **environment, "SPARK_CONF_DIR": str(folder / "conf")}, stdout=said, stderr=said
        )  # fmt: skip
        try:
            while process.poll() is None:
                seen |= shown(process.pid)
                try:
                    process.wait(timeout=LOOK_SECONDS)
                except subprocess.TimeoutExpired:
                    continue
        finally:
            process.kill()
    return Watched(process.returncode, (folder / "said.txt").read_text(), frozenset(seen))


def shown(pid: int) -> set[tuple[str, bytes]]:
    """What a process and those below it show now."""
    seen: set[tuple[str, bytes]] = set()
    try:
        parent = psutil.Process(pid)
        family = [parent, *parent.children(recursive=True)]
    except psutil.Error:
        return seen
    for one in family:
        for name in ("cmdline", "environ"):
            try:
                seen.add((one.name(), Path(f"/proc/{one.pid}/{name}").read_bytes()))
            except (OSError, psutil.Error):
                continue
    return seen
