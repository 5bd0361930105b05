"""What a start recognizes and refuses, with the remedy that it names, and what a resumed or accepting start does."""

from __future__ import annotations

import json
import shutil
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from deltalake import DeltaTable
from oracle import judge
from pipelines import make_topic, reading, send, write_pipeline

from headrace.connections import Broker
from headrace.errors import CheckpointError, RecordsLost
from headrace.ingest.position import table_position
from headrace.ingest.resume import filled_tables, resume
from headrace.ingest.run import start_ingest
from headrace.ingest.writer import BatchReport
from headrace.lake import delta, files, lease
from headrace.lake.lease import leased
from headrace.spec import Pipeline

TOPIC = "start-checks"
FOREIGN = '{"id":"11111111-1111-1111-1111-111111111111"}'


def ingest(spark, pipeline: Pipeline, bootstrap: str, **options) -> list[int]:
    """Rows of each batch of a run up to the topic's end."""
    rows: list[int] = []

    def on_batch(report: BatchReport) -> None:
        rows.append(report.rows)

    start_ingest(
        spark, pipeline, broker=Broker(bootstrap, {}), until_caught_up=True, on_batch=on_batch, **options
    ).wait()  # fmt: skip
    return rows


@pytest.fixture(scope="module")
def ingested(spark, bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose pipeline has ingested 60 records in three batches; more than the table holds are sent afterwards."""
    folder = tmp_path_factory.mktemp("start-checks")
    make_topic(bootstrap, TOPIC, partitions=1)
    send(bootstrap, TOPIC, [reading(n) for n in range(60)])
    pipeline = write_pipeline(folder, bootstrap=bootstrap, topic=TOPIC, extra="max_offsets_per_trigger: 20")
    assert ingest(spark, pipeline, bootstrap) == [20, 20, 20]
    send(bootstrap, TOPIC, [reading(n) for n in range(60, 75)])
    return folder


@pytest.fixture
def copy(ingested: Path, bootstrap: str, tmp_path: Path) -> tuple[Pipeline, Path, Path]:
    """A pipeline, its table and its checkpoint: a lake of one's own to harm."""
    shutil.copytree(ingested, tmp_path, dirs_exist_ok=True)
    pipeline = write_pipeline(tmp_path, bootstrap=bootstrap, topic=TOPIC, extra="max_offsets_per_trigger: 20")
    return pipeline, tmp_path / "lake/events/readings", tmp_path / "lake/checkpoints/ingest/readings"


def without_metadata(table: Path, checkpoint: Path) -> None:
    (checkpoint / "metadata").unlink()


def without_checkpoint(table: Path, checkpoint: Path) -> None:
    shutil.rmtree(checkpoint)


def of_another_query(table: Path, checkpoint: Path) -> None:
    (checkpoint / ".metadata.crc").unlink()
    (checkpoint / "metadata").write_text(FOREIGN)


def damaged(table: Path, checkpoint: Path) -> None:
    (checkpoint / "metadata").write_text(FOREIGN)  # its checksum file tells


def rolled_back(table: Path, checkpoint: Path) -> None:
    for log in ("offsets", "commits"):
        for name in ("2", ".2.crc"):
            (checkpoint / log / name).unlink()


def edited(table: Path, checkpoint: Path) -> None:
    offsets = checkpoint / "offsets" / "2"
    first, clock, until = offsets.read_text().splitlines()
    offsets.with_name(".2.crc").unlink()
    moved = {TOPIC: {number: offset - 1 for number, offset in json.loads(until)[TOPIC].items()}}
    offsets.write_text("\n".join([first, clock, json.dumps(moved)]))


HARM: dict[str, tuple[Callable[[Path, Path], None], str]] = {
    "the metadata file is lost": (without_metadata, "has lost its file 'metadata'"),
    "the checkpoint is deleted": (without_checkpoint, "is gone"),
    "the checkpoint is another query's": (of_another_query, "is not the one that wrote table"),
    "the checkpoint is damaged": (damaged, "is damaged"),
    "the checkpoint is rolled back": (rolled_back, "was rolled back"),
    "the checkpoint is edited": (edited, "ends at other offsets"),
}


@pytest.mark.parametrize("harm", HARM)
def test_a_harmed_checkpoint_is_refused_and_resume_goes_on_where_the_table_ends(
    spark, copy, bootstrap: str, harm: str
) -> None:
    pipeline, table, checkpoint = copy
    do_harm, sentence = HARM[harm]
    do_harm(table, checkpoint)
    with pytest.raises(CheckpointError, match=sentence) as refused:
        ingest(spark, pipeline, bootstrap)
    assert "headrace resume PIPELINE --from-table" in str(refused.value)
    assert len(DeltaTable(str(table)).to_pyarrow_table()) == 60
    resume(spark, filled_tables(pipeline)["readings"])
    assert ingest(spark, pipeline, bootstrap) == [15]
    assert judge(bootstrap, topic=TOPIC, table=str(table)).clean


def test_a_table_restored_to_an_older_version_is_refused_and_resume_reads_the_later_records_again(
    spark, copy, bootstrap: str
) -> None:
    pipeline, table, _ = copy
    first = next(v for v in range(10) if DeltaTable(str(table), version=v).to_pyarrow_table().num_rows == 20)
    spark.sql(f"RESTORE TABLE delta.`{table}` TO VERSION AS OF {first}")
    with pytest.raises(CheckpointError, match="restored to an older version: its newest batch is 0"):
        ingest(spark, pipeline, bootstrap)
    resume(spark, filled_tables(pipeline)["readings"])
    assert sum(ingest(spark, pipeline, bootstrap)) == 55
    assert judge(bootstrap, topic=TOPIC, table=str(table)).clean


def test_a_table_that_is_gone_or_made_anew_is_refused(spark, copy, bootstrap: str, tmp_path: Path) -> None:
    pipeline, table, _ = copy
    shutil.move(table, tmp_path / "kept")
    with pytest.raises(CheckpointError, match=r"3 finished batches but table .* is gone"):
        ingest(spark, pipeline, bootstrap)
    assert not table.exists()
    spark.read.format("delta").load(str(tmp_path / "kept")).limit(0).write.format("delta").save(str(table))
    with pytest.raises(CheckpointError, match=r"3 finished batches but table .* holds no batch of it"):
        ingest(spark, pipeline, bootstrap)


def test_a_second_checkpoint_on_one_table_is_refused(spark, copy, bootstrap: str) -> None:
    pipeline, _, checkpoint = copy
    resume(spark, filled_tables(pipeline)["readings"])
    aside = next(checkpoint.parent.glob("readings.set-aside-*"))
    shutil.rmtree(checkpoint)
    shutil.copytree(aside, checkpoint)
    with pytest.raises(CheckpointError, match="is not the one that wrote table"):
        ingest(spark, pipeline, bootstrap)


def test_a_resume_that_was_interrupted_is_done_again(spark, copy, bootstrap: str, monkeypatch) -> None:
    pipeline, table, checkpoint = copy
    shutil.rmtree(checkpoint)
    filled = filled_tables(pipeline)["readings"]
    kept = files.move

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(files, "move", interrupted)
    with pytest.raises(KeyboardInterrupt):
        resume(spark, filled)
    monkeypatch.setattr(files, "move", kept)
    with pytest.raises(CheckpointError, match="is gone"):
        ingest(spark, pipeline, bootstrap)
    resume(spark, filled)
    assert ingest(spark, pipeline, bootstrap) == [15]
    assert judge(bootstrap, topic=TOPIC, table=str(table)).clean


def remade(bootstrap: str, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.delete_topics([topic])[topic].result(20)
    end = time.monotonic() + 90
    while topic in admin.list_topics(timeout=60).topics and time.monotonic() < end:
        time.sleep(0.1)
    make_topic(bootstrap, topic)


def test_a_topic_made_anew_is_recognized_at_the_start_and_while_running(spark, bootstrap: str, tmp_path: Path) -> None:
    topic = "made-anew"
    make_topic(bootstrap, topic)
    send(bootstrap, topic, [reading(n) for n in range(10)])
    pipeline = write_pipeline(tmp_path, bootstrap=bootstrap, topic=topic)
    running = start_ingest(spark, pipeline, broker=Broker(bootstrap, {}), until_caught_up=False, trigger_seconds=0.2)
    wait_for(lambda: running.reached("readings", {0: 1}))
    remade(bootstrap, topic)
    send(
        bootstrap, topic, [reading(n) for n in range(100, 140)]
    )  # more than were read: Spark alone would skip the first ones
    with pytest.raises(CheckpointError, match="was deleted and made anew"):
        running.wait()
    with pytest.raises(CheckpointError, match="was deleted and made anew"):
        ingest(spark, pipeline, bootstrap)
    assert len(DeltaTable(str(tmp_path / "lake/events/readings")).to_pyarrow_table()) == 10


def wait_for(reached: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.1)


def shorten(bootstrap: str, topic: str, partition: int, before: int) -> None:
    """What retention does: delete the records before an offset."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    at = TopicPartition(topic, partition, before)
    for done in admin.delete_records([at]).values():
        done.result(20)


def test_records_that_retention_deleted_unread_stop_the_start_and_their_loss_is_accepted_only_in_so_many_words(
    spark, bootstrap: str, tmp_path: Path
) -> None:
    topic = "too-late"
    make_topic(bootstrap, topic)
    for partition in (0, 1):
        send(bootstrap, topic, [reading(n) for n in range(10)], partition=partition)
    pipeline = write_pipeline(tmp_path, bootstrap=bootstrap, topic=topic)
    assert sum(ingest(spark, pipeline, bootstrap)) == 20
    for partition in (0, 1):
        send(bootstrap, topic, [reading(n) for n in range(10, 30)], partition=partition)
    shorten(bootstrap, topic, 0, 9)  # all read: no loss
    shorten(bootstrap, topic, 1, 16)
    with pytest.raises(RecordsLost, match=r"\(partition 1 offsets 10 to 15\).*--accept-loss"):
        ingest(spark, pipeline, bootstrap)
    told: list[str] = []
    assert sum(ingest(spark, pipeline, bootstrap, accept_loss=True, notify=told.append)) == 34
    assert any("goes on without records that Kafka deleted: partition 1 offsets 10 to 15" in line for line in told)
    table = str(tmp_path / "lake/events/readings")
    rows = DeltaTable(table).to_pyarrow_table(columns=["kafka_partition", "kafka_offset"]).to_pylist()
    assert sorted(row["kafka_offset"] for row in rows if row["kafka_partition"] == 1) == [*range(10), *range(16, 30)]
    (loss,) = [
        json.loads(entry["userMetadata"])
        for entry in DeltaTable(table).history()
        if '"loss"' in entry.get("userMetadata", "")
    ]
    assert (loss["headrace"], loss["ranges"]) == ("loss", {"1": [10, 16]})
    assert ingest(spark, pipeline, bootstrap) == []


def test_records_that_retention_deletes_under_a_running_ingest_stop_it_by_name(
    spark, bootstrap: str, tmp_path: Path
) -> None:
    topic = "overtaken"
    make_topic(bootstrap, topic, partitions=1)
    send(bootstrap, topic, [reading(n, owner="x" * 10_000) for n in range(600)])  # more than one fetch brings
    pipeline = write_pipeline(tmp_path, bootstrap=bootstrap, topic=topic, extra="max_offsets_per_trigger: 10")

    def after_the_first(step: str) -> None:
        if step == "reported":
            shorten(bootstrap, topic, 0, 590)

    with pytest.raises(RecordsLost, match=r"partition 0 offsets \d+0 to 589"):
        ingest(spark, pipeline, bootstrap, on_step=after_the_first)


def test_a_writer_that_lost_its_lease_unawares_writes_nothing(spark, copy, bootstrap: str) -> None:
    """As where its machine slept: another host took the table over, then this one goes on in the midst of a batch."""
    pipeline, table, _ = copy
    foreign = replace(lease.Holder.this_process(), host="elsewhere")

    def taken_over(step: str) -> None:
        if step == "planned":
            delta.set_property(spark, str(table), lease.PROPERTY, json.dumps(vars(foreign)))

    with pytest.raises(CheckpointError, match="another job has taken over 'events/readings'"):
        ingest(spark, pipeline, bootstrap, on_step=taken_over)
    assert len(DeltaTable(str(table)).to_pyarrow_table()) == 60


def test_a_lease_holds_across_hosts_and_is_recovered_once_its_holder_is_silent(
    spark, copy, bootstrap: str, monkeypatch
) -> None:
    monkeypatch.setattr(lease, "WATCH_SECONDS", 3.0)
    monkeypatch.setattr(lease, "BEAT_SECONDS", 0.5)
    pipeline, table, _ = copy
    told: list[str] = []
    with leased(spark, str(table), what="events/readings"):
        monkeypatch.setattr(socket, "gethostname", lambda: "elsewhere")  # now the holder looks like another host's
        with pytest.raises(CheckpointError, match="another job is writing 'events/readings'"):
            ingest(spark, pipeline, bootstrap)
    monkeypatch.undo()
    monkeypatch.setattr(lease, "WATCH_SECONDS", 3.0)
    foreign = replace(lease.Holder.this_process(), host="elsewhere")
    delta.set_property(spark, str(table), lease.PROPERTY, json.dumps(vars(foreign)))  # it died and beats no more
    assert ingest(spark, pipeline, bootstrap, notify=told.append) == [15]
    assert any("was last written from elsewhere; watching" in line for line in told)


def test_the_position_is_read_from_the_newest_commit_that_fixes_one(spark, copy) -> None:
    table = copy[1]
    position = table_position(spark, str(table))
    assert position is not None
    assert (position.batch, position.topic, sum(position.until.values())) == (2, TOPIC, 60)
