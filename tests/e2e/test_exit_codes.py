"""What a user sees when something is wrong: one sentence, the documented exit code, no trace of a stack."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from conftest import run_headrace

UNREACHABLE = "127.0.0.1:1"


def assert_one_sentence(done, code: int, *parts: str) -> None:
    said = done.stdout + done.stderr
    assert done.returncode == code, said
    assert "Traceback" not in said
    assert "\tat " not in said
    sentences = [line for line in done.stderr.splitlines() if line.startswith(("error: ", "refused: "))]
    assert len(sentences) == 1, said
    for part in parts:
        assert part in sentences[0]


def test_a_wrong_pipeline_file_is_3(tmp_path: Path) -> None:
    (tmp_path / "pipeline.yaml").write_text("pipeline: x\nstreams: {}\n")
    done = run_headrace("check", str(tmp_path), environment={})
    assert_one_sentence(done, 3, "1 problem")
    assert "pipeline.yaml:2: streams" in done.stdout


def test_a_missing_java_is_4(tmp_path: Path) -> None:
    environment = {"JAVA_HOME": str(tmp_path / "none"), "HEADRACE_HOME": str(tmp_path)}
    assert_one_sentence(run_headrace("up", environment=environment), 4, "JAVA_HOME", "openjdk-17")


@pytest.mark.parametrize("verb", ["ingest", "score"])
def test_an_unreachable_broker_is_5_and_said_before_spark_starts(verb: str, tmp_path: Path) -> None:
    environment = {
        "HEADRACE_KAFKA": UNREACHABLE,
        "HEADRACE_HOME": str(tmp_path),
        "HEADRACE_LAKE": str(tmp_path / "lake"),
    }
    done = run_headrace(verb, "conf/flights", environment=environment)
    assert_one_sentence(done, 5, UNREACHABLE, "headrace up")
    assert "incubator" not in done.stderr  # what Spark's JVM prints first
    assert not (tmp_path / "kafka").exists()  # a file that names another broker starts none


def test_an_absent_topic_is_5(bootstrap: str, tmp_path: Path) -> None:
    environment = {"HEADRACE_KAFKA": bootstrap, "HEADRACE_HOME": str(tmp_path), "HEADRACE_LAKE": str(tmp_path / "lake")}
    (tmp_path / "conf").mkdir()
    done = run_headrace("ingest", "conf/flights", environment=environment)
    assert_one_sentence(done, 5, "topic 'flights.", "does not exist")


def test_a_lake_that_cannot_be_written_is_6(flights_lake, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    environment = {**flights_lake, "HEADRACE_LAKE": str(tmp_path / "file" / "lake")}
    done = run_headrace("ingest", "conf/flights", "--until-caught-up", environment=environment)
    assert_one_sentence(done, 6, str(tmp_path / "file"))


def test_a_damaged_key_ring_is_7(flights_lake, tmp_path: Path) -> None:
    ring = tmp_path / "keys.json"
    ring.write_text(json.dumps({"keys": {"seal": {"1": {"key": "too short"}}}}))
    ring.chmod(0o600)
    environment = {**flights_lake, "HEADRACE_KEYS": str(ring), "HEADRACE_LAKE": str(tmp_path / "lake")}
    done = run_headrace("ingest", "conf/flights", "--until-caught-up", environment=environment)
    assert_one_sentence(done, 7, str(ring))
    assert "too short" not in done.stdout + done.stderr


def test_training_without_data_is_11(tmp_path: Path) -> None:
    environment = {"HEADRACE_HOME": str(tmp_path), "HEADRACE_LAKE": str(tmp_path / "lake")}
    done = run_headrace("train", "conf/flights", "--as-of", "2013-03-01", environment=environment)
    assert_one_sentence(done, 11, "headrace ingest")


def test_a_taken_range_is_refused_and_again_is_offered(flights_lake) -> None:
    done = run_headrace("feed", "flights", "--from", "2013-01-01", "--to", "2013-01-02", environment=flights_lake)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "again" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_usage_error_is_2() -> None:
    done = run_headrace("train", "conf/flights", "--as-of", "yesterday", environment=dict(os.environ))
    assert done.returncode == 2
    assert "2013-03-01" in done.stderr
