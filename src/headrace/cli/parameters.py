"""``parameters``: what is made of accepted rows for training, and which version of it is used."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from headrace.cli.app import PipelinePath, app
from headrace.cli.console import say, stopping
from headrace.cli.start import Master, Memory, connect, moment, spark_for
from headrace.located import printable

if TYPE_CHECKING:
    from headrace.parameters import Parameters, State
    from headrace.spec import Pipeline
    from headrace.training.making import Made

NAME = typer.Argument(metavar="NAME[/VERSION]", help="such as statistics, or vocabulary.carriers/3")
Versioned = Annotated[str, typer.Argument(metavar="NAME/VERSION", help="such as statistics/3")]
AsJson = Annotated[bool, typer.Option("--json", help="as JSON")]


class _Making(TyperGroup):
    """``headrace parameters PIPELINE`` is ``headrace parameters make PIPELINE``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] != "--help":
            args = ["make", *args]
        return super().parse_args(ctx, args)


parameters = typer.Typer(
    cls=_Making,
    no_args_is_help=True,
    help="Make a model's parameters of accepted rows and publish them on the topic PIPELINE.parameters; look at them, pin one.\n\n"
    "Example: headrace parameters conf/flights --as-of 2013-03-01",
)
app.add_typer(parameters, name="parameters")


@parameters.command()
def make(
    pipeline: PipelinePath,
    as_of: Annotated[str | None, typer.Option(help="use only what was known before this date or time (UTC)")] = None,
    continuous: Annotated[
        bool, typer.Option("--continuous", help="go on as rows arrive; publish what changed materially")
    ] = False,
    until_caught_up: Annotated[
        bool, typer.Option("--until-caught-up", help="with --continuous: end once all that is there was looked at")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON line for each version")] = False,
    master: Master = None,
    memory: Memory = "2g",
) -> None:
    """Make what the section parameters declares, and publish it: once, of what was known before a time, or as rows arrive.

    Example: headrace parameters conf/flights --as-of 2013-03-01
    """
    from headrace.lineage.job import PARAMETERS_CONTINUOUS, telling
    from headrace.spec import load

    if (as_of is None) != continuous or (until_caught_up and not continuous):
        raise typer.BadParameter("say either --as-of TIME or --continuous; --until-caught-up goes with the latter")
    loaded = load(pipeline)
    when = moment(as_of) if as_of else None
    broker = connect(loaded)

    with stopping("stopping after what is being made; Ctrl-C again ends at once (nothing is lost either way)") as stop:
        spark = spark_for(f"headrace parameters {loaded.name}", master, memory)
        with telling(spark, loaded, PARAMETERS_CONTINUOUS if continuous else "parameters", notify=say) as told:

            def on_made(made: list[Made]) -> None:
                for one in made:
                    line = json.dumps(_line(one.parameters) | {"new": one.is_new}) if as_json else _sentence(one)
                    print(line, flush=True)
                new = [one.parameters for one in made if one.is_new]
                if new:
                    told.published(new, bootstrap=broker.bootstrap)

            if when is not None:
                from headrace.training.making import make as run

                on_made(run(spark, loaded, broker=broker, as_of=when, notify=say))
            else:
                from headrace.training.following import follow

                job = follow(spark, loaded, broker=broker, on_made=on_made, notify=say)
                job.run(until_caught_up=until_caught_up, stop=stop)
    if stop.is_set() and (until_caught_up or not continuous):
        raise KeyboardInterrupt


@parameters.command("list")
def list_all(pipeline: PipelinePath, as_json: AsJson = False, master: Master = None, memory: Memory = "2g") -> None:
    """List every version of every name, and which one is current.

    Example: headrace parameters list conf/flights
    """
    from headrace.cli.parameters_shown import show_list
    from headrace.spec import load

    state = known(load(pipeline), master, memory)
    if as_json:
        for name in state.names:
            for one in state.versions(name):
                print(json.dumps(_line(one) | _standing(state, one)))
    else:
        show_list(state)


@parameters.command()
def show(
    pipeline: PipelinePath,
    name: Annotated[str, NAME],
    as_json: AsJson = False,
    master: Master = None,
    memory: Memory = "2g",
) -> None:
    """Show one version, or the current one, for people; with --json all of it.

    Example: headrace parameters show conf/flights statistics
    """
    from headrace.cli.parameters_shown import show_one
    from headrace.spec import load

    state = known(load(pipeline), master, memory)
    one = _found(state, name)
    if as_json:
        print(json.dumps(json.loads(one.as_json()) | _standing(state, one)))
    else:
        show_one(one, state.pointers.get(one.name))


@parameters.command()
def compare(
    pipeline: PipelinePath,
    before: Annotated[str, NAME],
    after: Annotated[str, NAME],
    as_json: Annotated[bool, typer.Option("--json", help="one JSON line for each difference")] = False,
    master: Master = None,
    memory: Memory = "2g",
) -> None:
    """Tell what differs between two versions of one name, and what of it is material.

    Example: headrace parameters compare conf/flights statistics/1 statistics/2
    """
    from dataclasses import asdict

    from headrace.cli.parameters_shown import show_differences
    from headrace.errors import ParametersError
    from headrace.parameters.compare import differences
    from headrace.spec import load

    state = known(load(pipeline), master, memory)
    old, new = _found(state, before), _found(state, after)
    if old.name != new.name:
        raise ParametersError(f"{old.key} and {new.key} say different things; compare two versions of one name")
    found = differences(old.name, old.value, new.value)
    if as_json:
        for one in found:
            print(json.dumps(asdict(one)))
    else:
        show_differences(old, new, found)


@parameters.command()
def pin(
    pipeline: PipelinePath,
    version: Versioned,
    why: Annotated[str, typer.Option(help="for whoever looks at it later")],
    master: Master = None,
    memory: Memory = "2g",
) -> None:
    """Make a version current and hold it there, whatever is published later.

    Example: headrace parameters pin conf/flights statistics/3 --why "version 4 saw the strike"
    """
    from headrace.parameters import pin as hold
    from headrace.spec import load

    name, number = _split(version)
    if number is None:
        raise typer.BadParameter(f"say which version, as in {version}/3")
    loaded = load(pipeline)
    broker = connect(loaded)
    spark = spark_for(f"headrace parameters {loaded.name}", master, memory)
    pointer = hold(spark, loaded, broker=broker, name=name, version=number, why=why)
    print(f"{name}/{pointer.version} is current, and pinned")


@parameters.command()
def unpin(
    pipeline: PipelinePath,
    name: Annotated[str, typer.Argument(help="such as statistics")],
    why: Annotated[str, typer.Option(help="for whoever looks at it later")],
    master: Master = None,
    memory: Memory = "2g",
) -> None:
    """Make the newest version current again, and let later ones take its place.

    Example: headrace parameters unpin conf/flights statistics --why "the strike is over"
    """
    from headrace.parameters import unpin as let_go
    from headrace.spec import load

    loaded = load(pipeline)
    broker = connect(loaded)
    spark = spark_for(f"headrace parameters {loaded.name}", master, memory)
    pointer = let_go(spark, loaded, broker=broker, name=name, why=why)
    print(f"{name}/{pointer.version} is current")


@parameters.command()
def publish(pipeline: PipelinePath, master: Master = None, memory: Memory = "2g") -> None:
    """Send what is in the lake and not on the topic, and copy what only the topic has. A lost topic or table is made anew.

    Example: headrace parameters publish conf/flights
    """
    from headrace.parameters import publish_missing
    from headrace.parameters.publish import restore
    from headrace.spec import load

    loaded = load(pipeline)
    broker = connect(loaded)
    spark = spark_for(f"headrace parameters {loaded.name}", master, memory)
    copied = restore(spark, loaded, broker=broker)
    sent = publish_missing(spark, loaded, broker=broker)
    print(f"{loaded.parameters_topic}: {sent} records sent, {copied} copied into the lake")


@parameters.command()
def schema() -> None:
    """Print the JSON Schema of the topic's records.

    Example: headrace parameters schema > conf/parameters.schema.json
    """
    from headrace.parameters.schema import parameters_json_schema

    print(parameters_json_schema(), end="")


def known(pipeline: Pipeline, master: str | None, memory: str) -> State:
    """The state on the topic; where no broker runs or nothing is on it, that of the copy in the lake (which needs Spark)."""
    from headrace.connections import find_broker, home_folder
    from headrace.errors import BrokerError
    from headrace.parameters import read_state
    from headrace.parameters.table import read_table

    broker = find_broker(pipeline, home=home_folder())
    try:
        state = read_state(pipeline, broker=broker) if broker else None
    except BrokerError as error:
        say(str(error))
        state = None
    if state is not None and state.names:
        return state
    say("reading the copy in the lake")
    return read_table(spark_for(f"headrace parameters {pipeline.name}", master, memory), pipeline)


def _found(state: State, text: str) -> Parameters:
    name, number = _split(text)
    return state.current(name) if number is None else state.version(name, number)


def _split(text: str) -> tuple[str, int | None]:
    name, _, number = text.partition("/")
    if number and not number.isdecimal():
        raise typer.BadParameter(f"{printable(text)!r} is no version; write {printable(name)}/3")
    return name, int(number) if number else None


def _line(one: Parameters) -> dict[str, Any]:
    said = json.loads(one.as_json())
    return {key: said[key] for key in ("name", "version", "as_of", "made_at", "sources", "sha256")}


def _standing(state: State, one: Parameters) -> dict[str, Any]:
    pointer = state.pointer_to(one)
    if pointer is None:
        return {"current": False, "pinned": False, "why": None}
    return {"current": True, "pinned": pointer.pinned, "why": pointer.why}


def _sentence(made: Made) -> str:
    if made.is_new:
        return f"{made.parameters.key}: published"
    return f"{made.parameters.key}: nothing new"
