"""``erase`` and ``erasures``: a person's data goes, and what is on record of it."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headrace.cli.app import PipelinePath, app
from headrace.cli.console import say, stopping
from headrace.cli.held import show_held, told_of
from headrace.cli.jobs import train_and_tell
from headrace.cli.start import Master, Memory, connect, moment, spark_for
from headrace.cli.waiting import Waiting
from headrace.cli.whom import Alone, KindOption, Subject, SubjectFile, subject_value
from headrace.located import printable

if TYPE_CHECKING:
    from headrace.erasure.record import Record


@app.command()
def erase(
    pipeline: PipelinePath,
    subject: Subject = None,
    subject_file: SubjectFile = None,
    kind: KindOption = None,
    alone: Alone = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="say what would go, and what would stay; change nothing")
    ] = False,
    retrain: Annotated[
        str | None,
        typer.Option(
            "--retrain-as-of",
            help="if a model was trained on the person: then train anew on what was known before this date or time (UTC)",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="the result as one JSON object")] = False,
    master: Master = None,
    memory: Memory = "2g",
) -> None:
    """Erase a person from every table of a pipeline: rows, old files, predictions, training rows. This can't be undone.

    Safe beside a running ingest, to interrupt and to repeat; stop headrace score first. A signed record of it stays in the lake.

    Example: headrace erase conf/payments --subject-file person.txt --dry-run
    """
    from headrace.connections import connect_tracking, home_folder
    from headrace.erasure.find import person_named
    from headrace.erasure.run import Eraser
    from headrace.lineage.job import telling
    from headrace.privacy.keys import ERASURES, ensure_keys, open_ring
    from headrace.spec import load

    loaded = load(pipeline)
    as_of = moment(retrain) if retrain else None
    person = person_named(loaded, subject_value(subject, subject_file), kind=kind)
    reference = loaded.spec.keys.ring
    ring = open_ring(reference)
    if not dry_run and ensure_keys(reference, [ERASURES]):
        ring = open_ring(reference)
        say(f"made the key {ERASURES!r} in {reference}, which signs records of erasures; back the ring up")
    broker = connect(loaded)
    spark = spark_for(f"headrace erase {loaded.name}", master, memory)
    with (
        stopping("stopping before the next table; run the same command again to go on") as stop,
        Waiting("erase", doing="erasing") as waiting,
        nullcontext() if dry_run else telling(spark, loaded, "erase", notify=say),
    ):
        eraser = Eraser(
            spark=spark, pipeline=loaded, ring=ring, broker=broker, stop=stop, linked=not alone,
            tracking=lambda: connect_tracking(loaded, home=home_folder()), on_table=waiting.about, tell=waiting.tell,
        )  # fmt: skip
        held = eraser.look(person) if dry_run else None
        records = [] if dry_run else eraser.erase(person)
    if as_json:
        told = told_of(held) if held else {"records": [_plain(record) for record in records]}
        print(json.dumps({"dry_run": dry_run, "found": bool(held.anything if held else records), **told}))
    elif held is not None and held.anything:
        show_held(held, title="would go")
        for model in held.models:
            print(f"trained on the person: {printable(model)}; it would be marked")
        for sentence in held.left:
            print(f"would stay: {printable(sentence)}")
    elif records:
        for record in records:
            _show_record(record)
    else:
        print("nothing was found")
        for sentence in held.left if held else ():
            print(f"not reached: {printable(sentence)}")
    if as_of is not None and any(record.models for record in records):
        train_and_tell(spark, loaded, as_of=as_of)


@app.command()
def erasures(
    pipeline: PipelinePath,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON line for each record")] = False,
    master: Master = None,
    memory: Memory = "2g",
) -> None:
    """List the records of erasures and check their signatures. Exit code 9 where one does not hold, or a file is no record.

    Example: headrace erasures conf/payments
    """
    from headrace.erasure.record import no_records, read_records
    from headrace.errors import AccountingError
    from headrace.lake.layout import Layout
    from headrace.privacy.keys import open_ring
    from headrace.spec import load

    loaded = load(pipeline)
    ring = open_ring(loaded.spec.keys.ring)
    spark = spark_for(f"headrace erasures {loaded.name}", master, memory)
    folder = Layout(loaded.spec.lake.root).erasures
    found, damaged = read_records(spark, folder, ring=ring)
    for record, problem in found:
        if as_json:
            print(json.dumps({**_plain(record), "signature": problem or "holds"}))
        else:
            print(printable(f"{record.begun_at}  {record.id}  {record.state}, by {record.user} on {record.host}"))
            print(printable(f"  rows: {_rows_in_words(record)}; signature: {problem or 'holds'}"))
    if not found and not damaged:
        say("no record of an erasure is in this lake")
    if damaged:
        raise no_records(damaged, folder)
    wrong = [record.id for record, problem in found if problem]
    if wrong:
        raise AccountingError(
            f"the signature of {len(wrong)} records of erasures does not hold ({', '.join(map(printable, wrong))}); restore them "
            "from a copy, or the key ring that signed them"
        )


def _show_record(record: Record) -> None:
    print(f"erased: {_rows_in_words(record)}")
    print(f"removed {sum(record.files.values()):,} old files; signed record: {record.id}")
    for model in record.models:
        print(f"trained on the person: {printable(model)}; marked as erased and not reproducible: train anew")
    for sentence in record.left:
        print(f"stays: {printable(sentence)}")


def _rows_in_words(record: Record) -> str:
    parts = [f"{rows:,} {verdict} of {name}" for name, found in record.rows.items() for verdict, rows in found.items()]
    parts += [f"{record.predictions:,} predictions"] if record.predictions else []
    parts += [f"{rows:,} training rows of {run}" for run, rows in record.snapshots.items()]
    return ", ".join(parts) or "0"


def _plain(record: Record) -> dict[str, Any]:
    return {name: value for name, value in asdict(record).items() if name != "plan"}
