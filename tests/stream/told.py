"""Lineage events that commands tell into a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def declare_lineage(folder: Path) -> Path:
    """Have a pipeline's commands tell events into the file that is given back, which is not in its lake."""
    file, events = folder / "pipeline.yaml", folder / "told" / "events.jsonl"
    text, lineage = file.read_text(), {"transport": "file", "path": str(events), "every": "1h"}
    if text.startswith("{"):
        file.write_text(json.dumps({**json.loads(text), "lineage": lineage}, indent=1))
    else:
        file.write_text(f"{text}lineage: {json.dumps(lineage)}\n")
    return events


def told_by(events: Path, job: str) -> list[list[dict[str, Any]]]:
    """The events of each run of a job, in their order."""
    runs: dict[str, list[dict[str, Any]]] = {}
    for line in events.read_text().splitlines():
        event = json.loads(line)
        if event["job"]["name"] == job:
            runs.setdefault(event["run"]["runId"], []).append(event)
    return list(runs.values())


def named(datasets: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Datasets of an event by their names, each of which is there once."""
    found = {one["name"]: one for one in datasets}
    assert len(found) == len(datasets)
    return found


def version_of(dataset: dict[str, Any]) -> int:
    """The version of a table or model that was told."""
    return int(dataset["facets"]["version"]["datasetVersion"])
