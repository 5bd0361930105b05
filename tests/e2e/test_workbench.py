"""``headrace.open`` on a lake with accepted and quarantined rows, a promoted model and predictions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

import headrace
from headrace.errors import HeadraceError, SpecError, StorageError
from headrace.workbench import Workbench

PIPELINE = Path(__file__).parents[2] / "conf" / "flights"


@pytest.fixture
def bench(spark: SparkSession, flights_lake: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Workbench:
    for name, value in flights_lake.items():
        monkeypatch.setenv(name, value)
    return headrace.open(str(PIPELINE))


@pytest.fixture
def events(flights_lake: Mapping[str, str]) -> str:
    return f"{flights_lake['HEADRACE_LAKE']}/events"


def test_accepted_and_quarantined_rows_are_all_rows_of_the_table(bench: Workbench, events: str) -> None:
    assert bench.streams == ("upcoming", "movements", "weather")
    for stream in bench.streams:
        verdicts = DeltaTable(f"{events}/{stream}").to_pandas(columns=["verdict"])["verdict"].value_counts()
        assert bench.accepted(stream).count() == verdicts.get("accepted", 0)
        assert bench.quarantine(stream).count() == verdicts.get("quarantined", 0)
        assert bench.accepted_stream(stream).isStreaming


def test_views_are_named_after_the_streams(bench: Workbench) -> None:
    def count(view: str) -> int:
        return bench.spark.sql(f"select count(*) from {view}").head()[0]

    for stream in bench.streams:
        assert count(stream) == bench.accepted(stream).count()
        assert count(f"quarantine_{stream}") == bench.quarantine(stream).count()
    assert count("predictions") == bench.predictions().count() > 0


def test_every_quarantined_record_is_found_by_its_coordinates_with_its_reasons(bench: Workbench, events: str) -> None:
    columns = ["verdict", "kafka_topic", "kafka_partition", "kafka_offset", "failed_rules", "batch_id", "spec_version"]
    rows = DeltaTable(f"{events}/weather").to_pyarrow_table(columns=columns).to_pylist()
    held = [row for row in rows if row["verdict"] == "quarantined"]
    assert held, "the lake of this test must hold quarantined weather"
    for row in held[:3]:
        record = bench.record(row["kafka_topic"], row["kafka_partition"], row["kafka_offset"])
        assert (record.stream, record.verdict) == ("weather", "quarantined")
        assert list(record.failed_rules) == row["failed_rules"] != []
        assert (record.batch, record.spec_version) == (row["batch_id"], row["spec_version"])
        assert "payload" not in record.columns


def test_commits_add_up_to_the_table_and_their_offsets_join(bench: Workbench, events: str) -> None:
    for stream in bench.streams:
        commits = bench.commits(stream)
        batches = commits[commits["batch"].notna()]
        rows = DeltaTable(f"{events}/{stream}").to_pyarrow_table(columns=["verdict"]).num_rows
        assert batches["accepted"].sum() + batches["quarantined"].sum() == rows
        assert list(batches["batch"]) == list(range(len(batches)))
        assert list(batches["from_offsets"])[1:] == list(batches["until_offsets"])[:-1]


def test_rules_count_what_the_rows_say(bench: Workbench, events: str) -> None:
    counted = {
        (row.stream, row.rule): row.rows
        for row in bench.rules().groupby(["stream", "rule"], as_index=False)["rows"].sum().itertuples()
    }
    for stream in bench.streams:
        failed = DeltaTable(f"{events}/{stream}").to_pandas(columns=["failed_rules"])["failed_rules"].explode().dropna()
        assert {rule: n for (name, rule), n in counted.items() if name == stream} == failed.value_counts().to_dict()


def test_the_champion_its_run_and_its_training_rows_belong_together(bench: Workbench) -> None:
    model, runs = bench.model(), bench.runs()
    champion = runs[runs["champion"]].iloc[0]
    assert (champion["run_id"], champion["version"], champion["gate"]) == (model.run_id, model.version, "passed")
    assert 0.5 < champion["test_auc"] < 0.8
    last = bench.decisions().iloc[-1]
    assert (last["run_id"], last["version"], last["action"]) == (model.run_id, model.version, "promoted")
    rows = bench.training_rows(model.run_id)
    assert set(model.features) < set(rows.columns)
    assert rows.count() >= champion["rows_train"] + champion["rows_test"]
    importance = bench.importance()
    assert importance.is_monotonic_decreasing
    assert importance.sum() == pytest.approx(1)
    versions = {row["model_version"] for row in bench.predictions().select("model_version").distinct().collect()}
    assert versions <= set(runs["version"])


def test_what_is_not_there_is_told_in_one_sentence(bench: Workbench) -> None:
    with pytest.raises(SpecError, match="unknown stream 'weathr': expected one of upcoming, movements, weather"):
        bench.accepted("weathr")
    with pytest.raises(SpecError, match=r"no stream reads topic 'flights': expected one of flights\.upcoming"):
        bench.record("flights", 0, 0)
    with pytest.raises(HeadraceError, match=r"record flights\.weather/0/999999999 is not in the table"):
        bench.record("flights.weather", 0, 999_999_999)
    with pytest.raises(StorageError, match="run 'none' has no training snapshot"):
        bench.training_rows("none")


def test_an_empty_lake_opens_and_says_what_to_run(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path))
    monkeypatch.setenv("HEADRACE_LAKE", str(tmp_path / "lake"))
    bench = headrace.open(str(PIPELINE))
    assert bench.streams == ()
    assert bench.rules().empty
    with pytest.raises(StorageError, match=r"stream 'weather' has no table at .* yet; run: headrace ingest"):
        bench.quarantine("weather")
    with pytest.raises(StorageError, match="has no predictions yet; run: headrace score"):
        bench.predictions()
    with pytest.raises(HeadraceError, match="no version with the alias 'champion'; run: headrace train"):
        bench.model()
    assert bench.runs().empty
    assert bench.decisions().empty
