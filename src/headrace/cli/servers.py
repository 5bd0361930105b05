"""``up``, ``down``, ``status``, ``ui`` and ``jars``: what runs on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.app import app
from headrace.cli.console import say

if TYPE_CHECKING:
    from headrace.embedded.servers import Status


@app.command()
def up() -> None:
    """Start the embedded servers of this folder (.headrace), or find those that run.

    Example: headrace up && headrace status
    """
    from headrace.connections import home_folder
    from headrace.embedded import servers

    _print_status(servers.up(home_folder(), notify=say))


@app.command()
def down() -> None:
    """End the embedded servers of this folder; their data stays.

    Example: headrace down
    """
    from headrace.connections import home_folder
    from headrace.embedded import servers

    _print_status(servers.down(home_folder()))


@app.command()
def status() -> None:
    """Say which embedded servers run, where, and how large they are.

    Example: headrace status
    """
    from headrace.connections import home_folder
    from headrace.embedded import servers

    _print_status(servers.status(home_folder()))


def _print_status(found: Status) -> None:
    for server in found.servers:
        if server.running:
            print(f"{server.name:<10} running  {server.address}  pid {server.pid}  {server.rss_mb or 0:.0f} MiB")
        else:
            print(f"{server.name:<10} stopped")


@app.command()
def ui(port: Annotated[int | None, typer.Option(help="port (default: the first free one from 5001)")] = None) -> None:
    """Serve the MLflow web interface of the embedded store until Ctrl-C.

    Example: headrace ui
    """
    from headrace.connections import home_folder
    from headrace.embedded.mlflow_store import MlflowUi

    MlflowUi(home_folder()).serve(port, notify=say)


@app.command()
def jars() -> None:
    """Print the pinned Spark jars, comma-separated, for spark-submit.

    Example: spark-submit --jars $(headrace jars) jobs/ingest.py conf/flights
    """
    from headrace.embedded.jars import SPARK, fetch

    print(",".join(str(jar) for jar in fetch(SPARK, notify=say)))
