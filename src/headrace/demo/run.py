"""One run of the demo, and what it remembers."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from headrace.ingest.writer import BatchReport


@dataclass
class Demo:
    """One run of the demo."""

    home: Path
    speed: float
    stop: threading.Event
    console: Console
    begun: float = field(default_factory=time.monotonic)
    produced: int = 0
    throughput: list[tuple[float, str, int]] = field(default_factory=list)
    """Seconds since the start, stream, rows of a micro-batch."""

    def step(self, text: str) -> None:
        """Announce a step; a stop that was asked for takes effect here."""
        if self.stop.is_set():
            raise KeyboardInterrupt
        self.console.print(f"[bold cyan]{time.monotonic() - self.begun:5.0f} s[/]  {text}", highlight=False)

    def on_batch(self, report: BatchReport) -> None:
        self.throughput.append((time.monotonic() - self.begun, report.stream, report.rows))
