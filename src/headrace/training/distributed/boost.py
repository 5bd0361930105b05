"""XGBoost on Spark's workers: each has a share of the rows, and together they grow one Booster. No row is on the driver."""

from __future__ import annotations

import io
import json
import re
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from threading import Thread
from typing import TYPE_CHECKING, Any

from headrace.errors import TrainingError
from headrace.training.dataset import GROUP
from headrace.training.fit import loaded, matrix, max_bin
from headrace.training.task import Task

if TYPE_CHECKING:
    import pyarrow as pa
    import xgboost as xgb
    from pyspark.sql import DataFrame

NEWEST = "_newest"
"""A column of booleans: rows that do not train, and tell when to stop."""
TIMEOUT_S = 300
"""How long workers wait for each other, before they say that one is gone."""
_LOST = ("collective", "allgather", "allreduce", "broadcast", "socket")
"""Words of a worker that lost another one."""


@dataclass(frozen=True)
class Job:
    """What all workers are given."""

    features: tuple[str, ...]
    label: str
    task: Task
    settings: Mapping[str, Any]
    """As XGBoost is given them; ``nthread`` is that of one worker."""
    rounds: int
    patience: int | None = None
    """With a column ``NEWEST``: training stops after so many rounds without gain on these rows."""


def boosted_by_workers(rows: DataFrame, job: Job, *, workers: int) -> tuple[xgb.Booster, int]:
    """The Booster, and after how many rounds it was best (without ``patience``: all).

    The rows are dealt by a hash of their id (a ranking's groups stay together) and sorted by it. Raises TrainingError with what a
    worker said where one failed.
    """
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException
    from pyspark.sql.pandas.types import to_arrow_schema

    by = [GROUP, "id"] if GROUP in rows.columns else ["id"]
    needed = [job.label, *([] if job.patience is None else [NEWEST])]
    dealt = rows.select(*by, *job.features, *needed).repartition(workers, by[0]).sortWithinPartitions(*by)
    work = _worker(job, to_arrow_schema(dealt.schema), workers)
    try:
        told = dealt.mapInArrow(work, "booster binary, rounds int, failure string", barrier=True).collect()
    except (PySparkException, Py4JError) as error:
        raise TrainingError(f"a worker of Spark ended while it trained: {_last_error(str(error))}") from None
    failures = [one["failure"] for one in told if one["failure"]]
    if failures:
        raise TrainingError(f"Spark's workers could not train: {_cause(failures)}")
    (made,) = (one for one in told if one["booster"])
    return loaded(bytes(made["booster"])), int(made["rounds"])


def _worker(
    job: Job, schema: pa.Schema, workers: int
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def work(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa
        import xgboost as xgb
        from pyspark import BarrierTaskContext
        from xgboost.collective import CommunicatorContext

        context = BarrierTaskContext.get()
        table = pa.Table.from_batches(list(batches), schema=schema)
        number = context.partitionId()
        said = context.allGather(json.dumps(_meeting_point(context, workers) if number == 0 else {}))
        arguments = {**json.loads(said[0]), "dmlc_task_id": str(number), "dmlc_timeout": TIMEOUT_S}
        content, rounds, failure = None, 0, None
        try:
            with (
                redirect_stdout(io.StringIO()),
                CommunicatorContext(**arguments),
            ):  # it prints the number of each worker
                booster, rounds = _train(table, job)
                content = bytes(booster.save_raw("ubj")) if number == 0 else None
        except xgb.core.XGBoostError as error:
            failure = str(error)
        context.barrier()  # the first of them, at which all meet, must not end before the others
        yield pa.RecordBatch.from_pylist(
            [{"booster": content, "rounds": rounds, "failure": failure}],
            schema=pa.schema([("booster", pa.binary()), ("rounds", pa.int32()), ("failure", pa.string())]),
        )

    return work


def _train(table: pa.Table, job: Job) -> tuple[xgb.Booster, int]:
    """One worker's part of the training; the others' parts are added to its sums, so all end with the same trees."""
    import xgboost as xgb
    from pyarrow import compute

    pc: Any = compute
    table = job.task.numbered(table)
    settings, bins = dict(job.settings), max_bin(job.settings)
    if job.patience is None:
        data = _bins(table, job, bins)
        return xgb.train(settings, data, num_boost_round=job.rounds, verbose_eval=False), job.rounds
    newest = table.column(NEWEST)
    data = _bins(table.filter(pc.invert(newest)), job, bins)
    watched = _bins(table.filter(newest), job, bins, like=data)
    booster = xgb.train(
        settings, data, num_boost_round=job.rounds, evals=[(watched, "newest")], early_stopping_rounds=job.patience,
        verbose_eval=False,
    )  # fmt: skip
    return booster, booster.best_iteration + 1


def _bins(table: pa.Table, job: Job, bins: int, *, like: xgb.QuantileDMatrix | None = None) -> xgb.QuantileDMatrix:
    return matrix(
        table, features=job.features, label=job.label, max_bin=bins, like=like, threads=int(job.settings["nthread"])
    )


def _meeting_point(context: Any, workers: int) -> dict[str, Any]:
    """Start the tracker through which the workers find each other, beside the first of them; what the others need to reach it.

    It is not on the driver, so that a stage that Spark repeats gets a new one.
    """
    from xgboost.tracker import RabitTracker

    host = socket.gethostbyname(
        context.getTaskInfos()[0].address.rpartition(":")[0] or context.getTaskInfos()[0].address
    )
    tracker = RabitTracker(n_workers=workers, host_ip=host, sortby="task", timeout=TIMEOUT_S)
    tracker.start()
    Thread(target=tracker.wait_for, name="tracker", daemon=True).start()
    return dict(tracker.worker_args())


def _cause(failures: Sequence[str]) -> str:
    """What the worker said that failed first: the others only say that they lost it."""
    alone = [one for one in failures if not any(word in one for word in _LOST)]
    first = (alone or failures)[0].splitlines()[0]
    return re.sub(r"^(\[[^\]]*\] )?\S*: ?", "", first)[:300]


def _last_error(text: str) -> str:
    """The last line that names an error, of what Spark reports."""
    lines = [line.strip() for line in text.splitlines() if not line.strip().startswith("at ")]
    errors = [line for line in lines if "Error: " in line or "Exception: " in line]
    return (errors or [line for line in lines if line] or ["it does not say why"])[-1][:300]
