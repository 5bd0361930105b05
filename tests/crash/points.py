"""Where a crash strikes: before and after every effect of an ingest's start and of a micro-batch, by name."""

from __future__ import annotations

from dataclasses import dataclass

LEDGER = r"/ledger/readings/[^/]+/0{20}\.jsonl$"
LOG = r"/events/readings/_delta_log"
CHECKPOINT = r"/checkpoints/ingest/readings"


@dataclass(frozen=True)
class Point:
    """The ``nth`` time that ``operation`` reaches a path that matches ``path``; of a ``step``, ``path`` is its name."""

    operation: str
    path: str
    nth: int = 1

    @property
    def modes(self) -> tuple[str, ...]:
        """What may happen here: a step is a place in our own Python code, every other one lies inside Spark or Delta."""
        if self.operation == "step":
            return "exception", "exit", "kill"
        worker = ("kill worker",) if self.path.startswith("/events/readings/ingest_date") else ()
        return "exception", "full", "exit", "kill", *worker


def _around(name: str, path: str, *, nth: int = 1) -> dict[str, Point]:
    return {f"{name}, before": Point("rename", path, nth), f"{name}, after": Point("renamed", path, nth)}


POINTS: dict[str, Point] = {
    **_around("table creation", rf"{LOG}/0{{20}}\.json$"),
    **_around("sign of life", r"/events/readings/_headrace/lease$"),
    **_around("lease commit", rf"{LOG}/0{{19}}1\.json$"),
    **_around("first ledger", LEDGER),
    **_around("query metadata", rf"{CHECKPOINT}/metadata$"),
    **_around("first offsets", rf"{CHECKPOINT}/sources/0/0$"),
    **_around("offset log", rf"{CHECKPOINT}/offsets/1$"),
    "batch begun": Point("step", "begun", 2),
    "batch planned": Point("step", "planned", 2),
    "first data file, before": Point("create", r"/events/readings/ingest_date=.*\.parquet$", 1),
    "first data file, after": Point("closed", r"/events/readings/ingest_date=.*\.parquet$", 1),
    "second data file, before": Point("create", r"/events/readings/ingest_date=.*\.parquet$", 2),
    "second data file, after": Point("closed", r"/events/readings/ingest_date=.*\.parquet$", 2),
    **_around("Delta commit", rf"{LOG}/0{{19}}3\.json$"),
    "Delta checkpoint, before": Point("create", rf"{LOG}/.*checkpoint.*parquet"),
    "Delta checkpoint, after": Point("closed", rf"{LOG}/.*checkpoint.*parquet"),
    "batch committed": Point("step", "committed", 2),
    **_around("ledger", LEDGER, nth=3),
    "batch reported": Point("step", "reported", 2),
    **_around("commit log", rf"{CHECKPOINT}/commits/1$"),
    "validation result, before": Point("step", "validating"),
    "validation result, after": Point("step", "validated"),
}
REQUESTS, PREDICTIONS = r"/serving/[^/]+/requests", r"/serving/[^/]+/predictions"
PUBLISHING = r"/checkpoints/score/[^/]+/publish"
SCORING_POINTS: dict[str, Point] = {
    **_around("requests' commit", rf"{REQUESTS}/_delta_log/\d+\.json$", nth=2),
    "predictions' file, before": Point("create", rf"{PREDICTIONS}/[^_/]+\.parquet$"),
    "predictions' file, after": Point("closed", rf"{PREDICTIONS}/[^_/]+\.parquet$"),
    **_around("predictions' commit", rf"{PREDICTIONS}/_delta_log/\d+\.json$", nth=2),
    **_around("publishing's offset log", rf"{PUBLISHING}/offsets/\d+$"),
    **_around("publishing's commit log", rf"{PUBLISHING}/commits/\d+$"),
}
"""Of a scoring job whose tables exist: the first commit of each is its lease."""
SKIPPED = Point("step", "skipped")
"""Reached by the restart after a crash between Delta commit and commit log: Delta has the batch already."""
