"""``check`` and ``json-schema``: the pipeline file, without starting anything."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from headrace.cli.app import PipelinePath, app


@app.command()
def check(
    pipeline: PipelinePath,
    as_json: Annotated[bool, typer.Option("--json", help="problems as JSON lines")] = False,
) -> None:
    """Say whether a pipeline file is right, without starting anything. Exit code 3 if it is not; a warning does not count.

    Example: headrace check conf/flights
    """
    from headrace.errors import SpecError
    from headrace.located import read
    from headrace.spec import examine, warn_of_unclassified

    loaded, problems = examine(pipeline)
    warnings = [] if loaded is None or problems else warn_of_unclassified(loaded, read(loaded.file))
    for problem in [*problems, *warnings]:
        if as_json:
            print(json.dumps({"file": str(problem.file), "line": problem.line, "message": problem.message}))
        else:
            print(problem)
    if problems or loaded is None:
        raise SpecError(
            f"{len(problems)} problem{'s' if len(problems) != 1 else ''} in {pipeline}; correct the lines above"
        )
    streams = ", ".join(loaded.spec.streams)
    print(f"{loaded.file}: right (pipeline {loaded.name}, version {loaded.version}; streams {streams})")


@app.command("json-schema")
def json_schema() -> None:
    """Print the JSON Schema of the pipeline file, for editors.

    Example: headrace json-schema > conf/pipeline.schema.json
    """
    from headrace.spec.json_schema import pipeline_json_schema

    print(pipeline_json_schema(), end="")
