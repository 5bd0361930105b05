"""The command-line application that the verbs register with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Headrace leads event streams to trained models: Kafka in, Delta and MLflow out, every record accounted for.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
PipelinePath = Annotated[Path, typer.Argument(metavar="PIPELINE", help="folder with pipeline.yaml, or the file itself")]
