"""``audit``: does everything that Kafka had add up?"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headrace.cli.app import PipelinePath, app
from headrace.cli.console import CONSOLE
from headrace.cli.start import connect, moment

if TYPE_CHECKING:
    from rich.table import Table

    from headrace.audit import Account, Window
    from headrace.connections import Broker
    from headrace.privacy.keys import KeyRing
    from headrace.spec import Pipeline


@app.command()
def audit(
    pipeline: PipelinePath,
    stream: Annotated[list[str] | None, typer.Option(help="only this one (may be repeated)")] = None,
    start: Annotated[
        str | None, typer.Option("--from", help="only batches committed at or after this time (UTC)")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="only batches committed before this time (UTC)")] = None,
    deep: Annotated[bool, typer.Option("--deep", help="compare record by record with the topic")] = False,
    batches: Annotated[bool, typer.Option("--batches", help="show the ledger's entry of each batch")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON document")] = False,
) -> None:
    """Hold Kafka, the ledger and the tables against each other; exit code 9 unless everything adds up.

    Without --deep no row is read, and what was read from Kafka is taken from the ledger. Safe while an ingest runs.

    Example: headrace audit conf/flights --deep
    """
    from headrace.audit import Window
    from headrace.errors import AccountingError, SpecError
    from headrace.spec import load

    loaded = load(pipeline)
    unknown = sorted(set(stream or ()) - set(loaded.spec.streams))
    if unknown:
        raise SpecError(f"unknown stream {unknown[0]!r}: expected one of {', '.join(loaded.spec.streams)}")
    window = Window(moment(start) if start else None, moment(end) if end else None)
    broker = connect(loaded)
    ring = _ring(loaded) if deep else None
    names = stream or list(loaded.spec.streams)
    accounts = [_account(loaded, name, broker=broker, window=window, deep=deep, ring=ring) for name in names]
    if as_json:
        print(json.dumps(_document(loaded, accounts, batches=batches)))
    else:
        _show(accounts, batches=batches)
    wrong = [account.stream for account in accounts if not account.adds_up]
    if wrong:
        raise AccountingError(
            f"{', '.join(wrong)}: does not add up; what is listed above says where (docs/accounting.md says what to do)"
        )


def _account(
    pipeline: Pipeline, name: str, *, broker: Broker, window: Window, deep: bool, ring: KeyRing | None
) -> Account:  # fmt: skip
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from headrace.audit import Deeply, audit_stream

    if not deep:
        return audit_stream(pipeline, name, broker=broker, window=window)
    shown = CONSOLE.is_terminal
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=CONSOLE, transient=True, disable=not shown) as progress:
        task = progress.add_task(f"{name}: rows and records", total=None)

        def on_progress(done: int, total: int) -> None:
            progress.update(task, completed=min(done, total), total=total)

        return audit_stream(pipeline, name, broker=broker, window=window, deeply=Deeply(ring, on_progress))


def _ring(pipeline: Pipeline) -> KeyRing | None:
    from headrace.cli.console import say
    from headrace.errors import KeyRingError
    from headrace.privacy.keys import open_ring

    try:
        return open_ring(pipeline.spec.keys.ring)
    except KeyRingError:
        say("no key ring to open sealed originals with: quarantined rows are compared without them")
        return None


def _document(pipeline: Pipeline, accounts: list[Account], *, batches: bool) -> dict[str, Any]:
    streams = [account.as_json() for account in accounts]
    if batches:
        for account, shown in zip(accounts, streams, strict=True):
            shown["ledger"] = [_entry(batch) for batch in account.batches]
    return {"pipeline": pipeline.name, "adds_up": all(account.adds_up for account in accounts), "streams": streams}


def _entry(batch: Any) -> dict[str, Any]:
    return {
        "version": batch.version, "committed_at": batch.at.isoformat(), "batch": batch.batch, "query": batch.told.get("query"),
        "read": batch.read, "counted": batch.counted, "rows": batch.rows, "spec": batch.told.get("spec"),
        "offsets": {str(partition): list(span) for partition, span in batch.spans.items()},
    }  # fmt: skip


def _show(accounts: list[Account], *, batches: bool) -> None:
    from rich.console import Console

    from headrace.audit.show import account_table, batch_table

    console = Console(highlight=False)
    tables: list[Table] = [account_table(accounts)]
    if batches:
        tables += [batch_table(account) for account in accounts]
    for table in tables:
        console.print(table)
    for account in accounts:
        for finding in account.findings:
            console.print(f"{account.stream}: {finding.text}", markup=False, soft_wrap=True, style="red")
