"""The demo's folder: what an earlier run left there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from rich.console import Console

from headrace.errors import StorageError

OURS = ("kafka", "lake", "mlflow", "data_docs", "keys.json", "demo.json", "demo.html", "demo-state.json")


def prepare(home: Path, *, fresh: bool, console: Console) -> dict[str, Any]:
    """What an earlier demo left: its state if it finished, nothing if a new one is to begin (leftovers are removed)."""
    from headrace.embedded import servers

    file = home / "demo-state.json"
    try:
        home.mkdir(parents=True, exist_ok=True)
        state = json.loads(file.read_text(encoding="utf-8")) if file.exists() else None
    except (OSError, ValueError) as error:
        raise StorageError(f"{home} can't be used for the demo ({error}); choose another folder with --home") from None
    if state is None and (home / "lake").exists():
        raise StorageError(f"{home} holds a lake that is not the demo's; choose another folder with --home")
    if state and "finished" in state and not fresh:
        console.print("an earlier demo finished here: summing it up again (headrace demo --fresh starts anew)")
        return state
    if state is not None:
        console.print("removing what an earlier demo left")
    servers.down(home)
    for name in OURS:
        path = home / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    return {}


def write_state(home: Path, state: dict[str, Any]) -> None:
    """Remember how far the demo came."""
    temporary = home / "demo-state.json.tmp"
    temporary.write_text(json.dumps(state), encoding="utf-8")
    temporary.replace(home / "demo-state.json")


def pipeline_folder() -> Path:
    """conf/flights of the folder in which the command runs, or of the repository. Raises StorageError where neither has it."""
    for folder in (Path.cwd(), Path(__file__).parents[3]):
        if (folder / "conf" / "flights" / "pipeline.yaml").is_file():
            return folder / "conf" / "flights"
    raise StorageError("conf/flights is not here; run the demo from the repository's folder")
