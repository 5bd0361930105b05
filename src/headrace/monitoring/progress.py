"""How far a job is: a live table on a terminal, one JSON line per batch elsewhere."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.live import Live
from rich.table import Table

from headrace.ingest.writer import BatchReport
from headrace.lake.drift import Alert
from headrace.serving.scoring import ScoreReport

EndOffsets = Callable[[str], dict[int, int]]
"""For a stream: partition to the topic's end offset, as of now."""


@dataclass
class StreamCount:
    """Totals of one stream since the job started."""

    batches: int = 0
    accepted: int = 0
    quarantined: int = 0
    duplicate: int = 0
    seconds: float = 0.0
    last_seconds: float = 0.0
    lag: int | None = None

    @property
    def rows(self) -> int:
        return self.accepted + self.quarantined + self.duplicate


class Progress:
    """Counts batches as they are reported. Use as a context manager; the callbacks may come from any thread."""

    def __init__(self, *, end_offsets: EndOffsets | None = None, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)
        self.streams: dict[str, StreamCount] = {}
        self.predictions = 0
        self.model_version: int | None = None
        self._end_offsets, self._lock = end_offsets, threading.Lock()
        self._begun = time.monotonic()
        self._live = Live(get_renderable=self._table, console=self.console, refresh_per_second=4, transient=False)

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.console.is_terminal:
            self._live.stop()

    def on_batch(self, report: BatchReport) -> None:
        """Take in a finished micro-batch."""
        lag = self._lag(report)
        with self._lock:
            count = self.streams.setdefault(report.stream, StreamCount())
            count.batches += 1
            count.accepted += report.accepted
            count.quarantined += report.quarantined
            count.duplicate += report.duplicate
            count.seconds += report.seconds
            count.last_seconds, count.lag = report.seconds, lag
        self.log(
            "batch", stream=report.stream, batch=report.batch_id, rows=report.rows, accepted=report.accepted,
            quarantined=report.quarantined, duplicate=report.duplicate,
            rows_per_second=round(report.rows / max(report.seconds, 1e-3)),
            seconds=round(report.seconds, 3), lag=lag,
        )  # fmt: skip

    def on_score(self, report: ScoreReport) -> None:
        """Take in a commit of predictions."""
        with self._lock:
            self.predictions += report.rows
            self.model_version = report.model_version
        self.log(
            "scores", rows=report.rows, waiting_batches=report.waiting, model_version=report.model_version,
            degraded=report.degraded, seconds=round(report.seconds, 3),
        )  # fmt: skip

    def on_alert(self, alert: Alert) -> None:
        """Tell that a stream's records have changed."""
        if self.console.is_terminal:
            self.notify(alert.sentence)
        else:
            self.log(
                "drift",
                stream=alert.stream,
                kind=alert.kind,
                field=alert.field,
                batch=alert.batch_id,
                text=alert.sentence,
            )

    def notify(self, line: str) -> None:
        """A sentence for the person who watches."""
        if self.console.is_terminal:
            self.console.print(line, highlight=False, markup=False)
        else:
            self.log("note", text=line)

    def log(self, event: str, **fields: Any) -> None:
        """One structured line, where nobody watches live."""
        if not self.console.is_terminal:
            now = datetime.now(UTC).isoformat(timespec="milliseconds")
            print(json.dumps({"time": now, "event": event, **fields}), file=sys.stderr, flush=True)

    def _lag(self, report: BatchReport) -> int | None:
        if self._end_offsets is None:
            return None
        try:
            ends = self._end_offsets(report.stream)
        except Exception:  # progress must not end a job whose data is safe
            return None
        return sum(max(end - report.until.get(partition, 0), 0) for partition, end in ends.items())

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("stream")
        for name in ("rows", "rows/s", "accepted", "quarantined", "lag", "batch"):
            table.add_column(name, justify="right")
        elapsed = max(time.monotonic() - self._begun, 1e-3)
        with self._lock:
            for name, count in self.streams.items():
                rate = f"{count.rows / max(count.seconds, 1e-3):,.0f}"
                lag = "" if count.lag is None else f"{count.lag:,}"
                cells = (
                    f"{count.rows:,}",
                    rate,
                    f"{count.accepted:,}",
                    f"{count.quarantined:,}",
                    lag,
                    f"{count.last_seconds:.1f} s",
                )
                table.add_row(name, *cells)
            if self.predictions:
                table.add_row("predictions", f"{self.predictions:,}", "", "", "", "", f"model v{self.model_version}")
        table.caption = f"{elapsed:.0f} s; Ctrl-C stops after the batch that runs"
        table.caption_justify = "left"
        return table
