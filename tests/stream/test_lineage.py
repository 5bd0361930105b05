"""The way back from a model to Kafka's offsets, judged by confluent-kafka and delta-rs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition
from deltalake import DeltaTable
from rides import CUT, ask
from shop import headrace
from told import named, told_by, version_of
from trained_rides import Rides


@pytest.fixture(autouse=True)
def at_home(rides: Rides, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_HOME", str(rides.home))


def ends(bootstrap: str, topic: str) -> dict[str, list[list[int]]]:
    """What each partition holds, by confluent-kafka."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "ends"})
    try:
        found = {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=10) for p in (0, 1)}
    finally:
        consumer.close()
    return {str(p): [[first, end]] for p, (first, end) in found.items() if first < end}


def test_the_way_back_names_every_offset(rides: Rides, bootstrap: str) -> None:
    told = json.loads(headrace("lineage", str(rides.pipeline.folder), "champion", "--json"))
    assert (told["model"], told["version"], told["run"]) == ("remade", 1, rides.runs[0])
    assert told["sha256"] == rides.file_sha256(1)
    assert {table["stream"]: table["version"] for table in told["tables"]} == rides.versions
    for table in told["tables"]:
        assert table["offsets"] == ends(bootstrap, table["topic"])
        assert table["rows"]["accepted"] == DeltaTable(table["path"]).to_pyarrow_table().num_rows
        assert table["batches"] >= 2
        assert table["unknown"] == ""


def test_the_tree_can_be_read(rides: Rides) -> None:
    tree = headrace("lineage", "remade/1")
    lines = [line.strip("│├└─ ") for line in tree.splitlines()]
    assert lines[0] == f"model remade/1  SHA-256 {rides.file_sha256(1)}"
    assert lines[1] == f"run {rides.runs[0]}: rides as of 2026-01-01 10:00 UTC"
    assert f"events/asked version {rides.versions['asked']}: 600 accepted" in lines
    assert any(line.startswith("partition 0: offsets 0 to ") for line in lines)


def batches(table: str) -> list[int]:
    """Versions that micro-batches committed, by delta-rs."""
    told = {one["version"]: json.loads(one.get("userMetadata") or "{}") for one in DeltaTable(table).history()}
    return sorted(version for version, metadata in told.items() if metadata.get("headrace") == "batch")


def test_an_ingest_tells_the_offsets_it_read_and_the_versions_it_wrote(rides: Rides, bootstrap: str) -> None:
    runs = told_by(rides.events, "ingest")
    assert [[event["eventType"] for event in run] for run in runs] == [["START", "COMPLETE"]] * 2
    for stream in ("asked", "moved"):
        path, name = f"{rides.pipeline.folder}/lake/events/{stream}", f"remade.{stream}"
        read = [named(run[-1]["inputs"])[name] for run in runs]
        assert {one["namespace"] for one in read} == {f"kafka://{bootstrap}"}
        spans = [one["inputFacets"]["headrace_kafkaOffsets"]["partitions"] for one in read]
        for partition, ((first, end),) in ends(bootstrap, name).items():
            (begun, between), (again, ended) = (one[partition][0] for one in spans)
            assert (begun, between, ended) == (first, again, end)
        wrote = [named(run[-1]["outputs"])[path] for run in runs]
        assert version_of(wrote[-1]) == batches(path)[-1]
        assert sum(one["outputFacets"]["outputStatistics"]["rowCount"] for one in wrote) == 600
        columns = {one["name"] for one in wrote[-1]["facets"]["schema"]["fields"]}
        assert columns == {field.name for field in DeltaTable(path).schema().fields}


def test_a_training_tells_its_tables_its_rows_and_its_model(rides: Rides) -> None:
    runs = told_by(rides.events, "train")
    assert len(runs) == 3
    for number, (start, end) in enumerate(runs, 1):
        assert (start["eventType"], end["eventType"]) == ("START", "COMPLETE")
        read = {name: version_of(one) for name, one in named(end["inputs"]).items()}
        lake = f"{rides.pipeline.folder}/lake"
        assert read == {f"{lake}/events/{name}": version for name, version in rides.versions.items()}
        wrote = named(end["outputs"])
        assert set(wrote) == {f"{lake}/snapshots/{rides.runs[number - 1]}", "remade"}
        assert version_of(wrote["remade"]) == number


def test_a_scoring_tells_requests_tables_and_model(rides: Rides, bootstrap: str) -> None:
    ask(bootstrap, "remade", first=600, last=610)
    headrace("ingest", str(rides.pipeline.folder), "--until-caught-up")
    headrace("score", str(rides.pipeline.folder), "--until-caught-up", "--from", CUT.isoformat())
    ((start, end),) = told_by(rides.events, "score")
    lake = f"{rides.pipeline.folder}/lake"
    assert (start["eventType"], end["eventType"]) == ("START", "COMPLETE")
    read, wrote = named(end["inputs"]), named(end["outputs"])
    assert set(read) == {"remade.asked", f"{lake}/events/moved", "remade"}
    assert version_of(read["remade"]) == 1
    assert version_of(read[f"{lake}/events/moved"]) >= rides.versions["moved"]
    assert set(wrote) == {
        f"{lake}/serving/remade/requests", f"{lake}/serving/remade/predictions", "remade.answers"
    }  # fmt: skip
    rows = DeltaTable(f"{lake}/serving/remade/predictions").to_pyarrow_table().num_rows
    assert wrote[f"{lake}/serving/remade/predictions"]["outputFacets"]["outputStatistics"]["rowCount"] == rows == 10


def test_parameters_and_a_search_tell_what_they_were_made_of(
    rides: Rides, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path / "home"))
    shutil.copytree(rides.pipeline.folder, tmp_path / "p")
    file = tmp_path / "p" / "pipeline.yaml"
    text = file.read_text().replace(str(rides.pipeline.folder), str(tmp_path / "p")).replace("rides\n", "told\n", 1)
    text = text.replace("  rounds: 20\n", "  rounds: 20\n  search: {folds: 2}\n")
    file.write_text(f"{text}parameters: {{statistics: true}}\n")
    events, lake = tmp_path / "p" / "told" / "events.jsonl", tmp_path / "p" / "lake"
    headrace("parameters", str(tmp_path / "p"), "--as-of", CUT.isoformat())
    versions = {f"{lake}/events/{name}": DeltaTable(f"{lake}/events/{name}").version() for name in rides.versions}
    found = json.loads(headrace("search", str(tmp_path / "p"), "--as-of", CUT.isoformat(), "--trials", "1"))
    assert found["version"] == 1
    for job in ("parameters", "search"):
        ((start, end),) = told_by(events, job)
        assert (start["eventType"], end["eventType"]) == ("START", "COMPLETE")
        read = {name: version_of(one) for name, one in named(end["inputs"]).items()}
        assert read == versions
        assert set(named(end["outputs"])) == {f"{lake}/parameters", "told.parameters"}
    headrace("parameters", str(tmp_path / "p"), "--as-of", CUT.isoformat())
    assert not told_by(events, "parameters")[-1][-1]["outputs"], "nothing was new"
