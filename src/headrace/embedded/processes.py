"""Finding and ending the processes of one embedded server, and no others."""

from __future__ import annotations

import time
from collections.abc import Iterable

import psutil

_SAME_START_S = 2.0


def find(words: frozenset[str]) -> list[psutil.Process]:
    """Live processes whose command line has all of ``words``, each as one whole argument; the oldest first."""
    found = [process for process in psutil.process_iter() if _carries(process, words)]
    return sorted(found, key=lambda process: process.create_time())


def recall(pid: int, *, created: float, words: frozenset[str]) -> psutil.Process | None:
    """The process ``pid`` if it is live, began at ``created`` (seconds since 1970) and carries ``words``; else None."""
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - created) < _SAME_START_S
    except psutil.Error:
        return None
    return process if same and _carries(process, words) else None


def is_alive(process: psutil.Process) -> bool:
    """True if this very process still runs (a zombie doesn't, nor a successor with its pid)."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def with_children(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """The processes and all that they started, without repeats."""
    family: dict[int, psutil.Process] = {}
    for process in processes:
        family[process.pid] = process
        try:
            family.update((child.pid, child) for child in process.children(recursive=True))
        except psutil.Error:
            continue
    return list(family.values())


def end(processes: Iterable[psutil.Process], *, timeout: float) -> None:
    """Ask the processes and their children to end (SIGTERM), and after ``timeout`` seconds kill those that remain."""
    family = with_children(processes)
    for process in family:
        try:
            process.terminate()
        except psutil.Error:
            continue
    if not _all_gone(family, timeout=timeout):
        for process in with_children(process for process in family if is_alive(process)):
            try:
                process.kill()
            except psutil.Error:
                continue
        _all_gone(family, timeout=5.0)


def rss_mb(process: psutil.Process) -> float:
    """Resident memory of the process and its children in MiB; 0 if it is gone."""
    total = 0
    for member in with_children([process]):
        try:
            total += member.memory_info().rss
        except psutil.Error:
            continue
    return round(total / 2**20, 1)


def _carries(process: psutil.Process, words: frozenset[str]) -> bool:
    try:
        return bool(words) and words.issubset(process.cmdline()) and is_alive(process)
    except psutil.Error:
        return False


def _all_gone(processes: list[psutil.Process], *, timeout: float) -> bool:
    deadline = time.monotonic() + timeout
    while any(is_alive(process) for process in processes):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
