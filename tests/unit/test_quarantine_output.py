"""What a quarantine shows at a terminal: steps of a trend, bars, and texts that can't steer the terminal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from headrace.cli.quarantine import _sparkline
from headrace.located import printable
from headrace.monitoring.quarantine import _step

NOON = datetime(2026, 3, 4, 12, 34, 56, tzinfo=UTC)  # a Wednesday


@pytest.mark.parametrize(
    ("length", "step", "start"),
    [
        (timedelta(0), "minute", NOON.replace(second=0)),
        (timedelta(minutes=46), "minute", NOON.replace(second=0)),
        (timedelta(hours=2), "hour", NOON.replace(minute=0, second=0)),
        (timedelta(days=3), "day", NOON.replace(hour=0, minute=0, second=0)),
        (timedelta(days=60), "week", datetime(2026, 3, 2, tzinfo=UTC)),
    ],
)
def test_a_trend_has_the_shortest_steps_that_fit(length: timedelta, step: str, start: datetime) -> None:
    assert _step(NOON, NOON + length) == (step, start)


@pytest.mark.parametrize(
    ("counts", "bars"), [((0, 1, 8), " ▁█"), ((5,), "█"), ((0, 0, 3), "  █"), (tuple(range(9)), " ▁▂▃▄▅▆▇█"), ((1, 800), "▁█")]
)  # fmt: skip
def test_the_highest_bar_is_full_and_a_single_row_is_seen(counts: tuple[int, ...], bars: str) -> None:
    assert _sparkline(counts) == bars


@pytest.mark.parametrize(
    ("text", "shown"),
    [("Ada é 世", "Ada é 世"), ("\x1b[31mred", "\\x1b[31mred"), ("a\u202eb", "a\\u202eb"), ("1\n2\t\r\x00", "1\\n2\\t\\r\\x00")],
)  # fmt: skip
def test_a_text_from_a_record_cannot_steer_a_terminal(text: str, shown: str) -> None:
    assert printable(text) == shown
