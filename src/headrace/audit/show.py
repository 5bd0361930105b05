"""Accounts as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.table import Table

from headrace.audit.account import Account
from headrace.lake.tables import ACCEPTED, DUPLICATE, QUARANTINED


def account_table(accounts: Sequence[Account]) -> Table:
    """One column per stream, one line per figure, and whether they add up."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for account in accounts:
        table.add_column(account.stream, justify="right")
    columns = [dict(_lines(account)) for account in accounts]
    names = list(dict.fromkeys(name for column in columns for name in column))
    for name in names:
        table.add_row(name, *(column.get(name, "") for column in columns))
    table.add_row("adds up", *("[green]yes[/]" if account.adds_up else "[bold red]NO[/]" for account in accounts))
    return table


def batch_table(account: Account) -> Table:
    """The ledger's entries of a stream's batches."""
    table = Table(
        box=None, pad_edge=False, header_style="bold", title=f"ledger of {account.stream}", title_justify="left"
    )
    for name in ("batch", "version", "committed (UTC)", "offsets"):
        table.add_column(name)
    for name in ("read", "accepted", "quarantined", "duplicate"):
        table.add_column(name, justify="right")
    table.add_column("counted")
    for batch in account.batches:
        spans = (f"{partition}: {first}-{end}" for partition, (first, end) in sorted(batch.spans.items()))
        wrong = batch.read != batch.total
        table.add_row(
            str(batch.batch), str(batch.version), f"{batch.at:%Y-%m-%d %H:%M:%S}", ", ".join(spans),
            "?" if batch.read is None else f"{batch.read:,}",
            *(f"{batch.verdict(name):,}" for name in (ACCEPTED, QUARANTINED, DUPLICATE)),
            batch.counted, style="red" if wrong else None,
        )  # fmt: skip
    return table


def _lines(account: Account) -> Iterator[tuple[str, str]]:
    if account.version is None:
        yield "no table yet", ""
    deep = account.compared
    if deep is not None:
        yield "records in Kafka", f"{deep.in_kafka:,}"
        yield "  in the table once", f"{deep.once:,}"
        if deep.taken_out:
            yield "  erased or removed since", f"{deep.taken_out:,}"
        if deep.gone:
            yield "rows whose record Kafka deleted", f"{deep.gone:,}"
        yield "sealed originals compared", f"{deep.sealed:,}"
    yield "batches", f"{len(account.batches):,}"
    yield "records read", f"{account.read:,}"
    yield "  accepted", f"{account.committed.get(ACCEPTED, 0):,}"
    yield "  quarantined", f"{account.committed.get(QUARANTINED, 0):,}"
    yield "  duplicate", f"{account.committed.get(DUPLICATE, 0):,}"
    yield "released by replay", f"{account.released:,}"
    yield "erased", f"{account.erased:,}"
    yield "removed by retention", f"{account.retired:,}"
    lost = sum(end - first for spans in account.lost.values() for first, end in spans)
    yield "offsets lost by acceptance", f"{lost:,}"
    if account.undone:
        yield "batches undone by RESTORE", f"{account.undone:,}"
    yield "rows now", f"{sum(account.rows.values()):,}"
    for name in (ACCEPTED, QUARANTINED, DUPLICATE):
        yield f"  {name} now", f"{account.rows.get(name, 0):,}"
    yield "not read yet", f"{'' if account.waiting_exact else 'at most '}{account.waiting:,}"
