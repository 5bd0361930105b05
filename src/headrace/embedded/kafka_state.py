"""What is remembered of the embedded broker between two commands."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class BrokerState:
    """Ports and cluster id stay when the broker stops; ``pid`` and ``created`` (seconds since 1970) are then None."""

    port: int
    controller_port: int
    cluster_id: str
    pid: int | None = None
    created: float | None = None


def read_state(path: Path) -> BrokerState | None:
    """The state in a file; None if it is absent or damaged."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        pid, created = told["pid"], told["created"]
        return BrokerState(
            port=int(told["port"]),
            controller_port=int(told["controller_port"]),
            cluster_id=str(told["cluster_id"]),
            pid=None if pid is None else int(pid),
            created=None if created is None else float(created),
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None


def write_state(path: Path, state: BrokerState) -> None:
    """Replace the file as a whole, so that a reader sees the old state or the new. Raises OSError."""
    handle, scratch = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(asdict(state), file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        Path(scratch).replace(path)
    except BaseException:
        Path(scratch).unlink(missing_ok=True)
        raise
