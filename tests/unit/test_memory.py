"""What a process has in memory."""

from __future__ import annotations

import os
import subprocess
import sys

import psutil

from headrace.embedded import resident
from headrace.embedded.resident import resident_bytes


def test_a_process_has_what_the_system_says_and_one_that_ended_has_nothing() -> None:
    held = resident_bytes(os.getpid())
    assert 0 < held <= 2 * psutil.Process().memory_info().rss
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert resident_bytes(ended.pid) == 0


def test_a_jvm_that_a_jvm_is_about_to_turn_into_another_program_is_not_counted_twice(monkeypatch) -> None:
    class Java(psutil.Process):
        def exe(self) -> str:
            return "/usr/bin/java"

    monkeypatch.setattr(resident.psutil, "Process", Java)
    assert resident_bytes(os.getpid()) == 0
    monkeypatch.setattr(Java, "parent", lambda self: None)
    assert resident_bytes(os.getpid()) > 0
