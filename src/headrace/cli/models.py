"""``models`` and ``rollback``: which version serves, who decided so, and the way back."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from headrace.cli.app import PipelinePath, app
from headrace.cli.console import say
from headrace.cli.start import Master, Memory, spark_for
from headrace.located import printable

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from headrace.lake.decisions import Decision
    from headrace.spec import Pipeline
    from headrace.training.versions import Version


@app.command()
def models(
    pipeline: PipelinePath,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON line for each decision")] = False,
    master: Master = None,
    memory: Memory = "2g",
) -> None:
    """List the versions of the pipeline's model, the gate's verdicts, and every decision: who, when, why.

    Example: headrace models conf/flights
    """
    from headrace.connections import connect_tracking, home_folder
    from headrace.lake.decisions import champions, read_decisions
    from headrace.lake.layout import Layout
    from headrace.spec import load
    from headrace.training import registry
    from headrace.training.rollback import model_of
    from headrace.training.versions import known_versions

    loaded = load(pipeline)
    model = model_of(loaded)
    registry.open_tracking(connect_tracking(loaded, home=home_folder()))
    versions = known_versions(model)
    spark = spark_for(f"headrace models {loaded.name}", master, memory)
    trail = read_decisions(spark, Layout(loaded.spec.lake.root).decisions(model.name))
    if as_json:
        for one in trail:
            print(json.dumps({**asdict(one), "decided_at": one.decided_at.isoformat(), "checks": _checks(one)}))
    else:
        _show(versions, trail, alias=model.alias)
    serving = next((one.version for one in versions if one.serves), None)
    told = champions(trail)
    if told and told[-1] != serving:
        say(
            f"the trail says that version {told[-1]} serves, the alias {model.alias!r} points to {serving or 'none'}: it was moved "
            f"by hand, or a command was broken off; headrace rollback {pipeline} --to {told[-1]} brings it back"
        )
    tell_kafka(spark, loaded)


@app.command()
def rollback(
    pipeline: PipelinePath,
    to: Annotated[int | None, typer.Option(help="this version (default: the champion before this one)")] = None,
    why: Annotated[str, typer.Option(help="the reason, for the trail")] = "",
    even_if_refused: Annotated[
        bool, typer.Option("--even-if-refused", help="also a version that the gate refused")
    ] = False,
    master: Master = None,
    memory: Memory = "2g",
) -> None:
    """Bring the champion before this one back; a running score takes it up with its next commit. Safe to repeat.

    Example: headrace rollback conf/flights --why "too many false alarms"
    """
    from headrace.connections import connect_tracking, home_folder
    from headrace.spec import load
    from headrace.training.rollback import roll_back

    loaded = load(pipeline)
    spark = spark_for(f"headrace rollback {loaded.name}", master, memory)
    tracking = connect_tracking(loaded, home=home_folder())
    done = roll_back(spark, loaded, tracking=tracking, to=to, why=why, even_if_refused=even_if_refused)
    before = done.decision.previous_version if done.decision else done.version
    print(json.dumps({"version": done.version, "previous_version": before, "moved": done.decision is not None}))
    if done.decision is None:
        more = "" if to is not None else "; --to VERSION goes further back"
        say(f"version {done.version} serves already{more}")
    tell_kafka(spark, loaded)


def tell_kafka(spark: SparkSession, pipeline: Pipeline) -> None:
    """Send the decisions that wait to Kafka. Where that can't be done now it is said in one line, and done by a later command."""
    from headrace.connections import find_broker, home_folder
    from headrace.errors import HeadraceError
    from headrace.serving.announce import announce, decisions_topic, unannounced

    try:
        waiting = len(unannounced(spark, pipeline))
        if not waiting:
            return
        broker = find_broker(pipeline, home=home_folder())
        if broker is not None:
            announce(spark, pipeline, broker=broker)
            return
        why = "the embedded broker does not run"
    except HeadraceError as error:
        why = str(error)
    say(f"decisions for topic {decisions_topic(pipeline)} wait: {why}; the next train, rollback or models sends them")


def _show(versions: list[Version], trail: list[Decision], *, alias: str) -> None:
    if not versions:
        print("no version is registered yet; run: headrace train PIPELINE --as-of TIME")
        return
    console = Console(highlight=False)
    table = _table("version", "gate", "alias", "made (UTC)", "run")
    for one in versions:
        table.add_row(
            str(one.version),
            one.gate or "unknown",
            alias if one.serves else "",
            f"{one.made_at:%Y-%m-%d %H:%M}",
            one.run_id,
        )
    console.print(table, markup=False)
    if trail:
        console.print()
        table = _table("decided (UTC)", "who", "what", "version", "before", "why")
        for one in reversed(trail):
            before = "" if one.previous_version is None else str(one.previous_version)
            when, what = f"{one.decided_at:%Y-%m-%d %H:%M:%S}", one.action.replace("_", " ")
            table.add_row(when, printable(one.who), what, str(one.version), before, printable(one.why))
        console.print(table, markup=False)


def _table(*names: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in names:
        table.add_column(name)
    return table


def _checks(decision: Decision) -> list[dict[str, Any]]:
    return [{"name": name, "passed": passed, "sentence": said} for name, passed, said in decision.checks]
