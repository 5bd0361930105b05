"""Training on the driver: early stopping, bins, and the bound on memory."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from headrace.errors import TrainingError
from headrace.spec.model import Model
from headrace.training.fit import fit, predict, rounds_for
from headrace.training.folds import time_folds
from headrace.training.memory import PeakMemory, memory_needed, require_room
from headrace.training.trial import Judge

HOUR = 3_600_000_000
FEATURES = ("a", "b")


def rows(count: int = 3000, *, signal: float = 1.0) -> pa.Table:
    chance = np.random.default_rng(1)
    at = np.arange(count) * HOUR + int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1e6)
    a, b = chance.normal(size=count), chance.normal(size=count)
    kind = pa.timestamp("us", "UTC")
    return pa.table(
        {
            "at": pa.array(at).cast(kind),
            "a": a,
            "b": b,
            "label": pa.array((signal * a + chance.normal(size=count) > 0).astype("int32")),
            "label_known_at": pa.array(at + HOUR).cast(kind),
        }
    )


def model(**given: Any) -> Model:
    return Model.model_validate({"name": "m", **given})


def rounds(table: pa.Table, declared: Model, parameters: dict[str, Any]) -> int:
    return rounds_for(
        table, features=FEATURES, label="label", model=declared, parameters=parameters, rounds=declared.rounds
    )


def test_without_early_stopping_the_declared_rounds_are_trained() -> None:
    assert rounds(rows(), model(rounds=123), {}) == 123


def test_early_stopping_ends_where_the_newest_rows_gain_no_more() -> None:
    stopping = model(rounds=400, early_stopping={"share": 0.2, "patience": 10}, gate={"metric": "log_loss"})
    found = rounds(rows(), stopping, {"eta": 0.3, "max_depth": 6})
    assert 1 <= found < 60, "deep trees on a noisy line overfit soon"
    assert rounds(rows(), stopping, {"eta": 0.3, "max_depth": 6}) == found
    slow = rounds(rows(), stopping, {"eta": 0.01, "max_depth": 1})
    assert slow > found, "small steps need more of them"
    assert rounds(rows(), model(rounds=3, early_stopping={}), {"eta": 0.01}) <= 3


def test_early_stopping_never_trains_on_the_rows_that_stop_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Were the newest rows trained on, boosting would gain on them for ever."""
    from headrace.training import fit as module
    from headrace.training.folds import Fold

    table, deep = rows(), {"eta": 0.3, "max_depth": 8}
    stopping = model(rounds=200, early_stopping={"share": 0.2, "patience": 10})
    honest = rounds(table, stopping, deep)
    everything = np.arange(table.num_rows)
    leak = Fold(everything, everything[2400:], datetime(2026, 1, 1, tzinfo=UTC))
    monkeypatch.setattr(module, "newest_share", lambda rows, share: leak)
    assert rounds(table, stopping, deep) > 3 * honest


def test_the_number_of_bins_may_be_declared() -> None:
    table = rows()
    for bins in (16, 512):
        booster = fit(table, features=FEATURES, label="label", parameters={"max_bin": bins}, rounds=5, seed=1)
        assert len(predict(booster, table, features=FEATURES)) == 3000


def test_a_fold_is_judged_by_a_model_of_what_lies_before_it() -> None:
    declared = model(search={"most_rounds": 50, "patience": 5})
    table = rows()
    judge = Judge(table, time_folds(table, folds=2), features=FEATURES, model=declared)
    score = judge.judge(0, {"max_depth": 2}, stop=threading.Event())
    assert score is not None
    assert 0.7 < score.value < 0.85
    assert score == judge.judge(0, {"max_depth": 2}, stop=threading.Event())
    assert judge.judge(0, {"max_depth": 2, "max_bin": 32}, stop=threading.Event()) != score
    chance = rows(signal=0.0)
    blind = Judge(chance, time_folds(chance, folds=2), features=FEATURES, model=declared)
    told = blind.judge(1, {"max_depth": 8}, stop=threading.Event())
    assert told is not None
    assert told.value < 0.56, "what is chance is not predicted, however deep the trees"


def test_a_stop_ends_a_fold_at_once() -> None:
    stop = threading.Event()
    stop.set()
    table = rows()
    judge = Judge(table, time_folds(table, folds=2), features=FEATURES, model=model(search={"most_rounds": 5000}))
    assert judge.judge(0, {"max_depth": 2}, stop=stop) is None


def test_more_rows_than_fit_are_refused_in_one_sentence() -> None:
    require_room(1000, features=20, limit=memory_needed(1000, features=20))
    with pytest.raises(
        TrainingError,
        match=r"^10,000,000 rows of 50 features are likely to need 50\.\d GiB on the driver, and model.memory allows 4.0; raise",
    ):
        require_room(10_000_000, features=50, limit=model().memory_bytes)
    with pytest.raises(TrainingError, match=r"1,000,000 rows of 50 features and 100 classes are likely to need"):
        require_room(1_000_000, features=50, classes=100, limit=memory_needed(1_000_000, features=50, classes=99))


@pytest.mark.parametrize(("size", "bytes_"), [("512m", 512 * 2**20), ("4g", 4 * 2**30)])
def test_a_size_is_mebibytes_or_gibibytes(size: str, bytes_: int) -> None:
    assert model(memory=size).memory_bytes == bytes_


@pytest.mark.parametrize("size", ["4", "4gb", "0g", "-1g", "4 g", "1t"])
def test_a_size_that_is_none_is_refused(size: str) -> None:
    with pytest.raises(ValidationError, match="expected a size such as 512m or 4g"):
        model(memory=size)


def test_the_peak_of_memory_is_seen() -> None:
    with PeakMemory() as memory:
        held = np.ones(200 * 2**17)  # 200 MiB, still there when the last sample is taken
    assert held.nbytes == 200 * 2**20
    assert 180 < memory.peak_mb - memory.begin_mb < 400
    figures = memory.figures()
    assert figures["peak_memory_mb"] >= figures["memory_before_mb"] > 20
