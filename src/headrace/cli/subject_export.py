"""``subject``: a person's data, for the person; and how a verb is told whom it is about."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import IO, Annotated

import typer

from headrace.cli.app import PipelinePath, app
from headrace.cli.console import say, stopping
from headrace.cli.start import Master, Memory, connect, spark_for

Subject = Annotated[
    str | None,
    typer.Option(
        help="who: an e-mail address, or whatever the streams declare under subject; - reads it from standard input"
    ),
]
SubjectFile = Annotated[
    Path | None, typer.Option("--subject-file", help="a file that holds it, so that no list of processes shows it")
]
KindOption = Annotated[
    str | None, typer.Option("--kind", help="which kind of identifier it is (default: whichever it fits)")
]
Alone = Annotated[
    bool, typer.Option("--alone", help="only what names this very identifier; follow no other of the same person")
]


@app.command()
def subject(
    pipeline: PipelinePath,
    export: Annotated[str, typer.Option(metavar="DIR|-", help="a new folder for the files, or - for standard output")],
    subject: Subject = None,
    subject_file: SubjectFile = None,
    kind: KindOption = None,
    alone: Alone = False,
    master: Master = None,
    memory: Memory = "2g",
) -> None:
    """Write all that a pipeline holds of a person as JSON lines: encrypted values and quarantined records in clear.

    A folder gets one file for each table, which only its owner may read. Each opening of a quarantined record is logged.

    Example: headrace subject conf/payments --subject-file person.txt --export ada
    """
    from headrace.connections import connect_tracking, home_folder
    from headrace.erasure.export import export_lines
    from headrace.erasure.find import person_named
    from headrace.erasure.run import Eraser
    from headrace.privacy.keys import open_ring
    from headrace.spec import load

    loaded = load(pipeline)
    person = person_named(loaded, subject_value(subject, subject_file), kind=kind)
    ring = open_ring(loaded.spec.keys.ring)
    folder = None if export == "-" else _new_folder(Path(export))
    broker = connect(loaded)
    spark = spark_for(f"headrace subject {loaded.name}", master, memory)
    with stopping("stopping") as stop:
        eraser = Eraser(
            spark=spark, pipeline=loaded, ring=ring, broker=broker, stop=stop, linked=not alone,
            tracking=lambda: connect_tracking(loaded, home=home_folder()),
        )  # fmt: skip
        held = eraser.look(person)
        count, out = 0, dict[str, IO[str]]()
        for table, row in export_lines(spark, loaded, held, ring=ring):
            count += 1
            if folder is None:
                print(json.dumps({"table": table, **row}, ensure_ascii=False))
                continue
            if table not in out:
                out[table] = _private(folder / f"{table.replace('/', '.')}.jsonl")
            out[table].write(json.dumps(row, ensure_ascii=False) + "\n")
        for file in out.values():
            file.close()
    say(f"{count:,} rows" + ("" if folder is None else f" in {folder}"))
    for sentence in held.left:
        say(f"not in it: {sentence}")


def _new_folder(path: Path) -> Path:
    """Raises StorageError where something is there."""
    from headrace.errors import StorageError

    try:
        path.mkdir(mode=0o700, parents=True)
    except OSError as error:
        raise StorageError(f"{path} can't be made ({error.strerror}); name a folder that does not exist yet") from None
    return path


def _private(path: Path) -> IO[str]:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8")


def subject_value(subject: str | None, file: Path | None) -> str:
    """The identifier that the options give, without white space at its ends. Raises BadParameter, StorageError."""
    from headrace.errors import StorageError

    if (subject is None) == (file is None):
        raise typer.BadParameter("say --subject or --subject-file, one of them")
    if file is not None:
        try:
            return file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise StorageError(f"{file}: can't be read ({type(error).__name__}); correct the path") from None
    return (sys.stdin.read() if subject == "-" else subject or "").strip()
