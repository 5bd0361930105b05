"""The audit: every kind of fault is planted and must be found, by the mode that can see it; and nothing sound is accused.

Faults in a table are planted with delta-rs, those in the ledger with a text editor's means.
"""

from __future__ import annotations

import json
import re
import shutil
import threading
import time
import zlib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from conftest import run_headrace
from deltalake import CommitProperties, DeltaTable, write_deltalake
from pipelines import make_topic, reading, send, write_pipeline

from headrace.audit import Account, Deeply, Window, audit_stream, cut
from headrace.connections import Broker
from headrace.errors import HeadraceError
from headrace.ingest.run import start_ingest
from headrace.lake import delta
from headrace.privacy.keys import open_ring
from headrace.spec import Pipeline, load

TOPIC = "audited"


def ingest(spark, pipeline: Pipeline, bootstrap: str, **options) -> None:
    start_ingest(spark, pipeline, broker=Broker(bootstrap, {}), until_caught_up=True, **options).wait()


def audit(folder: Path, bootstrap: str, *, deep: bool = False, window: Window | None = None) -> Account:
    pipeline = load(folder)
    deeply = Deeply(open_ring(pipeline.spec.keys.ring)) if deep else None
    return audit_stream(pipeline, "readings", broker=Broker(bootstrap, {}), window=window, deeply=deeply)


def kinds(account: Account) -> set[str]:
    return {finding.kind for finding in account.findings}


def texts(account: Account) -> str:
    return "\n".join(finding.text for finding in account.findings)


@pytest.fixture(scope="module")
def compacting(spark, bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """100 records of 5 keys, ingested; then Kafka begins to delete all but the newest of each key, which takes it a while."""
    make_topic(
        bootstrap, "compacted", partitions=1, **{
            "cleanup.policy": "compact", "segment.ms": "500", "min.cleanable.dirty.ratio": "0.01",
            "min.compaction.lag.ms": "0", "delete.retention.ms": "0",
        },
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("early")
    pipeline = write_pipeline(folder, bootstrap=bootstrap, topic="compacted")
    producer = Producer({"bootstrap.servers": bootstrap})
    for n in range(100):
        producer.produce("compacted", key=f"k{n % 5}", value=reading(n))
    producer.flush(20)
    ingest(spark, pipeline, bootstrap)
    roll(producer)
    return folder


def roll(producer: Producer) -> None:
    """A new record closes the segment that is old enough; the cleaner leaves the open one alone."""
    producer.produce("compacted", key="roll", value=reading(1))
    assert producer.flush(20) == 0


@pytest.fixture(scope="module")
def sound(spark, bootstrap: str, tmp_path_factory: pytest.TempPathFactory, compacting: Path) -> Path:
    """60 records in 2 partitions, 3 of them bad, read in 3 batches of about 20. (``compacting`` needs the time of these tests.)"""
    folder = tmp_path_factory.mktemp("sound")
    pipeline = write_pipeline(folder, bootstrap=bootstrap, topic=TOPIC, extra="max_offsets_per_trigger: 20")
    make_topic(bootstrap, TOPIC)
    send(bootstrap, TOPIC, [*(reading(n) for n in range(28)), "oops", reading(200_000)], partition=0)
    send(bootstrap, TOPIC, [*(reading(n) for n in range(29)), None], partition=1)
    ingest(spark, pipeline, bootstrap)
    return folder


@pytest.fixture
def copy(sound: Path, bootstrap: str, tmp_path: Path) -> Path:
    """The same lake, to be damaged."""
    write_pipeline(tmp_path, bootstrap=bootstrap, topic=TOPIC, extra="max_offsets_per_trigger: 20")
    shutil.copytree(sound / "lake", tmp_path / "lake")
    shutil.copy(sound / "keys.json", tmp_path / "keys.json")
    return tmp_path


def table_of(folder: Path) -> Path:
    return folder / "lake" / "events" / "readings"


def ledger_of(folder: Path) -> Path:
    (file,) = (folder / "lake" / "ledger" / "readings").glob("*/*.jsonl")
    return file


def edit_ledger(folder: Path, change: Callable[[dict], None]) -> None:
    """Change entries, and the sum at the end of each line with them."""
    lines = []
    for line in ledger_of(folder).read_text().splitlines():
        entry = json.loads(line)
        del entry["sum"]
        change(entry)
        body = json.dumps(entry, separators=(",", ":"))
        lines.append(f'{body[:-1]},"sum":"{zlib.crc32(body.encode()):08x}"}}')
    ledger_of(folder).write_text("\n".join(lines) + "\n")


def told(kind: str, **more: object) -> CommitProperties:
    return CommitProperties(custom_metadata={"userMetadata": json.dumps({"headrace": kind, **more})})


@pytest.mark.parametrize("deep", [False, True])
def test_a_sound_stream_adds_up(sound: Path, bootstrap: str, deep: bool) -> None:
    found = audit(sound, bootstrap, deep=deep)
    assert found.findings == ()
    assert (len(found.batches), found.read, found.waiting) == (3, 60, 0)
    assert found.committed == found.rows == {"accepted": 57, "quarantined": 3, "duplicate": 0}
    if deep:
        assert (found.compared.in_kafka, found.compared.once, found.compared.sealed) == (60, 60, 3)


@pytest.mark.parametrize("deep", [False, True])
def test_a_row_that_a_rewriting_commit_removed_is_found(copy: Path, bootstrap: str, deep: bool) -> None:
    DeltaTable(table_of(copy)).delete("kafka_partition = 0 and kafka_offset = 7")
    found = audit(copy, bootstrap, deep=deep)
    assert kinds(found) == ({"commit", "table", "missing"} if deep else {"commit", "table"})
    assert "(DELETE" in texts(found)
    assert "-1 accepted" in texts(found)
    if deep:
        (missing,) = (finding for finding in found.findings if finding.kind == "missing")
        assert missing.offsets == {0: [(7, 8)]}
        assert missing.text.startswith("1 records in Kafka have no row of batch 0: partition 0 offsets 7")


@pytest.mark.parametrize("deep", [False, True])
def test_a_row_that_was_added_twice_is_found(copy: Path, bootstrap: str, deep: bool) -> None:
    table = DeltaTable(table_of(copy))
    rows = table.to_pyarrow_table()
    again = rows.filter(
        pa.compute.and_(pa.compute.equal(rows["kafka_partition"], 1), pa.compute.equal(rows["kafka_offset"], 3))
    )
    write_deltalake(table, again, mode="append")
    found = audit(copy, bootstrap, deep=deep)
    assert kinds(found) == ({"commit", "table", "repeated"} if deep else {"commit", "table"})
    if deep:
        (repeated,) = (finding for finding in found.findings if finding.kind == "repeated")
        assert repeated.offsets == {1: [(3, 4)]}
        assert found.compared.once == 59


def test_a_row_that_took_the_place_of_another_is_found_by_deep_alone(copy: Path, bootstrap: str) -> None:
    DeltaTable(table_of(copy)).update({"kafka_offset": "4"}, predicate="kafka_partition = 0 and kafka_offset = 3")
    assert audit(copy, bootstrap).findings == ()  # the numbers are right
    found = audit(copy, bootstrap, deep=True)
    by_kind = {finding.kind: finding.offsets for finding in found.findings}
    assert by_kind == {"missing": {0: [(3, 4)]}, "repeated": {0: [(4, 5)]}}


def test_a_row_of_no_record_is_found_by_deep(copy: Path, bootstrap: str) -> None:
    DeltaTable(table_of(copy)).update({"kafka_offset": "999"}, predicate="kafka_partition = 0 and kafka_offset = 3")
    found = {finding.kind: finding.offsets for finding in audit(copy, bootstrap, deep=True).findings}
    assert found == {"missing": {0: [(3, 4)]}, "foreign": {0: [(999, 1000)]}}


def test_another_record_s_timestamp_or_original_is_found_by_deep(copy: Path, bootstrap: str) -> None:
    table = DeltaTable(table_of(copy))
    table.update(
        {"kafka_timestamp": "kafka_timestamp + interval '1 millisecond'"},
        predicate="kafka_partition = 0 and kafka_offset = 3",
    )
    assert kinds(audit(copy, bootstrap, deep=True)) == {"different"}
    rows = table.to_pyarrow_table(columns=["kafka_partition", "kafka_offset", "payload", "verdict"]).to_pylist()
    moved = next(row["payload"] for row in rows if row["kafka_partition"] == 0 and row["kafka_offset"] == 28)
    table = DeltaTable(table_of(copy))
    table.update({"payload": f"X'{moved.hex()}'"}, predicate="kafka_partition = 0 and kafka_offset = 29")
    assert kinds(audit(copy, bootstrap, deep=True)) == {"different", "sealed"}


def test_a_batch_s_file_that_left_the_log_is_found(copy: Path, bootstrap: str) -> None:
    entry = next(json.loads(line) for line in ledger_of(copy).read_text().splitlines() if '"batch":1' in line)
    commit = table_of(copy) / "_delta_log" / f"{entry['version']:020d}.json"
    lines = commit.read_text().splitlines()
    dropped = next(line for line in lines if line.startswith('{"add"') and "verdict=accepted" in line)
    rows = json.loads(json.loads(dropped)["add"]["stats"])["numRecords"]
    commit.write_text("\n".join(line for line in lines if line != dropped) + "\n")
    found = audit(copy, bootstrap)
    assert kinds(found) == {"table"}
    assert found.findings[0].batches == (1,)
    had = entry["rows"][next(iter(entry["rows"]))]["accepted"]
    assert f"{had - rows} accepted instead of {had}" in texts(found)
    assert {"missing", "table"} == kinds(audit(copy, bootstrap, deep=True))


def test_a_commit_that_left_the_log_is_found(copy: Path, bootstrap: str) -> None:
    (table_of(copy) / "_delta_log" / f"{3:020d}.json").unlink()
    assert kinds(audit(copy, bootstrap)) == {"log"}


def test_a_data_file_that_is_gone_or_damaged_is_found_by_deep(copy: Path, bootstrap: str) -> None:
    live = (Path(file) for file in DeltaTable(table_of(copy)).file_uris())
    gone, damaged = sorted(file for file in live if file.parent.name == "verdict=accepted")[:2]
    damaged.write_bytes(damaged.read_bytes()[:100])
    assert kinds(audit(copy, bootstrap, deep=True)) == {"file"}
    gone.unlink()
    assert kinds(audit(copy, bootstrap, deep=True)) == {"file"}


def test_a_value_of_the_ledger_that_was_changed_is_found(copy: Path, bootstrap: str) -> None:
    text = ledger_of(copy).read_text()
    ledger_of(copy).write_text(text.replace('"read":20', '"read":21', 1))
    assert kinds(audit(copy, bootstrap)) == {"ledger"}  # the line's sum tells
    ledger_of(copy).write_text(text)

    def read_more(entry: dict) -> None:
        if entry["kind"] == "batch" and entry["told"]["batch"] == 1:
            entry["read"] += 1

    edit_ledger(copy, read_more)
    found = audit(copy, bootstrap)
    assert [(finding.kind, finding.batches) for finding in found.findings] == [("batch", (1,))]
    ledger_of(copy).write_text(text)

    def read_and_commit_less(entry: dict) -> None:
        if entry["kind"] == "batch" and entry["told"]["batch"] == 1:
            entry["read"] -= 1
            next(iter(entry["rows"].values()))["accepted"] -= 1

    edit_ledger(copy, read_and_commit_less)
    found = audit(copy, bootstrap)
    assert [(finding.kind, finding.batches) for finding in found.findings] == [("table", (1,))]


@pytest.mark.parametrize("damage", ["lost", "cut"])
def test_a_ledger_file_that_was_lost_or_cut_is_found(
    copy: Path, bootstrap: str, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cut, "WAIT_S", 0.0)  # no ingest runs that may be about to write the entry
    if damage == "lost":
        ledger_of(copy).unlink()
    else:
        ledger_of(copy).write_text(ledger_of(copy).read_text()[:-200])
    found = audit(copy, bootstrap)
    assert kinds(found) == {"ledger"}
    assert "no entry in the ledger" in texts(found)


def test_a_record_that_was_never_read_is_found(spark, bootstrap: str, tmp_path: Path) -> None:
    """A checkpoint that begins at offset 2, as an unclean hand may leave it."""
    make_topic(bootstrap, "late-start", partitions=1)
    send(bootstrap, "late-start", [reading(n) for n in range(5)])
    pipeline = write_pipeline(tmp_path, bootstrap=bootstrap, topic="late-start")
    sources = tmp_path / "lake" / "checkpoints" / "ingest" / "readings" / "sources" / "0"
    sources.mkdir(parents=True)
    (sources / "0").write_text('\0v1\n{"late-start":{"0":2}}')  # Spark writes a zero byte first
    (sources.parents[1] / "metadata").write_text('{"id":"11111111-1111-1111-1111-111111111111"}')
    ingest(spark, pipeline, bootstrap)
    found = audit(tmp_path, bootstrap)
    assert [(finding.kind, finding.offsets) for finding in found.findings] == [("offsets", {0: [(0, 2)]})]
    assert "2 records in Kafka that no batch read" in texts(found)
    assert {"offsets", "missing"} == kinds(audit(tmp_path, bootstrap, deep=True))


def test_a_range_that_two_batches_read_is_found(copy: Path, bootstrap: str) -> None:
    def begin_earlier(entry: dict) -> None:
        if entry["kind"] == "batch" and entry["told"]["batch"] == 1:
            entry["told"]["from"]["0"] -= 3

    edit_ledger(copy, begin_earlier)
    found = audit(copy, bootstrap)
    assert [(finding.kind, finding.batches) for finding in found.findings] == [("offsets", (1,))]
    assert "read by two batches" in texts(found)


def test_a_loss_that_was_accepted_adds_up_and_one_that_was_not_is_found(spark, bootstrap: str, tmp_path: Path) -> None:
    make_topic(bootstrap, "lossy", partitions=1)
    pipeline = write_pipeline(tmp_path, bootstrap=bootstrap, topic="lossy")
    send(bootstrap, "lossy", [reading(n) for n in range(5)])
    ingest(spark, pipeline, bootstrap)
    send(bootstrap, "lossy", [reading(n) for n in range(5)])
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.delete_records([TopicPartition("lossy", 0, 8)])[TopicPartition("lossy", 0)].result(20)
    ingest(spark, pipeline, bootstrap, accept_loss=True)
    for deep in (False, True):
        found = audit(tmp_path, bootstrap, deep=deep)
        assert (found.findings, found.lost, found.read) == ((), {0: [(5, 8)]}, 7)
    assert (found.compared.in_kafka, found.compared.once, found.compared.gone) == (2, 2, 5)

    def nobody_accepted(entry: dict) -> None:
        if entry["kind"] == "loss":
            entry["kind"] = "resume"

    edit_ledger(tmp_path, nobody_accepted)
    found = audit(tmp_path, bootstrap)
    assert [(finding.kind, finding.offsets) for finding in found.findings] == [("offsets", {0: [(5, 8)]})]
    assert "nobody accepted their loss" in texts(found)


def test_what_replay_erasure_and_retention_move_adds_up(copy: Path, bootstrap: str) -> None:
    """Their commits as the ledger will see them: recognized by their metadata, counted by their files."""
    DeltaTable(table_of(copy)).update(
        {"verdict": "'accepted'"}, predicate="verdict = 'quarantined' and kafka_offset = 29 and kafka_partition = 0",
        commit_properties=told("replay", released=1),
    )  # fmt: skip
    erased = told("erase", rows={"accepted": 1})
    DeltaTable(table_of(copy)).delete("kafka_partition = 1 and kafka_offset = 5", commit_properties=erased)
    DeltaTable(table_of(copy)).delete(
        "verdict = 'quarantined'", commit_properties=told("retention", rows={"quarantined": 2})
    )
    DeltaTable(table_of(copy)).update(
        {"id": "'x'"}, predicate="kafka_offset = 1", commit_properties=told("not-built-yet")
    )
    for deep in (False, True):
        found = audit(copy, bootstrap, deep=deep)
        assert found.findings == ()
        assert (found.released, found.erased, found.retired) == (1, 1, 2)
        assert found.rows == {"accepted": 57, "quarantined": 0, "duplicate": 0}
    assert (found.compared.in_kafka, found.compared.once, found.compared.taken_out) == (60, 57, 3)


@pytest.mark.parametrize(
    ("kind", "says", "plant", "text"),
    [
        (
            "retention",
            {"rows": {"accepted": 3}},
            "delete",
            "says that it deleted 3 accepted; its files say deleted 3 quarantined",
        ),
        ("replay", {"released": 3}, "delete", "changed rows as no replay does: -3 quarantined"),
        ("replay", {"released": 2}, "update", "says that it released 2 rows; its files say released 3 rows"),
        ("erase", {"rows": {"quarantined": 3}}, "update", "changed rows as no erase does: "),
    ],
)
def test_a_commit_that_did_something_else_than_it_says_is_found(
    copy: Path, bootstrap: str, kind: str, says: dict, plant: str, text: str
) -> None:
    table, commit = DeltaTable(table_of(copy)), told(kind, **says)
    if plant == "delete":
        table.delete("verdict = 'quarantined'", commit_properties=commit)
    else:
        table.update({"verdict": "'accepted'"}, predicate="verdict = 'quarantined'", commit_properties=commit)
    found = audit(copy, bootstrap)
    assert kinds(found) == {"commit"}
    assert text in texts(found)


def test_more_records_gone_than_were_erased_is_found_by_deep(copy: Path, bootstrap: str) -> None:
    DeltaTable(table_of(copy)).delete("kafka_partition = 1 and kafka_offset = 5", commit_properties=told("erase"))
    DeltaTable(table_of(copy)).update({"kafka_offset": "8"}, predicate="kafka_partition = 1 and kafka_offset = 7")
    found = audit(copy, bootstrap, deep=True)
    assert kinds(found) == {"missing", "repeated"}
    assert "1 records in Kafka have no row" in texts(found)
    assert "1 of these records were erased" in texts(found)


def test_a_compacted_table_is_audited_in_groups_and_a_fault_is_named_by_its_group(copy: Path, bootstrap: str) -> None:
    DeltaTable(table_of(copy)).optimize.compact()
    assert audit(copy, bootstrap).findings == ()
    DeltaTable(table_of(copy)).delete("kafka_partition = 0 and kafka_offset = 7")
    (table,) = (finding for finding in audit(copy, bootstrap).findings if finding.kind == "table")
    assert table.batches == (0, 1, 2)
    assert table.text.startswith("batches 0 to 2 of ")


def test_a_range_of_time_is_audited_alone(copy: Path, bootstrap: str) -> None:
    everything = audit(copy, bootstrap)
    first, second, third = everything.batches
    middle = Window(second.at, third.at)
    for deep in (False, True):
        found = audit(copy, bootstrap, deep=deep, window=middle)
        assert (found.findings, [batch.batch for batch in found.batches], found.read) == ((), [1], second.read)
    assert (found.compared.in_kafka, found.compared.once) == (second.read, second.read)
    DeltaTable(table_of(copy)).delete("batch_id = 0")
    assert "table" in kinds(audit(copy, bootstrap))
    assert audit(copy, bootstrap, window=middle).findings == ()
    assert audit(copy, bootstrap, deep=True, window=middle).findings == ()
    assert "table" in kinds(audit(copy, bootstrap, window=Window(first.at, first.at + timedelta(milliseconds=1))))


def test_a_batch_that_was_committed_and_not_accounted_is_found_until_the_next_start(
    spark, bootstrap: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cut, "WAIT_S", 0.0)
    make_topic(bootstrap, "crashed", partitions=1)
    send(bootstrap, "crashed", [reading(n) for n in range(5)])
    pipeline = write_pipeline(tmp_path, bootstrap=bootstrap, topic="crashed")

    def crash(step: str) -> None:
        if step == "committed":
            raise RuntimeError("planted")

    with pytest.raises(HeadraceError):
        ingest(spark, pipeline, bootstrap, on_step=crash)
    found = audit(tmp_path, bootstrap)
    assert kinds(found) == {"ledger"}
    assert "ingest ended before it wrote it" in texts(found)
    ingest(spark, pipeline, bootstrap)
    found = audit(tmp_path, bootstrap, deep=True)
    assert (found.findings, [(batch.read, batch.counted) for batch in found.batches]) == ((), [(5, "again")])


def test_a_restored_table_that_was_resumed_adds_up(spark, bootstrap: str, tmp_path: Path) -> None:
    from headrace.ingest.resume import filled_tables, resume

    make_topic(bootstrap, "restored", partitions=1)
    pipeline = write_pipeline(tmp_path, bootstrap=bootstrap, topic="restored")
    table = str(table_of(tmp_path))
    versions = []
    for start in (0, 5):
        send(bootstrap, "restored", [reading(n) for n in range(start, start + 5)])
        ingest(spark, pipeline, bootstrap)
        versions.append(delta.version(spark, table))
    spark.sql(f"RESTORE TABLE delta.`{table}` TO VERSION AS OF {versions[0]}")
    resume(spark, filled_tables(pipeline)["readings"])
    ingest(spark, pipeline, bootstrap)
    found = audit(tmp_path, bootstrap, deep=True)
    assert (found.findings, found.undone, found.read, found.compared.once) == ((), 1, 10, 10)


def test_gaps_of_aborted_transactions_are_no_fault(spark, bootstrap: str, tmp_path: Path) -> None:
    make_topic(bootstrap, "aborted", partitions=1)
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": "audit-aborted"})
    producer.init_transactions(20)
    for kept in (True, False, True, False):
        producer.begin_transaction()
        for n in range(5):
            producer.produce("aborted", value=reading(n))
        producer.flush(20)
        (producer.commit_transaction if kept else producer.abort_transaction)(20)
    pipeline = write_pipeline(tmp_path, bootstrap=bootstrap, topic="aborted", extra="max_offsets_per_trigger: 4")
    ingest(spark, pipeline, bootstrap)
    found = audit(tmp_path, bootstrap, deep=True)
    assert (found.findings, found.read, found.compared.in_kafka, found.compared.once) == ((), 10, 10, 10)
    assert [batch.read for batch in found.batches] == [
        4,
        1,
        0,
        4,
        1,
        0,
    ]  # 24 offsets: 5 records, a mark, 5 aborted, a mark, ...
    assert found.waiting == 0


def test_an_audit_beside_a_running_ingest_is_of_one_moment(spark, bootstrap: str, tmp_path: Path) -> None:
    make_topic(bootstrap, "audited-while-busy")
    pipeline = write_pipeline(tmp_path, bootstrap=bootstrap, topic="audited-while-busy")
    done = threading.Event()

    sent = [0]

    def produce() -> None:
        while not done.is_set():
            send(bootstrap, "audited-while-busy", [reading(n) for n in range(100)])
            sent[0] += 100
            done.wait(0.1)

    job = start_ingest(spark, pipeline, broker=Broker(bootstrap, {}), until_caught_up=False, trigger_seconds=0.1)
    producer = threading.Thread(target=produce)
    producer.start()
    seen: list[Account] = []
    give_up = time.monotonic() + 120
    while len({account.read for account in seen}) < 3 and time.monotonic() < give_up:
        seen.append(audit(tmp_path, bootstrap, deep=len(seen) % 2 == 1))
    done.set()
    producer.join()
    job.close()
    assert [account.findings for account in seen] == [()] * len(seen)
    assert len({account.read for account in seen}) == 3  # it ran beside
    ingest(spark, pipeline, bootstrap)
    found = audit(tmp_path, bootstrap, deep=True)
    assert (found.findings, found.compared.once, found.waiting) == ((), sent[0], 0)


def test_a_topic_whose_cleaner_ran_adds_up_before_and_after(
    spark, bootstrap: str, compacting: Path, tmp_path: Path
) -> None:
    producer = Producer({"bootstrap.servers": bootstrap})
    end = time.monotonic() + 90
    while len(everything(bootstrap, "compacted")) > 50 and time.monotonic() < end:
        roll(producer)
        time.sleep(1)
    found = audit(compacting, bootstrap, deep=True)
    assert (found.findings, found.read) == ((), 100)
    assert found.compared.in_kafka == found.compared.once == 100 - found.compared.gone
    assert found.compared.gone > 50
    late = write_pipeline(tmp_path / "late", bootstrap=bootstrap, topic="compacted")
    ingest(spark, late, bootstrap)
    found = audit(tmp_path / "late", bootstrap, deep=True)
    assert found.findings == ()
    assert found.compared.once <= found.read < 60


def everything(bootstrap: str, topic: str) -> list[int]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "count", "enable.partition.eof": True})
    consumer.assign([TopicPartition(topic, 0, 0)])
    offsets: list[int] = []
    while True:
        message = consumer.poll(10)
        if message is None or message.error():
            consumer.close()
            return offsets
        offsets.append(message.offset())


def test_the_command_shows_the_figures_and_exits_with_9_where_they_do_not_add_up(copy: Path, bootstrap: str) -> None:
    done = run_headrace("audit", str(copy), "--deep", "--batches", environment={})
    assert done.returncode == 0, done.stderr
    shown = dict(re.findall(r"^ *(\w[\w ]*?)  +([\d,]+|yes|NO)$", done.stdout, re.MULTILINE))
    assert (shown["records in Kafka"], shown["records read"], shown["accepted now"], shown["adds up"]) == (
        "60",
        "60",
        "57",
        "yes",
    )
    assert "ledger of readings" in done.stdout
    DeltaTable(table_of(copy)).delete("kafka_partition = 0 and kafka_offset = 7")
    wrong = run_headrace("audit", str(copy), "--json", "--deep", "--stream", "readings", environment={})
    assert wrong.returncode == 9
    told = json.loads(wrong.stdout)
    assert (told["adds_up"], told["streams"][0]["rows_now"]["accepted"]) == (False, 56)
    assert {finding["kind"] for finding in told["streams"][0]["findings"]} == {"commit", "table", "missing"}
    assert "readings: does not add up" in wrong.stderr
    assert "Ada" not in done.stdout + done.stderr + wrong.stdout + wrong.stderr
    assert run_headrace("audit", str(copy), "--stream", "absent", environment={}).returncode == 3
