"""Erasing a person: what is computed first, then requests, then the records, so that a repeat finds what is left.

Before the first row goes, a record of the erasure says which rows are to go, by table, partition and offset. A run that was
interrupted is finished by the next one, whoever that one is about.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from headrace.connections import Broker, Tracking
from headrace.erasure import marks
from headrace.erasure.answers import Answers, erase_from_snapshot, erase_predictions, find_answers
from headrace.erasure.find import Found, find
from headrace.erasure.record import BEGUN, Planned, Record, new_record, read_records, write_record
from headrace.erasure.topics import kept_in, left_in_predictions, left_in_topics, tombstone
from headrace.errors import CheckpointError
from headrace.ingest.asking import Asking, State
from headrace.ingest.erase import erase_errand, erase_handler
from headrace.lake import delta
from headrace.lake.erase import ERASE, erase_places, purge
from headrace.lake.errands import Errands
from headrace.lake.layout import EVENTS, Layout
from headrace.lake.lease import Lease, leased
from headrace.lake.log import newest_first, read_log
from headrace.privacy.keys import KeyRing
from headrace.privacy.person import Person
from headrace.serving.publish import first_unpublished
from headrace.spec.pipeline import Pipeline

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_ROUNDS = 5
"""So often is looked again for rows that came meanwhile."""


@dataclass(frozen=True)
class Held:
    """All that a pipeline holds of a person."""

    found: Found
    answers: Answers
    models: tuple[str, ...]
    """``NAME/VERSION`` of the models that were trained on them."""
    left: tuple[str, ...]
    """What an erasure can't reach, in sentences."""

    @property
    def anything(self) -> bool:
        return self.found.anything or self.answers.anything


@dataclass(frozen=True, kw_only=True)
class Eraser:
    """An erasure's surroundings."""

    spark: SparkSession
    pipeline: Pipeline
    ring: KeyRing
    broker: Broker
    tracking: Callable[[], Tracking]
    stop: threading.Event
    linked: bool = True
    on_table: Callable[[str], None] = lambda table: None
    tell: Callable[[State], None] = lambda state: None
    on_step: Callable[[str], None] = lambda step: None
    """Hears what is done: ``planned``, ``marked``, ``answers``, then each table's name, ``recorded``."""

    @property
    def _layout(self) -> Layout:
        return Layout(self.pipeline.spec.lake.root)

    def look(self, person: Person) -> Held:
        """What is there. Changes nothing."""
        found = find(self.spark, self.pipeline, person, ring=self.ring, linked=self.linked)
        answers = find_answers(self.spark, self.pipeline, found.ids, ring=self.ring)
        models = marks.models_of(self.tracking(), answers.snapshots) if answers.snapshots else []
        return Held(found, answers, tuple(models), tuple(self._left(found, answers)))

    def erase(self, person: Person) -> list[Record]:
        """Finish what was interrupted, then erase all that is there, also what comes meanwhile; the signed records of both.

        Raises CheckpointError where a scoring job writes a table that must change (nothing was changed then), KeyboardInterrupt
        where ``stop`` is set, ModelError where MLflow does not answer, StorageError as ingest does.
        """
        records = list(self._finish_others())
        record: Record | None = None
        for _ in range(_ROUNDS):
            held = self.look(person)
            if not held.anything:
                break
            record = self._round(held, record)
        if record is None:
            return records
        record = record.done()
        write_record(self.spark, self._layout.erasures, record, ring=self.ring)
        self.on_step("recorded")
        return [*records, record]

    def _round(self, held: Held, record: Record | None) -> Record:
        record = record or new_record(pipeline=self.pipeline.name, spec=self.pipeline.version)
        with ExitStack() as release:
            leases = self._serving_leases(held, release)
            record = self._planned(record, held)
            self.on_step("planned")
            if held.answers.snapshots:
                marked = marks.mark_runs(self.tracking(), held.answers.snapshots, erasure=record.id)
                record = self._kept(replace(record, models=sorted({*record.models, *marked})))
            self.on_step("marked")
            record = self._without_answers(record, held, leases)
            self.on_step("answers")
            return self._carry_out(record, leases)

    def _planned(self, record: Record, held: Held) -> Record:
        plan = dict[str, Planned]()
        for table in held.found.tables:
            one = held.found.scans.get(table.name)
            if one is not None and one.found:
                version = delta.version(self.spark, table.path)
                plan[table.name] = Planned(tuple(sorted(one.places)), tuple(sorted(one.days)), version)
        counted = dict(held.found.identifiers)
        return self._kept(replace(record, plan=plan, identifiers=counted, left=sorted({*record.left, *held.left})))

    def _without_answers(self, record: Record, held: Held, leases: dict[str, Lease]) -> Record:
        ids, answers, layout = held.found.ids, held.answers, self._layout
        model = self.pipeline.spec.model
        for run in sorted({*answers.snapshots, *(path.rpartition("/")[2] for path in answers.old)}):
            if not delta.exists(self.spark, layout.snapshot(run)):
                continue
            self.on_table(f"snapshots/{run}")
            rows, files = erase_from_snapshot(self.spark, self.pipeline, run, ids, ring=self.ring, erasure=record.id)
            snapshots = {**record.snapshots, run: record.snapshots.get(run, 0) + rows}
            record = self._kept(_with_files(replace(record, snapshots=snapshots), f"snapshots/{run}", files))
        if model is not None and (answers.predictions or layout.predictions(model.name) in answers.old):
            self._send_tombstones(ids)
            name = f"serving/{model.name}/predictions"
            self.on_table(name)
            rows, files = erase_predictions(
                self.spark, self.pipeline, ids, ring=self.ring, erasure=record.id, lease=leases[name]
            )
            record = self._kept(_with_files(replace(record, predictions=record.predictions + rows), name, files))
        return record

    def _carry_out(self, record: Record, leases: dict[str, Lease]) -> Record:
        """What the record plans: requests before events, by which they are found."""
        for name in sorted(record.plan, key=lambda name: (name.startswith(EVENTS), name)):
            if self.stop.is_set():
                raise KeyboardInterrupt
            self.on_table(name)
            planned = record.plan[name]
            files = self._carry_out_one(record, name, planned, leases.get(name))
            rows = {**record.rows, name: _sum(record.rows.get(name, {}), self._erased(record, name, planned))}
            plan = {other: one for other, one in record.plan.items() if other != name}
            record = self._kept(_with_files(replace(record, rows=rows, plan=plan), name, files))
            self.on_step(name)
        return record

    def _carry_out_one(self, record: Record, name: str, planned: Planned, lease: Lease | None) -> int:
        spark, layout = self.spark, self._layout
        if name.startswith(EVENTS):
            path = layout.events(name.removeprefix(EVENTS))
            errand = erase_errand(table=name, erasure=record.id, places=planned.places, days=planned.days)
            told = Asking(
                spark=spark, errands=Errands(spark, layout.errands), errand=errand, stop=self.stop, tell=self.tell,
                lease=lambda: leased(spark, path, what=name), handler=erase_handler(spark, layout),
            ).have_done()  # fmt: skip
            return int(told["files"])
        path = self._path(name)
        with self._lease(name, lease) as held:
            if planned.places:
                erase_places(
                    spark, path, planned.places, days=planned.days, erasure=record.id, request=f"{record.id}/{planned.version}",
                    lease=held,
                )  # fmt: skip
            return purge(spark, path, lease=held)

    def _erased(self, record: Record, name: str, planned: Planned) -> dict[str, int]:
        """Verdict to the rows that this erasure's commits took from a table since it was planned, by the table's own log."""
        rows: dict[str, int] = {}
        for entry in read_log(self.spark, self._path(name), after=planned.version):
            if entry.metadata.get("headrace") == ERASE and entry.metadata.get("erasure") == record.id:
                rows = _sum(rows, entry.metadata["rows"])
        return rows

    def _finish_others(self) -> Iterator[Record]:
        """Carry out what interrupted erasures had planned."""
        for record, problem in read_records(self.spark, self._layout.erasures, ring=self.ring):
            if record.state == BEGUN and problem is None and record.pipeline == self.pipeline.name:
                done = self._carry_out(record, {}).done()
                write_record(self.spark, self._layout.erasures, done, ring=self.ring)
                yield done

    def _serving_leases(self, held: Held, release: ExitStack) -> dict[str, Lease]:
        """The right to change what scoring writes, as far as it must change."""
        model = self.pipeline.spec.model
        if model is None:
            return {}
        wanted: dict[str, str] = {}
        requests = f"serving/{model.name}/requests"
        if requests in held.found.scans and held.found.scans[requests].found:
            wanted[requests] = requests
        path = self._layout.predictions(model.name)
        if held.answers.predictions or path in held.answers.old:
            self._require_published(path)
            wanted[f"serving/{model.name}/predictions"] = f"serving/{model.name}"
        return {
            name: release.enter_context(leased(self.spark, self._path(name), what=what))
            for name, what in wanted.items()
        }

    def _require_published(self, path: str) -> None:
        """A publisher that has not come to a prediction yet would miss its file."""
        model = self.pipeline.spec.model
        assert model is not None
        checkpoint = self._layout.checkpoint(f"score/{model.name}/publish")
        scored = next((e.version for e in newest_first(self.spark, path) if e.metadata.get("headrace") == "scores"), -1)
        behind = first_unpublished(self.spark, checkpoint=checkpoint)
        if 0 < behind <= scored:
            raise CheckpointError(
                "some predictions are not published yet, and an erasure removes old files; run headrace score "
                f"{self.pipeline.folder} --until-caught-up first; nothing was erased"
            )

    def _send_tombstones(self, ids: frozenset[str]) -> None:
        scoring = self.pipeline.spec.scoring
        if scoring is not None and (kept := kept_in(self.broker, scoring.topic)) is not None and kept.compacted:
            tombstone(self.broker, scoring.topic, ids)

    def _left(self, found: Found, answers: Answers) -> Iterator[str]:
        yield from left_in_topics(found, self.broker)
        scoring = self.pipeline.spec.scoring
        if answers.predictions and scoring is not None:
            kept = kept_in(self.broker, scoring.topic)
            if kept is None or not kept.compacted:
                yield left_in_predictions(scoring.topic, self.broker)
        for name, rows in found.untold.items():
            yield f"{name}: of {rows} rows nobody can tell whom they are about (a retired key, or they do not open)"
        for name, stream in self.pipeline.spec.streams.items():
            if not stream.subject and delta.exists(self.spark, self._layout.events(name)):
                yield f"{EVENTS}{name} was not searched: its stream declares no subject"

    def _path(self, name: str) -> str:
        return f"{self._layout.root}/{name}"

    @contextmanager
    def _lease(self, name: str, lease: Lease | None) -> Generator[Lease]:
        if lease is not None:
            yield lease
            return
        with leased(self.spark, self._path(name), what=name) as taken:
            yield taken

    def _kept(self, record: Record) -> Record:
        write_record(self.spark, self._layout.erasures, record, ring=self.ring)
        return record


def _sum(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in sorted({*one, *other})}


def _with_files(record: Record, name: str, files: int) -> Record:
    return replace(record, files={**record.files, name: record.files.get(name, 0) + files})
