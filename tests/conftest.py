"""What all tests share: one Spark session, one broker and one finished demo, each started by the first test that asks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from short_lives import QUICK

if TYPE_CHECKING:
    from ingested import Ingested
    from pyspark.sql import SparkSession
    from quarantined import Lake
    from shop import Shop
    from trained_rides import Rides

os.environ["GX_ANALYTICS_ENABLED"] = "false"
os.environ.setdefault("SPARK_SUBMIT_OPTS", QUICK)
ROOT = Path(__file__).parents[1]
DEMO_TIMEOUT_S = 1500


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the long variants too (hours)")


TOGETHER = {
    "flights_demo": ("e2e/test_demo", "e2e/test_exit_codes", "e2e/test_workbench", "notebooks/test_notebooks"),
    "poisoned": ("stream/poison/test_catalogue", "stream/poison/test_fuzz"),
    "rides": ("stream/test_lineage", "stream/test_reproduce"),
    "shopped": ("stream/test_erase", "stream/test_erase_handoff", "stream/test_subject", "stream/test_tombstones"),
    "wronged": ("stream/test_quarantine", "stream/test_replay", "stream/test_replay_handoff"),
}
"""What costs most to make: the files whose tests use it run in one process, which makes it once."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Where several processes share the suite: a file's tests run in one of them, and so do the files that belong together."""
    from xdist.scheduler import LoadScopeScheduling

    scopes = {f"tests/{file}.py": name for name, files in TOGETHER.items() for file in files}

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return scopes.get(file, file)

    return ByFile(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--long"):
        skip = pytest.mark.skip(reason="a long variant: run with --long")
        for item in items:
            if "long" in item.keywords:
                item.add_marker(skip)


@pytest.fixture(autouse=True)
def _environment_as_it_was() -> Iterator[None]:
    """A test that leaves behind where things are would send the next ones there."""

    def places() -> dict[str, str]:
        return {
            name: value for name, value in os.environ.items() if name.startswith("HEADRACE_") or name.endswith("_URI")
        }

    before = places()
    yield
    assert places() == before, "a test changed the environment for those that follow"


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """The session that the product itself makes (UTC, Delta, Kafka), two tasks at a time."""
    from headrace.session import spark_session

    session = spark_session(
        app="tests", master="local[2]", driver_memory="2g", settings={"spark.sql.shuffle.partitions": "2"}
    )
    yield session
    session.stop()


@pytest.fixture(scope="session")
def bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a real broker; tests use topics of their own."""
    from headrace.embedded.kafka import KafkaBroker

    broker = KafkaBroker(tmp_path_factory.mktemp("broker") / "kafka")
    try:
        yield broker.start().bootstrap
    finally:
        broker.stop()


@pytest.fixture(scope="session")
def wronged(spark: SparkSession, bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake with a quarantine, as an older Headrace made it: its table lacks the columns of a released row. Read only."""
    from pyspark.sql.types import StructType
    from quarantined import make_lake

    from headrace.stages import stages

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages, "RELEASED", StructType([]))
        return make_lake(spark, tmp_path_factory.mktemp("wronged") / "p", bootstrap=bootstrap, topic="wronged")


@pytest.fixture
def lake(wronged: Lake, tmp_path: Path) -> Lake:
    """A copy of that lake, with the rule and the schema mended."""
    copy = wronged.copy(tmp_path / "p")
    copy.mend()
    return copy


@pytest.fixture(scope="session")
def shopped(spark: SparkSession, bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A lake that holds a person in every way there is. Read only: tests that change it take a copy."""
    from shop import make_shop

    return make_shop(spark, tmp_path_factory.mktemp("shopped") / "p", bootstrap=bootstrap, topic="shop")


@pytest.fixture(scope="session")
def rides(spark: SparkSession, bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Rides:
    """Rides with three models. The lake and the first model are read only."""
    from trained_rides import make_rides

    folder = tmp_path_factory.mktemp("remade")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADRACE_HOME", str(folder / "home"))
        return make_rides(folder, bootstrap=bootstrap)


@pytest.fixture(scope="session")
def poisoned(spark: SparkSession, bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Ingested:
    """The poison catalogue and the fuzzed records, after one ingest of both. Read only."""
    from ingested import ingest_all

    return ingest_all(spark, tmp_path_factory.mktemp("poison"), bootstrap=bootstrap)


@dataclass(frozen=True)
class DemoRun:
    """A finished demo, made after one that was interrupted by Ctrl-C in the same folder."""

    home: Path
    environment: Mapping[str, str]
    interrupted: subprocess.CompletedProcess[str]
    finished: subprocess.CompletedProcess[str]

    @property
    def figures(self) -> dict[str, Any]:
        return json.loads((self.home / "demo.json").read_text())

    def headrace(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command of the demo's folder."""
        return run_headrace(*arguments, environment=self.environment)


def run_headrace(
    *arguments: str, environment: Mapping[str, str], interrupt_when: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """``headrace ARGUMENTS`` as a user runs it; ``interrupt_when``: send SIGINT once this path exists."""
    command = [sys.executable, "-m", "headrace.cli", *arguments]
    process = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    if interrupt_when is not None:
        deadline = time.monotonic() + 180
        while not interrupt_when.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
    try:
        out, err = process.communicate(timeout=DEMO_TIMEOUT_S)
    finally:
        process.kill()
    return subprocess.CompletedProcess(command, process.returncode, out, err)


@pytest.fixture(scope="session")
def flights_demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoRun]:
    """``headrace demo``, interrupted while it ingests, then run to its end."""
    home = tmp_path_factory.mktemp("demo") / ".headrace"
    environment = {
        "HEADRACE_HOME": str(home),
        "HEADRACE_LAKE": str(home / "lake"),
        "HEADRACE_KEYS": str(home / "keys.json"),
    }
    try:
        begun = home / "lake" / "checkpoints" / "ingest" / "upcoming" / "offsets" / "0"
        as_shipped = {"SPARK_SUBMIT_OPTS": ""}
        interrupted = run_headrace("demo", "--home", str(home), environment=as_shipped, interrupt_when=begun)
        finished = run_headrace("demo", "--home", str(home), environment=as_shipped)
        yield DemoRun(home, environment, interrupted, finished)
    finally:
        run_headrace("down", environment=environment)


@pytest.fixture(scope="session")
def flights_lake(flights_demo: DemoRun) -> Mapping[str, str]:
    """The environment in which conf/flights points to the finished demo's lake, models and keys."""
    assert flights_demo.finished.returncode == 0, flights_demo.finished.stdout + flights_demo.finished.stderr
    return flights_demo.environment
