"""An erasure beside an ingest that takes batches with the person in them, and one that is interrupted between two tables."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from customers import customer, write_customers
from deltalake import DeltaTable
from pipelines import make_topic, send
from shop import GONE, SHE, SPELLED, SUBJECT, Shop

from headrace.erasure import run
from headrace.erasure.find import person_named
from headrace.erasure.record import BEGUN, DONE, read_records
from headrace.privacy.keys import ensure_keys, needed_keys

TOPIC, HER = "busy-shop", 8
KEPT_BUSY = 2
"""So many rounds of the erasure meet records of hers that came meanwhile."""


class Feeder:
    """Sends five records at a time, without a pause; one of the five is hers while ``hers`` is set."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap, self.hers, self.sent, self.of_hers = bootstrap, True, 0, set[int]()
        self._held, self._quiet = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._run)

    def feed(self, *, hers: bool) -> None:
        at = [self.sent + n for n in range(5)]
        send(self.bootstrap, TOPIC, [customer(HER if hers and n == at[2] else 100 + n, id=f"c{n}") for n in at])
        self.of_hers |= {at[2]} if hers else set()
        self.sent += 5

    def without_her(self) -> int:
        """From now on she sends nothing; where the topic ends now."""
        with self._held:
            self.hers = False
            return self.sent

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._quiet.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._quiet.is_set():
            with self._held:
                self.feed(hers=self.hers)
            self._quiet.wait(0.05)  # for whoever waits for the lock


def commits(shop: Shop, kind: str) -> list[int]:
    told = ((entry["version"], entry.get("userMetadata") or "{}") for entry in DeltaTable(str(shop.table())).history())
    return [version for version, text in told if json.loads(text).get("headrace") == kind]


def test_a_running_ingest_erases_between_batches_that_hold_more_of_her(spark, bootstrap: str, tmp_path: Path) -> None:
    make_topic(bootstrap, TOPIC, partitions=1)
    pipeline = write_customers(tmp_path / "p", bootstrap=bootstrap, topic=TOPIC, protect=SPELLED, subject=SUBJECT)
    ensure_keys(pipeline.spec.keys.ring, needed_keys(pipeline))
    shop, feeder, states, rounds = Shop(tmp_path / "p", bootstrap), Feeder(bootstrap), list[str](), list[int]()
    feeder.feed(hers=True)
    job = shop.ingest(spark, wait=False, trigger_seconds=0.1)

    def until(offset: int) -> None:
        while not job.reached("customers", {0: offset}):
            job.raise_error()
            threading.Event().wait(0.1)

    def step(name: str) -> None:
        if name == "events/customers":
            rounds.append(feeder.sent)
            if len(rounds) == KEPT_BUSY:
                until(feeder.without_her())

    try:
        until(feeder.sent)
        feeder.start()
        eraser = shop.eraser(spark, tell=states.append, on_step=step)
        (record,) = eraser.erase(person_named(pipeline, "canary8@example.org", kind=None))
        gone = set(feeder.of_hers)
        feeder.stop()
        feeder.feed(hers=True)
        until(feeder.sent)
    finally:
        feeder.stop()
        job.close()
    assert set(states) <= {"waiting", "begun"}, "the ingest did it"
    assert len(rounds) > KEPT_BUSY, "she sent more while she was erased"
    assert shop.rows().keys() == {*range(feeder.sent)} - gone
    assert (record.state, record.rows) == (DONE, {"events/customers": {"accepted": len(gone)}})
    (later,) = feeder.of_hers - gone
    found = shop.eraser(spark).look(person_named(pipeline, "canary8@example.org", kind=None)).found
    assert found.scans["events/customers"].places == {(0, later)}, "what came after it is there, and is found"
    batches, erasures = commits(shop, "batch"), commits(shop, "erase")
    assert min(batches) < min(erasures) < max(erasures) < max(batches)
    assert set(batches) & {*range(min(erasures), max(erasures))}, "batches went on between them"
    assert list((shop.lake / "errands").iterdir()) == []
    assert shop.audited().erased == len(gone)


class Died(Exception): ...


def test_one_that_is_interrupted_between_two_tables_is_finished_by_the_next(
    spark, shopped: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The card, which leads to the second table, is gone by then. The next one is about somebody else, and looks once only."""
    shop = shopped.copy(tmp_path / "p")

    def die(name: str) -> None:
        if name == "events/customers":
            raise Died

    with pytest.raises(Died):
        shop.eraser(spark, on_step=die).erase(person_named(shop.pipeline, SHE, kind=None))
    assert not GONE["customers"] & shop.rows().keys()
    assert GONE["outcomes"] <= shop.rows("outcomes").keys()
    monkeypatch.setattr(run, "_ROUNDS", 1)
    eraser = shop.eraser(spark)
    finished, other = eraser.erase(person_named(shop.pipeline, "canary1@example.org", kind=None))
    assert not GONE["outcomes"] & shop.rows("outcomes").keys()
    assert finished.rows["events/customers"] == {"accepted": 2, "duplicate": 1, "quarantined": 3}
    assert other.rows == {"events/customers": {"accepted": 1}}
    assert [sentence for sentence in other.left if "run the same command again" in sentence]
    assert not [sentence for sentence in finished.left if "run the same command again" in sentence]
    records, damaged = read_records(spark, eraser.layout.erasures, ring=eraser.ring)
    assert BEGUN not in {record.state for record, _ in records}
    assert damaged == []
    assert shop.leaks() == set()
    shop.audited()
    shop.audited("outcomes")
