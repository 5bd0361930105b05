"""What ``headrace feed`` refuses before anything is started."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from headrace.cli import app
from headrace.errors import HeadraceError

DAY = ["--from", "2025-01-01", "--days", "1"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["trains", *DAY], "expected flights or payments"),
        (["payments"], "say which day is the last"),
        (["payments", *DAY, "--to", "2025-01-02"], "say which day is the last"),
        (["payments", *DAY, "--speed", "10", "--rate", "10"], "both set the pace"),
        (["flights", *DAY, "--seed", "3"], "--seed is for simulated data"),
        (["flights", *DAY, "--truth", "here"], "--truth is for simulated data"),
    ],
)
def test_wrong_options_are_named(arguments: list[str], said: str) -> None:
    done = CliRunner(env={"COLUMNS": "300"}).invoke(app, ["feed", *arguments])
    assert done.exit_code == 2
    assert said in done.output


def test_days_that_are_not_simulated_are_said_in_one_sentence() -> None:
    done = CliRunner().invoke(app, ["feed", "payments", "--from", "2026-01-01", "--days", "1"])
    assert isinstance(done.exception, HeadraceError)
    assert str(done.exception).endswith("choose from 2025-01-01 to 2025-12-31, the first one first")
