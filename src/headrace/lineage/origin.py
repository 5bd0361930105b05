"""From a model back to the offsets of the topics: by MLflow, the tables' logs and the ledger, without Spark or a lineage server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from headrace.audit.cut import Cut, effective, take_cut
from headrace.audit.findings import Ranges, joined
from headrace.audit.window import Window
from headrace.lake.layout import Layout
from headrace.lake.ledger.record import BATCH, UNKNOWN, Record
from headrace.lake.outside import DamagedLog
from headrace.lake.tables import ACCEPTED, DUPLICATE, QUARANTINED
from headrace.training.grown import Grown
from headrace.training.recipe import Recipe
from headrace.training.recorded import Source
from headrace.training.trained import Trained


@dataclass(frozen=True)
class Origin:
    """What a version of an events table holds, and where it is from."""

    stream: str
    topic: str
    path: str
    version: int
    offsets: Ranges = field(default_factory=dict)
    """Partition to the ranges of offsets that were read: the first, and the one behind the last."""
    batches: int = 0
    rows: Mapping[str, int] = field(default_factory=dict)
    """Verdict to the rows that the batches wrote."""
    released: int = 0
    """Rows that a replay moved to accepted."""
    erased: int = 0
    erased_since: int = 0
    """Rows that erasures took out after this version."""
    lost: Ranges = field(default_factory=dict)
    """Offsets whose loss was accepted."""
    unknown: str = ""
    """What neither ledger nor log knows, in a sentence; empty where all is known."""

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {**asdict(self), "offsets": _as_json(self.offsets), "lost": _as_json(self.lost)}


@dataclass(frozen=True)
class Lineage:
    """A model's way back."""

    trained: Trained
    recipe: Recipe | Grown
    origins: tuple[Origin, ...]

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        recipe = self.recipe
        return {
            "model": self.trained.model, "version": self.trained.version, "run": recipe.run_id,
            "sha256": recipe.booster_sha256, "pipeline": recipe.pipeline.name, "pipeline_version": recipe.pipeline.version,
            "as_of": recipe.as_of.isoformat(), "commit": recipe.environment.commit, "dirty": recipe.environment.dirty,
            "packages": recipe.environment.packages, "settings": recipe.settings, "rounds": recipe.rounds,
            "parameters": {name: one.version for name, one in recipe.parameters.items()},
            "step": recipe.step.model_dump(mode="json") if isinstance(recipe, Grown) else None,
            "snapshot": recipe.snapshot.model_dump(exclude={"columns"}),
            "tables": [origin.as_json() for origin in self.origins],
        }  # fmt: skip


def trace(trained: Trained, recipe: Recipe | Grown, *, root: str | None) -> Lineage:
    """The way back of a model. ``root``: of the lake, where it is not where it was at the training.

    Raises StorageError where a table can't be reached.
    """
    found: list[Origin] = []
    for stream, source in sorted(recipe.tables.items()):
        lake = Layout(root or source.path.removesuffix(f"/events/{stream}"))
        found.append(origin(stream, source, table=lake.events(stream), ledger=lake.ledger(stream)))
    return Lineage(trained, recipe, tuple(found))


def origin(stream: str, source: Source, *, table: str, ledger: str) -> Origin:
    """Of one table at the version that was read."""
    bare = Origin(stream, source.topic, table, source.version)
    try:
        cut = take_cut(table=table, ledger=ledger, window=Window())
    except DamagedLog as damage:
        return _unknown(bare, f"the table's log can't be read ({damage})")
    if cut is None:
        return _unknown(bare, "the table is gone")
    if cut.version < source.version:
        return _unknown(bare, f"the table is at version {cut.version}: it was restored or made anew")
    return _told(bare, cut)


def _told(bare: Origin, cut: Cut) -> Origin:
    every = sorted([*cut.live, *cut.undone], key=lambda record: record.version)
    live = effective([record for record in every if record.version <= bare.version])
    batches = [record for record in live if record.kind == BATCH]
    unknown = [record for record in live if record.kind == UNKNOWN]
    told = ", ".join(f"{record.versions.start} to {record.version}" for record in unknown)
    return Origin(
        stream=bare.stream,
        topic=bare.topic,
        path=bare.path,
        version=bare.version,
        offsets=_joined(batches, lambda record: record.spans),
        batches=len(batches),
        rows={name: sum(record.verdict(name) for record in batches) for name in (ACCEPTED, QUARANTINED, DUPLICATE)},
        released=sum(int(record.told.get("released", 0)) for record in live if record.kind == "replay"),
        erased=_erased(live),
        erased_since=_erased([record for record in cut.live if record.version > bare.version]),
        lost=_joined(live, lambda record: record.lost),
        unknown=f"neither ledger nor log knows versions {told}" if unknown else "",
    )


def _unknown(bare: Origin, why: str) -> Origin:
    return Origin(bare.stream, bare.topic, bare.path, bare.version, unknown=why)


def _erased(records: Sequence[Record]) -> int:
    return -sum(record.total for record in records if record.kind == "erase")


def _joined(records: Sequence[Record], spans: Any) -> Ranges:
    found: dict[int, list[tuple[int, int]]] = {}
    for record in records:
        for partition, (first, end) in spans(record).items():
            if first < end:
                found.setdefault(partition, []).append((first, end))
    return {partition: joined(some) for partition, some in sorted(found.items())}


def _as_json(ranges: Ranges) -> dict[str, list[list[int]]]:
    return {str(partition): [list(span) for span in spans] for partition, spans in ranges.items()}
