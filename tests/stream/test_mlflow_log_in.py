"""MLflow behind a log-in: a real server with basic authentication, who gets in, and what the others are told."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator

import pyarrow as pa
import pytest
import xgboost as xgb
from mlflow.server.auth.client import AuthServiceClient

from headrace.connections import Tracking
from headrace.embedded.ports import first_free
from headrace.errors import ModelError
from headrace.training import registry
from headrace.training.registry import open_tracking

ADMIN, PASSWORD = "admin", "a long pass-phrase 4711"
REFUSED = "MLflow refused the log-in; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD to what it knows"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a server that lets new users read, and do nothing else."""
    folder, port = tmp_path_factory.mktemp("mlflow"), first_free(5101)
    (folder / "auth.ini").write_text(
        "[mlflow]\ndefault_permission = READ\n"
        f"database_uri = sqlite:///{folder / 'auth.db'}\nadmin_username = {ADMIN}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    command = [sys.executable, "-m", "mlflow", "server", "--app-name", "basic-auth", "--host", "127.0.0.1",
               "--port", str(port), "--workers", "1", "--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}",
               "--artifacts-destination", str(folder / "artifacts")]  # fmt: skip
    environment = {
        **os.environ, "MLFLOW_AUTH_CONFIG_PATH": str(folder / "auth.ini"), "MLFLOW_AUTH_ADMIN_PASSWORD": PASSWORD,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "for sessions", "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder, start_new_session=True)
    address = f"127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 120
        while not answers(address):
            assert process.poll() is None, (folder / "log").read_text()[-2000:]
            assert time.monotonic() < deadline, (folder / "log").read_text()[-2000:]
            time.sleep(0.2)
        yield address
    finally:
        os.killpg(process.pid, 15)
        process.wait(30)


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{address}/health", timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


def log_in(monkeypatch: pytest.MonkeyPatch, user: str, password: str) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", user)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", password)


@pytest.mark.parametrize(
    ("user", "password"), [("", ""), (ADMIN, "hunter2"), ("nobody", PASSWORD)], ids=["none", "password", "user"]
)
def test_a_refused_log_in_is_one_sentence_without_the_password(
    server: str, user: str, password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if user:
        log_in(monkeypatch, user, password)
    with pytest.raises(ModelError) as error:
        open_tracking(Tracking(f"http://{server}", "meters", None))
    assert str(error.value) == f"http://{server}: {REFUSED}"
    assert error.value.exit_code == 13


def test_a_log_in_within_the_address_is_not_shown(server: str) -> None:
    with pytest.raises(ModelError) as error:
        open_tracking(Tracking(f"http://me:hunter2@{server}", "meters", None))
    assert str(error.value) == f"http://...@{server}: {REFUSED}"


def test_who_is_let_in_logs_registers_and_loads_a_model(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    log_in(monkeypatch, ADMIN, PASSWORD)
    rows = pa.table({"a": [1.0, 2.0, 3.0, 4.0]})
    booster = xgb.train({"max_depth": 1}, xgb.DMatrix(rows.to_pandas(), label=[0, 0, 1, 1]), 2)
    experiment = open_tracking(Tracking(f"http://{server}", "meters", None))
    with registry.running(experiment, name="mine") as run:
        uri, digest = registry.log_booster(booster, example=rows)
    tags = {registry.SHA256: digest, registry.FEATURES: "a"}
    version = registry.register("meters", model_uri=uri, run_id=run, tags=tags)
    loaded = registry.load("meters", version=version)
    assert loaded.fitted.to_bytes() == bytes(booster.save_raw("ubj"))


def test_who_may_only_read_is_told_which_right_is_missing(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    log_in(monkeypatch, ADMIN, PASSWORD)
    AuthServiceClient(f"http://{server}").create_user("reader", "another pass-phrase 42")
    experiment = open_tracking(Tracking(f"http://{server}", "meters", None))
    log_in(monkeypatch, "reader", "another pass-phrase 42")
    assert open_tracking(Tracking(f"http://{server}", "meters", None)) == experiment
    with pytest.raises(ModelError) as error, registry.running(experiment, name="mine"):
        raise AssertionError("no run was to be made")
    assert str(error.value).endswith(
        "MLflow does not let this user do that; grant it EDIT on the experiment and MANAGE on the model"
    )
