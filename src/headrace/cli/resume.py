"""``resume``: a new checkpoint from what the tables say."""

from __future__ import annotations

from typing import Annotated

import typer

from headrace.cli.app import PipelinePath, app
from headrace.cli.console import say
from headrace.cli.start import Master, Memory, spark_for


@app.command()
def resume(
    pipeline: PipelinePath,
    from_table: Annotated[bool, typer.Option("--from-table", help="rebuild the checkpoint from the table's commits")],
    stream: Annotated[
        list[str] | None, typer.Option(help="only this one (may be repeated); score: the requests that scoring reads")
    ] = None,
    master: Master = None,
    memory: Memory = "2g",
) -> None:
    """Rebuild a lost, copied or rolled-back checkpoint, so that ingest goes on exactly where the table ends.

    The old checkpoint is kept beside the new one. A table that was restored to an older version gets the later records again.

    Example: headrace resume conf/flights --from-table --stream weather
    """
    from headrace.errors import SpecError
    from headrace.ingest import resume as ingest_resume
    from headrace.lake import delta
    from headrace.spec import load

    if not from_table:
        raise typer.BadParameter("say what to resume from: --from-table")
    loaded = load(pipeline)
    tables = ingest_resume.filled_tables(loaded)
    unknown = set(stream or ()) - set(tables)
    if unknown:
        raise SpecError(f"unknown stream {min(unknown)!r}: expected one of {', '.join(tables)}")
    spark = spark_for(f"headrace resume {loaded.name}", master, memory)
    chosen = stream or [name for name, filled in tables.items() if name != "score" or delta.exists(spark, filled.table)]
    for name in chosen:
        position = ingest_resume.resume(spark, tables[name], notify=say)
        until = ", ".join(f"partition {number} at offset {offset}" for number, offset in sorted(position.until.items()))
        print(f"{name}: goes on at {until or 'the beginning'}")
