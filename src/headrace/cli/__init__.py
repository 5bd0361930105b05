"""``headrace <verb>``: the same verbs as ``jobs/``, and those that only a person at a terminal needs."""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn

import typer

from headrace.cli import audit as _audit  # noqa: F401  # pyright: ignore[reportUnusedImport]
from headrace.cli import erase as _erase  # noqa: F401  # pyright: ignore[reportUnusedImport]
from headrace.cli import features as _features  # noqa: F401  # pyright: ignore[reportUnusedImport]
from headrace.cli import feed as _feed  # noqa: F401  # pyright: ignore[reportUnusedImport]
from headrace.cli import files as _files  # noqa: F401  # pyright: ignore[reportUnusedImport]
from headrace.cli import jobs as _jobs  # noqa: F401  # pyright: ignore[reportUnusedImport]
from headrace.cli import keys as _keys  # noqa: F401  # pyright: ignore[reportUnusedImport]
from headrace.cli import lineage as _lineage  # noqa: F401  # pyright: ignore[reportUnusedImport]
from headrace.cli import maintain as _maintain  # noqa: F401  # pyright: ignore[reportUnusedImport]
from headrace.cli import models as _models  # noqa: F401  # pyright: ignore[reportUnusedImport]
from headrace.cli import parameters as _parameters  # noqa: F401  # pyright: ignore[reportUnusedImport]
from headrace.cli import quarantine as _quarantine  # noqa: F401  # pyright: ignore[reportUnusedImport]
from headrace.cli import replay as _replay  # noqa: F401  # pyright: ignore[reportUnusedImport]
from headrace.cli import reproduce as _reproduce  # noqa: F401  # pyright: ignore[reportUnusedImport]
from headrace.cli import resume as _resume  # noqa: F401  # pyright: ignore[reportUnusedImport]
from headrace.cli import search as _search  # noqa: F401  # pyright: ignore[reportUnusedImport]
from headrace.cli import servers as _servers  # noqa: F401  # pyright: ignore[reportUnusedImport]
from headrace.cli import subject as _subject  # noqa: F401  # pyright: ignore[reportUnusedImport]
from headrace.cli.app import app
from headrace.cli.console import say
from headrace.errors import INTERRUPTED, GateRefused, HeadraceError

__all__ = ["app", "main"]


def main() -> NoReturn:
    """Run a command and exit with its code (docs/exit-codes.md)."""
    code: object = 0
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        code = app(standalone_mode=False)  # typer turns Ctrl-C, and what a command exits with, into a returned code
        if code == INTERRUPTED:
            say("stopped")
    except HeadraceError as error:
        say(f"{'refused' if isinstance(error, GateRefused) else 'error'}: {error}")
        _leave(error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        say("stopped")
        _leave(INTERRUPTED)
    except typer.Exit as end:
        _leave(end.exit_code)
    except Exception as error:
        if hasattr(error, "show") and hasattr(error, "exit_code"):
            error.show()  # pyright: ignore[reportAttributeAccessIssue]
            _leave(error.exit_code)  # pyright: ignore[reportAttributeAccessIssue]
        if os.environ.get("HEADRACE_DEBUG"):
            raise
        if type(error).__name__ == "Py4JNetworkError":
            say("error: Spark's JVM ended (killed, or out of memory?); nothing was lost: run the same command again")
            _leave(1)
        say(
            f"error: unexpected {type(error).__name__}; run it again with HEADRACE_DEBUG=1 to see where (that may show data)"
        )
        _leave(1)
    _leave(code if isinstance(code, int) else 0)


def _interrupt(_signal: int, _frame: object) -> None:
    """A verb that does not listen for SIGTERM itself ends as by Ctrl-C."""
    raise KeyboardInterrupt


def _leave(code: int) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    sys.exit(code)
