"""Erasing a person: what is computed first, then requests, then the records, so that a repeat finds what is left.

Before the first row goes, a record of the erasure says which rows are to go, by table, partition and offset. A run that was
interrupted is finished by the next one, whoever that one is about.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from headrace.erasure import marks
from headrace.erasure.answers import Answers, erase_from_snapshot, erase_predictions, find_answers
from headrace.erasure.find import Found
from headrace.erasure.held import Held, Search
from headrace.erasure.record import BEGUN, Planned, Record, new_record, no_records, read_records, write_record
from headrace.erasure.scan import scan, searched_tables
from headrace.erasure.topics import kept_in, tombstone
from headrace.errors import CheckpointError
from headrace.features.table import forget_features
from headrace.ingest.asking import Asking, State
from headrace.ingest.erase import erase_errand, erase_handler
from headrace.lake import delta
from headrace.lake.erase import ERASE, erase_places, purge
from headrace.lake.errands import Errands
from headrace.lake.layout import EVENTS
from headrace.lake.lease import Lease, leased
from headrace.lake.log import newest_first, read_log
from headrace.privacy.person import Person
from headrace.serving.publish import first_unpublished

_ROUNDS = 5
"""So often is looked again for rows that came meanwhile."""
_MORE = f"records of the person came at each of {_ROUNDS} looks, so there may be more: run the same command again"


@dataclass(frozen=True, kw_only=True)
class Eraser(Search):
    """An erasure's surroundings."""

    stop: threading.Event
    on_table: Callable[[str], None] = lambda table: None
    tell: Callable[[State], None] = lambda state: None
    on_step: Callable[[str], None] = lambda step: None
    """Hears what is done: ``planned``, ``marked``, ``answers``, then each table's name, ``recorded``."""

    def erase(self, person: Person) -> list[Record]:
        """Finish what was interrupted, then erase all that is there, also what comes meanwhile; the signed records of both.

        Raises CheckpointError where a scoring job writes a table that must change (nothing was changed then), AccountingError
        where a record of an erasure is damaged (the same), BrokerError where a tombstone was not delivered, KeyboardInterrupt
        where ``stop`` is set, ModelError where MLflow does not answer, StorageError as ingest does. A repeat goes on from there.
        """
        records = list(self._finish_others())
        record: Record | None = None
        for _ in range(_ROUNDS):
            held = self.look(person)
            if not held.anything:
                break
            record, person = self._round(held, record), held.found.person  # what led to other tables is gone now
        else:
            assert record is not None
            record = replace(record, left=sorted({*record.left, _MORE}))
        if record is None:
            return records
        record = record.done()
        write_record(self.spark, self.layout.erasures, record, ring=self.ring)
        self.on_step("recorded")
        return [*records, record]

    def _round(self, held: Held, record: Record | None) -> Record:
        record = record or new_record(pipeline=self.pipeline.name, spec=self.pipeline.version)
        left, counted = sorted({*record.left, *held.left}), dict(held.found.identifiers)
        planned = replace(record, plan=self._plan(held.found), identifiers=counted, left=left)
        return self._all_of(planned, held.found.ids, held.answers)

    def _all_of(self, record: Record, ids: frozenset[str], answers: Answers) -> Record:
        """What the record plans, and before it what was computed for these requests."""
        with ExitStack() as release:
            leases = self._serving_leases(record, answers, release)
            record = self._kept(record)
            self.on_step("planned")
            if answers.snapshots:
                marked = marks.mark_runs(self.tracking(), answers.snapshots, erasure=record.id)
                record = self._kept(replace(record, models=sorted({*record.models, *marked})))
            self.on_step("marked")
            record = self._without_answers(record, ids, answers, leases)
            self.on_step("answers")
            return self._carry_out(record, leases)

    def _plan(self, found: Found) -> dict[str, Planned]:
        plan = dict[str, Planned]()
        for table in found.tables:
            one = found.scans.get(table.name)
            if one is not None and one.found:
                version = delta.version(self.spark, table.path)
                plan[table.name] = Planned(tuple(sorted(one.found)), tuple(sorted(one.days)), version)
        return plan

    def _without_answers(
        self, record: Record, ids: frozenset[str], answers: Answers, leases: dict[str, Lease]
    ) -> Record:
        layout, model, features = self.layout, self.pipeline.spec.model, self.pipeline.spec.features
        if features is not None:
            forget_features(self.spark, layout.features(features.requests), what=f"features/{features.requests}")
        for run in sorted({*answers.snapshots, *(path.rpartition("/")[2] for path in answers.old)}):
            if not delta.exists(self.spark, layout.snapshot(run)):
                continue
            self.on_table(f"snapshots/{run}")
            rows, files = erase_from_snapshot(self.spark, self.pipeline, run, ids, ring=self.ring, erasure=record.id)
            snapshots = {**record.snapshots, run: record.snapshots.get(run, 0) + rows}
            record = self._kept(_with_files(replace(record, snapshots=snapshots), f"snapshots/{run}", files))
        if model is not None and (answers.predictions or layout.predictions(model.name) in answers.old):
            self._send_tombstones(ids, answers)
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
        spark, layout = self.spark, self.layout
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
            if planned.places and planned.days:
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
        found, damaged = read_records(self.spark, self.layout.erasures, ring=self.ring)
        unsigned = [f"{record.id}.json" for record, problem in found if problem and record.state == BEGUN]
        if damaged or unsigned:
            raise no_records([*damaged, *unsigned], self.layout.erasures)
        for record, _ in found:
            if record.state == BEGUN and record.pipeline == self.pipeline.name:
                ids = self._planned_ids(record)
                answers = find_answers(self.spark, self.pipeline, ids, ring=self.ring)
                done = self._all_of(record, ids, answers).done()
                write_record(self.spark, self.layout.erasures, done, ring=self.ring)
                yield done

    def _planned_ids(self, record: Record) -> frozenset[str]:
        """Of the requests among the rows that are still to go; answers go before the first of them does."""
        tables = searched_tables(self.spark, self.pipeline) if record.plan else []
        ids = frozenset[str]()
        for table in tables:
            if table.id_column is not None and table.name in record.plan:
                places = record.plan[table.name].places
                ids |= scan(self.spark, table, Person(), ring=self.ring, alike=places).ids
        return ids

    def _serving_leases(self, record: Record, answers: Answers, release: ExitStack) -> dict[str, Lease]:
        """The right to change what scoring writes, as far as it must change."""
        model = self.pipeline.spec.model
        if model is None:
            return {}
        wanted: dict[str, str] = {}
        requests = f"serving/{model.name}/requests"
        if requests in record.plan:
            wanted[requests] = requests
        path = self.layout.predictions(model.name)
        if answers.predictions or path in answers.old:
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
        checkpoint = self.layout.checkpoint(f"score/{model.name}/publish")
        scored = next((e.version for e in newest_first(self.spark, path) if e.metadata.get("headrace") == "scores"), -1)
        behind = first_unpublished(self.spark, checkpoint=checkpoint)
        if 0 < behind <= scored:
            raise CheckpointError(
                "some predictions are not published yet, and an erasure removes old files; run headrace score "
                f"{self.pipeline.folder} --until-caught-up first; nothing was erased"
            )

    def _send_tombstones(self, ids: frozenset[str], answers: Answers) -> None:
        """For what was published, by the ids of the requests and of the predictions, whose pseudonyms may be older."""
        scoring = self.pipeline.spec.scoring
        if scoring is not None and (kept := kept_in(self.broker, scoring.topic)) is not None and kept.compacted:
            tombstone(self.broker, scoring.topic, ids | answers.published)

    def _path(self, name: str) -> str:
        return f"{self.layout.root}/{name}"

    @contextmanager
    def _lease(self, name: str, lease: Lease | None) -> Generator[Lease]:
        if lease is not None:
            yield lease
            return
        with leased(self.spark, self._path(name), what=name) as taken:
            yield taken

    def _kept(self, record: Record) -> Record:
        write_record(self.spark, self.layout.erasures, record, ring=self.ring)
        return record


def _sum(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in sorted({*one, *other})}


def _with_files(record: Record, name: str, files: int) -> Record:
    return replace(record, files={**record.files, name: record.files.get(name, 0) + files})
