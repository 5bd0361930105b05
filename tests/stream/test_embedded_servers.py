"""All servers of one folder, and MLflow's web interface, as `headrace up`, `down`, `status` and a browser see them."""

from __future__ import annotations

import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from headrace.embedded import servers
from headrace.embedded.mlflow_store import MlflowUi, artifact_root, sqlite_uri
from headrace.embedded.ports import is_listening
from headrace.errors import EmbeddedServerError, StorageError

SERVE = """
import sys
from pathlib import Path
from headrace.embedded.mlflow_store import MlflowUi
MlflowUi(Path(sys.argv[1])).serve(notify=lambda line: print(line, flush=True))
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / ".headrace"
    servers.down(tmp_path / ".headrace")


def is_live(pid: int) -> bool:
    """False also for a process that has ended and waits to be collected."""
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_status_of_a_folder_that_does_not_exist_says_that_nothing_runs_and_makes_nothing(tmp_path: Path) -> None:
    told = servers.status(tmp_path / "new")
    assert [(server.name, server.running) for server in told.servers] == [("kafka", False), ("mlflow-ui", False)]
    assert list(tmp_path.iterdir()) == []


def test_up_then_down_leaves_the_data_and_no_process(home: Path) -> None:
    kafka = servers.up(home)["kafka"]
    assert kafka.running
    assert kafka.pid is not None
    assert kafka.address is not None
    assert is_live(kafka.pid)
    assert 50 < (kafka.rss_mb or 0) < 1000
    assert servers.up(home)["kafka"].pid == kafka.pid
    told = servers.down(home)
    assert not any(server.running for server in told.servers)
    assert not is_live(kafka.pid)
    assert not is_listening(int(kafka.address.rsplit(":", 1)[1]))
    assert (kafka.data / "meta.properties").is_file()


def test_the_web_interface_answers_and_ends_quietly_with_ctrl_c(home: Path) -> None:
    command = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(home)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert command.stdout is not None
    line = command.stdout.readline()
    ui = servers.status(home)["mlflow-ui"]
    assert ui.address is not None
    assert ui.address in line
    with urllib.request.urlopen(ui.address, timeout=20) as page:
        assert b"MLflow" in page.read()
    port = int(ui.address.rsplit(":", 1)[1])
    with pytest.raises(EmbeddedServerError, match=f"Port {port} .* is taken"):
        MlflowUi(home).serve(port)
    command.send_signal(signal.SIGINT)
    assert command.communicate(timeout=120)[0] == ""
    assert command.returncode == 0
    assert not is_listening(port)
    assert not servers.status(home)["mlflow-ui"].running


def test_a_store_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="ascii")
    for answer in (sqlite_uri, artifact_root):
        with pytest.raises(StorageError, match=r"MLflow store .* can't be written"):
            answer(tmp_path / "file")
