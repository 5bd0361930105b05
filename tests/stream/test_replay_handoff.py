"""A replay beside a running ingest: handed over, carried out between two batches, taken over or withdrawn, and once."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path

import pytest
from conftest import run_headrace
from pipelines import reading, send
from quarantined import (
    EVERYTHING,
    GOOD,
    RECORDS,
    RELEASED,
    STREAM,
    Lake,
    make_lake,
    offsets_in_kafka,
    released,
    write_rules,
)
from told import declare_lineage, told_by, version_of

from headrace.connections import Broker
from headrace.errors import SpecError
from headrace.ingest import asking
from headrace.ingest.asking import Asking
from headrace.ingest.replay_errand import replay_errand, replay_handler
from headrace.ingest.run import start_ingest
from headrace.lake.errands import Errands
from headrace.lake.layout import Layout


def ask(spark, lake: Lake, *, stop: threading.Event, states: list[str], errand=None) -> dict:
    pipeline = lake.pipeline
    return dict(
        Asking(
            spark=spark,
            errands=Errands(spark, Layout(pipeline.spec.lake.root).errands),
            errand=errand or replay_errand(pipeline, stream=STREAM, selection=EVERYTHING),
            lease=lambda: lake.lease(spark),
            handler=replay_handler(spark, pipeline),
            stop=stop,
            tell=states.append,
        ).have_done()
    )


def test_a_running_ingest_carries_a_replay_out_while_it_commits(spark, bootstrap: str, tmp_path: Path) -> None:
    lake = make_lake(spark, tmp_path / "p", bootstrap=bootstrap, topic="busy")
    assert "released_at" in lake.rows()[0]  # a new table has the columns from the start
    job = start_ingest(
        spark, lake.pipeline, broker=Broker(bootstrap, {}), until_caught_up=False, trigger_seconds=0.1
    )  # fmt: skip
    events = declare_lineage(lake.folder)
    lake.mend()  # the running ingest goes on by the wrong rule, and releases by the right one
    quiet, more = threading.Event(), len(RECORDS)

    def feed() -> None:
        nonlocal more
        while not quiet.is_set():
            send(bootstrap, "busy", [reading(n) for n in range(20)], partition=0)
            more += 20

    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        done = run_headrace("replay", str(lake.folder), "--stream", STREAM, "--json", environment={})
    finally:
        quiet.set()
        feeder.join()
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["released"] == 21
    states = [json.loads(line)["state"] for line in done.stderr.splitlines() if line.startswith("{")]
    assert states[0] == "waiting"
    assert "doing" not in states  # the ingest did it
    while not job.reached(STREAM, {0: more}):
        threading.Event().wait(0.2)
    job.close()
    batches = lake.versions_of("batch")
    (replayed,) = lake.versions_of("replay")
    assert min(batches) < replayed < max(batches)
    assert sorted(lake.rows()) == sorted(offsets_in_kafka(bootstrap, "busy"))
    assert {offset for offset, row in lake.rows().items() if row["released_at"]} == RELEASED
    assert list((lake.folder / "lake" / "errands").iterdir()) == []
    ((_, told_end),) = told_by(events, "replay")  # of what the ingest did for it, and of none of the batches
    (wrote,) = told_end["outputs"]
    assert version_of(wrote) == replayed


def test_a_command_takes_over_where_the_ingest_ends_and_the_errand_is_done_once(spark, lake: Lake, monkeypatch) -> None:
    monkeypatch.setattr(asking, "TRY_SECONDS", 0.2)
    states: list[str] = []
    with lake.lease(spark):  # somebody writes the table, and looks at no errand
        asker = threading.Thread(target=lambda: ask(spark, lake, stop=threading.Event(), states=states))
        asker.start()
        while "waiting" not in states:
            threading.Event().wait(0.05)
    asker.join(60)
    assert not asker.is_alive()
    assert states[-1] == "doing"
    assert lake.accepted() == RELEASED | set(range(len(GOOD)))


def test_an_errand_that_was_not_begun_is_withdrawn_by_ctrl_c(spark, lake: Lake) -> None:
    stop, version = threading.Event(), lake.version
    stop.set()
    with lake.lease(spark), pytest.raises(KeyboardInterrupt):
        ask(spark, lake, stop=stop, states=[])
    assert list((lake.folder / "lake" / "errands").iterdir()) == []
    assert lake.versions_of("replay") == []
    with pytest.raises(KeyboardInterrupt):  # and so is one that the command does itself
        ask(spark, lake, stop=stop, states=[])
    assert lake.versions_of("replay") == []
    assert lake.version > version


def test_an_ingest_that_died_in_an_errand_is_followed_by_one_that_does_it_once(
    spark, wronged: Lake, bootstrap: str, tmp_path: Path
) -> None:
    lakes = [wronged.copy(tmp_path / name) for name in ("undone", "done")]
    for lake in lakes:
        lake.mend()
        errands = Errands(spark, Layout(lake.pipeline.spec.lake.root).errands)
        errand = replay_errand(lake.pipeline, stream=STREAM, selection=EVERYTHING)
        errands.ask(errand)
        assert errands.begin(errand)
        if lake.folder.name == "done":  # it died between its commit and its answer
            assert released(spark, lake, request=errand.id)["released"] == 21
        job = start_ingest(spark, lake.pipeline, broker=Broker(bootstrap, {}), until_caught_up=False)
        try:
            while (answer := errands.answer(errand)) is None:
                threading.Event().wait(0.1)
        finally:
            job.close()
        assert answer.result()["repeated"] == (lake.folder.name == "done")
        assert answer.result()["released"] == 21
        assert len(lake.versions_of("replay")) == 1
        assert lake.accepted() == RELEASED | set(range(len(GOOD)))


def test_a_job_without_the_pipeline_file_of_the_command_refuses(spark, lake: Lake, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(lake.folder, elsewhere)
    write_rules(elsewhere, maximum=5000)
    text = (elsewhere / "pipeline.yaml").read_text()
    (elsewhere / "pipeline.yaml").write_text(text.replace("description", "description"))
    errand = replay_errand(Lake(elsewhere).pipeline, stream=STREAM, selection=EVERYTHING)
    shutil.rmtree(elsewhere)  # as if the job ran on another host
    with lake.lease(spark) as lease, pytest.raises(SpecError, match="does not find version"):
        replay_handler(spark, lake.pipeline)(errand, lease)
    assert lake.versions_of("replay") == []
