"""An erasure beside a running ingest, one that was interrupted, and one that says what the person is given."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from customers import customer
from pipelines import send
from shop import GONE, HERS, Shop, make_shop
from test_erase import audited, headrace

from headrace.erasure.find import person_named
from headrace.erasure.record import BEGUN, read_records
from headrace.lake.layout import Layout

SHE = f"canary{HERS}@example.org"


@pytest.fixture(scope="module")
def shop(spark, bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return make_shop(spark, tmp_path_factory.mktemp("busy"), bootstrap=bootstrap, topic="busy-shop")


def exported(shop: Shop) -> list[dict]:
    return [json.loads(line) for line in headrace("subject", str(shop.folder), "--subject", SHE, "--export", "-").splitlines()]


def test_a_person_is_given_their_data_in_clear(shop: Shop, tmp_path: Path) -> None:
    lines = exported(shop)
    found = {(line["table"], line["kafka_offset"]) for line in lines}
    assert found == {(f"events/{stream}", offset) for stream, offsets in GONE.items() for offset in offsets}
    by_offset = {line["kafka_offset"]: line for line in lines if line["table"] == "events/customers"}
    assert (by_offset[3]["name"], by_offset[3]["home"]["street"]) == ("Canary3 Lovelace", "Canarystraat 3")
    assert by_offset[6]["original"]["value"] == customer(HERS, id="x")[:-9]
    headrace("subject", str(shop.folder), "--subject", SHE, "--export", str(tmp_path / "ada"))
    files = {file.name: file.stat().st_mode & 0o777 for file in (tmp_path / "ada").iterdir()}
    assert files == {"events.customers.jsonl": 0o600, "events.outcomes.jsonl": 0o600}


def test_one_that_is_interrupted_is_finished_by_the_next(spark, shop: Shop) -> None:
    """It dies behind the plan, then between two tables; the card, which leads to the second table, is gone by then."""
    pipeline, ring = shop.pipeline, shop.eraser(spark).ring
    folder = Layout(pipeline.spec.lake.root).erasures

    class Died(Exception): ...

    def die_at(wanted: str):
        def step(name: str) -> None:
            if name == wanted:
                raise Died

        return step

    with pytest.raises(Died):
        shop.eraser(spark, on_step=die_at("planned")).erase(person_named(pipeline, SHE, kind=None))
    assert GONE["customers"] <= shop.rows().keys()
    with pytest.raises(Died):
        shop.eraser(spark, on_step=die_at("events/customers")).erase(person_named(pipeline, SHE, kind=None))
    assert not GONE["customers"] & shop.rows().keys()
    assert GONE["outcomes"] <= shop.rows("outcomes").keys()
    shop.eraser(spark).erase(person_named(pipeline, "somebody.else@example.org", kind=None))
    assert not GONE["outcomes"] & shop.rows("outcomes").keys()
    records = read_records(spark, folder, ring=ring)
    assert BEGUN not in {record.state for record, _ in records}
    assert sum(record.rows.get("events/customers", {}).get("accepted", 0) for record, _ in records) == 2
    assert shop.leaks() == set()
    audited(shop)


def test_a_running_ingest_carries_it_out_between_two_batches(spark, shop: Shop) -> None:
    job = shop.ingest(spark, wait=False, trigger_seconds=0.1)
    quiet, sent = threading.Event(), [12]

    def feed() -> None:
        while not quiet.is_set():
            send(shop.bootstrap, "busy-shop", [customer(100 + n, id=f"n{sent[0]}-{n}") for n in range(5)])
            sent[0] += 5
            quiet.wait(0.5)

    send(shop.bootstrap, "busy-shop", [customer(8, id="m1"), customer(9, id="m2")])
    sent[0] += 2
    feeder = threading.Thread(target=feed)
    try:
        while not job.reached("customers", {0: 14}):
            threading.Event().wait(0.2)
        feeder.start()
        states: list[str] = []
        eraser = shop.eraser(spark, tell=states.append)
        record = eraser.erase(person_named(shop.pipeline, "canary8@example.org", kind="email"))
        assert record is not None
        assert record.rows["events/customers"] == {"accepted": 1}
        assert set(states) <= {"waiting", "begun"}
        assert states
        quiet.set()
        feeder.join()
        while not job.reached("customers", {0: sent[0]}):
            threading.Event().wait(0.2)
    finally:
        quiet.set()
        job.close()
    assert 12 not in shop.rows()
    assert {13, *range(14, sent[0])} <= shop.rows().keys()
    assert list((shop.lake / "errands").iterdir()) == []
    audited(shop)
