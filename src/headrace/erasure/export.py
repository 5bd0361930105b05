"""What a pipeline holds of a person, in clear, to be given to them: a file for each table, and an index of where it is from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from headrace.erasure.answers import answer_rows
from headrace.erasure.held import Held, Search
from headrace.erasure.lines import Lines, plain_lines, record_lines
from headrace.erasure.private_folder import private_folder, write_private
from headrace.erasure.scan import SearchedTable, searched_tables
from headrace.lake import delta
from headrace.lake.erase import Place
from headrace.privacy.person import Person
from headrace.spec.paths import written

INDEX = "index.json"


@dataclass(frozen=True)
class Exported:
    """What was found of a person, and what of it is in the files."""

    held: Held
    rows: dict[str, int]
    """Table to rows; empty where nothing was found, and then there is no folder."""
    left: tuple[str, ...]
    """What is not in them, in sentences."""


def export(search: Search, person: Person, *, to: Path) -> Exported:
    """Write all rows of the person's, as they stood when this began, into the new folder ``to``, which appears when it is whole.

    Pseudonyms, masks and coarser values stay as they are: nobody can read them back. Raises StorageError where the folder can't
    be made, or an opening of a quarantined record can't be noted.
    """
    spark, pipeline = search.spark, search.pipeline
    began = {table.name: delta.version(spark, table.path) for table in searched_tables(spark, pipeline)}
    held = search.look(person)
    if not held.anything:
        return Exported(held, {}, held.left)
    files, left = list[dict[str, Any]](), [*held.left]
    with private_folder(to) as folder:
        for about, lines in _parts(search, held, began):
            about["file"] = about["table"].replace("/", ".") + ".jsonl"
            write_private(folder / about["file"], lines.lines)
            files.append(about)
            left += _gaps(about, lines, pipeline.spec.lake.keep_versions)
        index = {
            "pipeline": pipeline.name, "spec": pipeline.version, "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "identifiers": dict(held.found.identifiers), "files": files, "models": list(held.models), "not_in_it": left,
        }  # fmt: skip
        write_private(folder / INDEX, [json.dumps(index, indent=1, ensure_ascii=False)])
    return Exported(held, {about["table"]: about["rows"] for about in files}, tuple(left))


def _parts(search: Search, held: Held, began: dict[str, int]) -> Iterator[tuple[dict[str, Any], Lines]]:
    """What the index says of each table, and its rows."""
    spark, ring, found = search.spark, search.ring, held.found
    for table in found.tables:
        scanned = found.scans.get(table.name)
        if scanned is None or not scanned.found or table.name not in began:
            continue
        version, lines = began[table.name], Lines([])
        if scanned.places:
            lines = record_lines(spark, table, scanned, version=version, openings=search.layout.openings, ring=ring)
        about = _about(table.name, version, lines)
        about |= {"topic": table.stream.topic, "records": _in_groups(lines.places), "protected": _protected(table)}
        about["only_in_older_versions"] = _in_groups(scanned.old - scanned.places)
        about["changed_meanwhile"] = _in_groups(scanned.places - {*lines.places})
        yield about, lines
    for name, version, rows in answer_rows(spark, search.pipeline, found.ids, held.answers, ring=ring):
        lines = plain_lines(rows)
        yield _about(name, version, lines), lines


def _about(table: str, version: int, lines: Lines) -> dict[str, Any]:
    return {"file": "", "table": table, "version": version, "rows": len(lines.lines), "unopened": lines.unopened}


def _gaps(about: dict[str, Any], lines: Lines, keep: str) -> Iterator[str]:
    name = about["table"]
    old = _count(about.get("only_in_older_versions", ()))
    if old:
        yield f"{name}: {old} records are only in files of older versions, which headrace maintain removes after {keep}"
    if lines.unopened:
        yield f"{name}: {lines.unopened} values do not open (a retired key, or the row was changed); they are null"
    changed = _count(about.get("changed_meanwhile", ()))
    if changed:
        yield f"{name}: {changed} records came or went while this was made; run it again to have what is there now"


def _protected(table: SearchedTable) -> dict[str, str]:
    """Column, or path, to how it is written: what is encrypted was opened, everything else stays as it is."""
    found = table.stream.closed.items()
    return {written(path): one if isinstance(one, str) else type(one).__name__.lower() for path, one in found}


def _in_groups(places: Iterable[Place]) -> list[dict[str, Any]]:
    """Partition and offsets."""
    by_partition: dict[int, list[int]] = {}
    for partition, offset in sorted(places):
        by_partition.setdefault(partition, []).append(offset)
    return [{"partition": partition, "offsets": offsets} for partition, offsets in by_partition.items()]


def _count(groups: Iterable[dict[str, Any]]) -> int:
    return sum(len(group["offsets"]) for group in groups)
