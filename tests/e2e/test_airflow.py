"""The DAG of infra/airflow, run by Airflow itself in an environment of its own."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headrace.errors import GateRefused

pytestmark = pytest.mark.long
"""Airflow's own environment is 150 packages."""
REPOSITORY = Path(__file__).parents[2]
DAGS = REPOSITORY / "infra" / "airflow"
ENVIRONMENT = REPOSITORY / ".venv-airflow"


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, Any]]:
    """Run a Python expression about ``dag`` in Airflow's own environment, which is made once and kept."""
    python, home = airflow_python(), tmp_path_factory.mktemp("airflow")
    settings = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }
    known = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTHON"))}

    def run(expression: str, **more: str) -> dict[str, Any]:
        script = (
            "import json\nfrom airflow.dag_processing.dagbag import DagBag\n"
            f"bag = DagBag({str(DAGS)!r})\ndag = bag.dags.get('headrace_training')\n"
            f"print('ANSWER ' + json.dumps({expression}))\n"
        )
        command = [str(python), "-c", script]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=180, check=False, env={**known, **settings, **more}
        )
        answers = [line.removeprefix("ANSWER ") for line in done.stdout.splitlines() if line.startswith("ANSWER ")]
        assert answers, done.stdout[-2000:] + done.stderr[-2000:]
        return json.loads(answers[0])

    migrate = [str(python.with_name("airflow")), "db", "migrate"]
    subprocess.run(migrate, capture_output=True, timeout=180, check=True, env={**known, **settings})
    return run


def airflow_python() -> Path:
    """The interpreter of ``.venv-airflow``, with exactly the packages of its lock file."""
    lock, python = DAGS / "requirements.lock", ENVIRONMENT / "bin" / "python"
    ready, digest = ENVIRONMENT / ".ready", hashlib.sha256(lock.read_bytes()).hexdigest()
    if ready.is_file() and ready.read_text() == digest:
        return python
    uv = Path(sys.executable).with_name("uv")
    for command in (
        [uv, "venv", "--clear", "--python", sys.executable, ENVIRONMENT],
        [uv, "pip", "install", "--python", python, "-r", lock],
    ):
        done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=900, check=False)
        if done.returncode != 0:
            pytest.fail(
                f"Airflow's environment {ENVIRONMENT} can't be made (it needs the network once): {done.stderr[-1500:]}"
            )
    ready.write_text(digest)
    return python


@pytest.fixture
def installation(tmp_path: Path) -> Callable[[int], Path]:
    """A folder as the DAG expects it, whose ``spark-submit`` notes its arguments and ends training with a given exit code."""

    def make(code: int) -> Path:
        programs = tmp_path / ".venv" / "bin"
        programs.mkdir(parents=True)
        (programs / "headrace").write_text("#!/bin/sh\necho a.jar,b.jar\n")
        submit = f'#!/bin/sh\necho "$@" >> {tmp_path}/submitted\ncase "$*" in *train*) exit {code};; esac\n'
        (programs / "spark-submit").write_text(submit)
        for program in programs.iterdir():
            program.chmod(0o755)
        return tmp_path

    return make


STATES = (
    "(run := dag.test()) and {str(t.task_id): str(t.state) for t in run.get_task_instances()} | {'run': str(run.state)}"
)


def test_airflow_imports_the_dag(airflow: Callable[..., dict[str, Any]]) -> None:
    told = airflow(
        "{'errors': {str(k): str(v) for k, v in bag.import_errors.items()}, 'dags': sorted(bag.dags),"
        " 'after_ingest': sorted(dag.get_task('ingest').downstream_task_ids)}"
    )
    assert told == {"errors": {}, "dags": ["headrace_training"], "after_ingest": ["train"]}


@pytest.mark.parametrize(
    ("code", "train", "run"),
    [(0, "success", "success"), (GateRefused.exit_code, "skipped", "success"), (11, "failed", "failed")],
)
def test_airflow_skips_on_a_refused_gate_and_fails_on_other_errors(
    airflow: Callable[..., dict[str, Any]], installation: Callable[[int], Path], code: int, train: str, run: str
) -> None:
    folder = installation(code)
    told = airflow(STATES, HEADRACE_FOLDER=str(folder), SPARK_MASTER="spark://cluster:7077")
    assert told == {"ingest": "success", "train": train, "run": run}
    ingest, training = (folder / "submitted").read_text().splitlines()
    assert ingest == "--master spark://cluster:7077 --jars a.jar,b.jar jobs/ingest.py conf/flights --until-caught-up"
    assert re.fullmatch(
        r"--master \S+ --jars a.jar,b.jar jobs/train.py conf/flights --as-of 20\d\d-\S+\+00:00", training
    )
