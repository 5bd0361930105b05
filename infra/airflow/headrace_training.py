"""Every night: ingest until caught up, then train and gate. A refused gate leaves the task skipped, not failed.

Put this file into Airflow's DAG folder. ``HEADRACE_FOLDER`` in Airflow's environment names the folder that holds ``.venv``,
``conf`` and ``jobs`` (default ``/opt/headrace``), ``SPARK_MASTER`` the cluster (default: this machine).
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

FOLDER = os.environ.get("HEADRACE_FOLDER", "/opt/headrace")
PIPELINE = "conf/flights"
GATE_REFUSED = 10
SUBMIT = 'spark-submit --master "${SPARK_MASTER:-local[*]}" --jars "$(headrace jars)"'

with DAG(
    "headrace_training",
    description="Headrace: ingest until caught up, then train and gate",
    schedule="30 3 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={
        "cwd": FOLDER,
        "append_env": True,
        "env": {"PATH": f"{FOLDER}/.venv/bin:{os.environ.get('PATH', '')}"},
        "execution_timeout": timedelta(hours=2),
    },
    tags=["headrace"],
) as dag:
    ingest = BashOperator(
        task_id="ingest",
        bash_command=f"{SUBMIT} jobs/ingest.py {PIPELINE} --until-caught-up",
        retries=2,
        retry_delay=timedelta(minutes=5),
    )
    train = BashOperator(
        task_id="train",
        bash_command=f"{SUBMIT} jobs/train.py {PIPELINE} --as-of {{{{ dag_run.run_after.isoformat() }}}}",
        skip_on_exit_code=GATE_REFUSED,
    )
    ingest >> train
