"""What a pipeline holds of a person, told by numbers only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from headrace.located import printable

if TYPE_CHECKING:
    from headrace.erasure.held import Held


def told_of(held: Held) -> dict[str, Any]:
    """What a dry run tells a program."""
    tables = {
        name: {"rows": dict(one.rows), "old_records": len(one.old - one.places), "untold": one.untold}
        for name, one in held.found.scans.items()
    }
    return {
        "identifiers": dict(held.found.identifiers), "tables": tables, "predictions": held.answers.predictions,
        "snapshots": dict(held.answers.snapshots), "models": list(held.models), "left": list(held.left),
    }  # fmt: skip


def show_held(held: Held, *, title: str) -> None:
    """Print how many rows each table has of the person; ``title`` says what would become of them."""
    known = ", ".join(f"{count} {printable(kind)}" for kind, count in held.found.identifiers.items())
    print(f"known of the person: {known}")
    table = Table(box=None, pad_edge=False, header_style="bold", title=title, title_justify="left")
    for name in ("table", "rows", "only in old files"):
        table.add_column(name, justify="left" if name == "table" else "right")
    for name, one in held.found.scans.items():
        rows = ", ".join(f"{count:,} {verdict}" for verdict, count in sorted(one.rows.items()))
        table.add_row(name, rows or "0", f"{len(one.old - one.places):,}")
    if held.answers.predictions:
        table.add_row("predictions", f"{held.answers.predictions:,}", "")
    for run, count in held.answers.snapshots.items():
        table.add_row(f"snapshots/{run}", f"{count:,}", "")
    Console(highlight=False).print(table, markup=False)
