"""What one process has in memory."""

from __future__ import annotations

from pathlib import Path

import psutil


def resident_bytes(pid: int) -> int:
    """What a process has in memory; 0 where it has ended, or does not run its own program yet.

    Hadoop starts a program for every change of rights. Until that program runs, its process is a second JVM to look at, of the
    same memory.
    """
    try:
        process = psutil.Process(pid)
        parent = process.parent()
        if parent is not None and Path(parent.exe()).name == Path(process.exe()).name == "java":
            return 0
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0
