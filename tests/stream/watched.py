"""A command that is watched: what it and all processes below it show of themselves, to ``ps`` and in their environment."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil


def run_watched(
    command: Sequence[str], *, environment: Mapping[str, str], said: Path
) -> tuple[int, set[tuple[str, bytes]]]:
    """Run a command to its end, with its output and errors in ``said``: its exit code, and what was seen of processes.

    Of each: the name, and the bytes of its arguments and of its environment.
    """
    with said.open("ab") as out:
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
        seen: set[tuple[str, bytes]] = set()
        while process.poll() is None:
            seen |= shown(process.pid)
            try:
                process.wait(timeout=0.3)
            except subprocess.TimeoutExpired:
                continue
    return process.returncode, seen


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
