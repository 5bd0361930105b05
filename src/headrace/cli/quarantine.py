"""``quarantine``: what was put aside, why and when; and one record of it in clear, for who holds the key ring."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from typer.core import TyperGroup

from headrace.cli.app import PipelinePath, app
from headrace.cli.replay import From, Rules, To, chosen, require_table
from headrace.cli.start import Master, Memory, spark_for
from headrace.errors import HeadraceError, SpecError
from headrace.located import printable

if TYPE_CHECKING:
    from headrace.monitoring.quarantine import Overview, Sample
    from headrace.spec import Pipeline

_BARS = " ▁▂▃▄▅▆▇█"


class _Listing(TyperGroup):
    """``headrace quarantine PIPELINE`` is ``headrace quarantine list PIPELINE``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] != "--help":
            args = ["list", *args]
        return super().parse_args(ctx, args)


quarantine = typer.Typer(
    cls=_Listing,
    no_args_is_help=True,
    help="What lies in the quarantine: counts by rule, their trend, and samples; or one record.\n\n"
    "Example: headrace quarantine conf/flights --stream weather --samples 3",
)
app.add_typer(quarantine, name="quarantine")


@quarantine.command("list")
def list_rows(
    pipeline: PipelinePath,
    stream: Annotated[str | None, typer.Option(help="only this stream")] = None,
    rule: Rules = None,
    start: From = None,
    end: To = None,
    samples: Annotated[
        int, typer.Option(min=0, max=1000, help="so many of the newest rows, as the table has them")
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON line per stream")] = False,
    master: Master = None,
    memory: Memory = "2g",
) -> None:
    """Count the quarantined rows by rule, with their trend, and show samples. Protected columns stay protected.

    Example: headrace quarantine conf/flights --stream weather --samples 3
    """
    from headrace.lake import delta
    from headrace.lake.layout import Layout
    from headrace.monitoring.quarantine import overview
    from headrace.monitoring.quarantine import samples as sampled
    from headrace.spec import load

    loaded = load(pipeline)
    selection = chosen(loaded, stream, rule, start, end)
    spark = spark_for(f"headrace quarantine {loaded.name}", master, memory)
    if stream is not None:
        require_table(spark, loaded, stream)
    for name in [stream] if stream is not None else loaded.spec.streams:
        table = Layout(loaded.spec.lake.root).events(name)
        if delta.exists(spark, table):
            found = overview(spark, table, stream=name, selection=selection)
            rows = sampled(spark, table, selection=selection, count=samples) if samples else []
            _print_json(found, rows) if as_json else _print(found, rows)


@quarantine.command()
def show(
    pipeline: PipelinePath,
    record: Annotated[str, typer.Argument(metavar="TOPIC/PARTITION/OFFSET", help="the record's coordinates")],
    clear: Annotated[bool, typer.Option("--clear", help="open it: needs the key ring, and is logged")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="as one JSON object; bytes also in Base64")] = False,
    master: Master = None,
    memory: Memory = "2g",
) -> None:
    """Show a quarantined record: as the table holds it, or with --clear as it was sent.

    Each use of --clear is noted in the lake (who, when, which record) before the record is opened.

    Example: headrace quarantine show conf/flights flights.weather/0/15 --clear
    """
    from headrace.lake.layout import Layout
    from headrace.lake.openings import log_opening
    from headrace.monitoring.quarantine import quarantined_row, sample_of
    from headrace.privacy.keys import open_ring
    from headrace.privacy.seal import open_sealed
    from headrace.spec import load

    loaded = load(pipeline)
    stream, topic, partition, offset = _coordinates(loaded, record)
    ring = open_ring(loaded.spec.keys.ring) if clear else None
    spark = spark_for(f"headrace quarantine {loaded.name}", master, memory)
    row = quarantined_row(spark, require_table(spark, loaded, stream), partition=partition, offset=offset)
    if row is None:
        raise HeadraceError(f"{record} is not in the quarantine of stream {stream!r}: accepted, released or erased")
    told: dict[str, Any] = _plain(sample_of(row))
    if ring is not None:
        log_opening(spark, Layout(loaded.spec.lake.root).openings, topic=topic, partition=partition, offset=offset)
        original = open_sealed(bytes(row["payload"]), topic=topic, partition=partition, offset=offset, ring=ring)
        headers = [{"name": name, **_bytes("value", value)} for name, value in original.headers]
        told |= {**_bytes("key", original.key), **_bytes("value", original.value), "headers": headers}
    if as_json:
        print(json.dumps(told))
        return
    headers = told.pop("headers", [])
    for name, value in _readable(told):
        print(f"{name:14} {_text(value)}")
    for header in headers:
        for name, value in _readable(header):
            print(f"{'header ' + name:14} {_text(value)}")


def _coordinates(pipeline: Pipeline, record: str) -> tuple[str, str, int, int]:
    topic, *numbers = record.rsplit("/", 2)
    if len(numbers) != 2 or not all(number.isdigit() for number in numbers):
        raise typer.BadParameter(f"{record!r} is no record; write TOPIC/PARTITION/OFFSET, such as flights.weather/0/15")
    topics = {stream.topic: name for name, stream in pipeline.spec.streams.items()}
    if topic not in topics:
        raise SpecError(f"no stream reads topic {topic!r}: expected one of {', '.join(topics)}")
    return topics[topic], topic, int(numbers[0]), int(numbers[1])


def _bytes(name: str, data: bytes | None) -> dict[str, str | None]:
    """A part of a record, as text where it is UTF-8, and as Base64."""
    if data is None:
        return {name: None, f"{name}_base64": None}
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = None
    return {name: text, f"{name}_base64": base64.b64encode(data).decode()}


def _readable(told: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The same without Base64 where there is a text."""
    for name, value in told.items():
        if not name.endswith("_base64") or told[name.removesuffix("_base64")] is None:
            yield name, value


def _plain(sample: Sample) -> dict[str, Any]:
    return {**asdict(sample), "ingested_at": sample.ingested_at.isoformat(), "failed_rules": list(sample.failed_rules)}


def _print_json(found: Overview, rows: list[Sample]) -> None:
    rules = [
        {"rule": one.rule, "rows": one.rows, "first": one.first.isoformat(), "last": one.last.isoformat(), "trend": one.trend}
        for one in found.rules
    ]  # fmt: skip
    told = {
        "stream": found.stream, "quarantined": found.rows, "step": found.step,
        "start": found.start.isoformat() if found.start else None, "rules": rules, "more_rules": found.more_rules,
        "samples": [_plain(row) for row in rows],
    }  # fmt: skip
    print(json.dumps(told))


def _print(found: Overview, rows: list[Sample]) -> None:
    print(f"{found.stream}: {found.rows:,} rows in quarantine")
    if not found.rows or found.start is None:
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("rule", overflow="fold")
    for name in ("rows", "first (UTC)", "last (UTC)"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column(f"by {found.step}", no_wrap=True)
    for one in found.rules:
        first, last = (f"{when:%Y-%m-%d %H:%M}" for when in (one.first, one.last))
        table.add_row(printable(one.rule), f"{one.rows:,}", first, last, _sparkline(one.trend))
    out = Console(highlight=False)
    out.print(table, markup=False)
    if found.more_rules:
        print(f"and {found.more_rules:,} rules more, each with fewer rows")
    for row in rows:
        print(f"\n{row.coordinates}  {row.ingested_at:%Y-%m-%d %H:%M:%S} UTC  {printable(', '.join(row.failed_rules))}")
        for name, value in row.columns.items():
            print(f"  {name:20} {_text(value)}")


def _sparkline(trend: tuple[int, ...]) -> str:
    most = max(trend)
    return "".join(_BARS[-(-count * (len(_BARS) - 1) // most)] for count in trend)


def _text(value: Any) -> str:
    return printable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str))
