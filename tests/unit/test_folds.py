"""Splits in time: what validates comes after what trains, and a label counts only where it was known by then."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from headrace.errors import TrainingError
from headrace.training.folds import Fold, newest_share, time_folds

START = datetime(2013, 1, 1, tzinfo=UTC)
HOUR = 3_600_000_000


def table(hours: np.ndarray, known_after: np.ndarray, label: np.ndarray | None = None) -> pa.Table:
    """Requests at these hours, whose labels were known so many hours later."""
    zero = int(START.timestamp() * 1e6)
    at = zero + (hours * HOUR).astype("int64")
    kind = pa.timestamp("us", "UTC")
    return pa.table(
        {
            "id": [f"r{n}" for n in range(len(hours))],
            "at": pa.array(at, pa.int64()).cast(kind),
            "label": pa.array(np.arange(len(hours)) % 2 if label is None else label, pa.int32()),
            "label_known_at": pa.array(at + (known_after * HOUR).astype("int64"), pa.int64()).cast(kind),
        }
    )


def leaks(rows: pa.Table, fold: Fold) -> list[str]:
    """What a fold's training part could not have known when its validation part began, told from the table alone."""
    begin = min(at for at in rows.column("at").take(fold.validation).to_pylist())
    found = []
    for name in ("at", "label_known_at"):
        late = [when for when in rows.column(name).take(fold.train).to_pylist() if when >= begin]
        found += [f"{len(late)} rows by {name}"] if late else []
    return found


@pytest.fixture
def rows() -> pa.Table:
    """4,000 hours in no order; most labels come 4 hours later, one in ten 100 hours later."""
    chance = np.random.default_rng(3)
    late = np.where(chance.random(4000) < 0.1, 100.0, 4.0)
    return table(chance.permutation(4000).astype(float), late)


def test_a_validation_part_comes_after_what_trains_and_no_label_is_known_too_early(rows: pa.Table) -> None:
    folds = time_folds(rows, folds=3)
    assert [leaks(rows, fold) for fold in folds] == [[], [], []]
    assert [fold.begin for fold in folds] == [START + timedelta(hours=1000 * n) for n in (1, 2, 3)]
    assert [len(fold.validation) for fold in folds] == [1000, 1000, 1000]


def test_planted_leaks_are_seen(rows: pa.Table) -> None:
    """The check of this file catches what a split by place, or one without regard to late labels, would do."""
    fold = time_folds(rows, folds=3)[1]
    at = np.array(rows.column("at").to_pylist())
    without_gap = Fold(np.flatnonzero(at < fold.begin), fold.validation, fold.begin)
    assert len(leaks(rows, without_gap)) == 1
    assert "label_known_at" in leaks(rows, without_gap)[0]
    places = np.random.default_rng(1).permutation(len(at))
    assert len(leaks(rows, Fold(places[:2000], places[2000:], fold.begin))) == 2


def test_the_rows_whose_labels_come_late_are_the_only_ones_left_out(rows: pa.Table) -> None:
    fold = time_folds(rows, folds=3)[0]
    hours = np.array([(when - START) / timedelta(hours=1) for when in rows.column("at").to_pylist()])
    known = np.array([(when - START) / timedelta(hours=1) for when in rows.column("label_known_at").to_pylist()])
    expected = {n for n in range(4000) if hours[n] < 1000 and known[n] < 1000}
    assert set(fold.train.tolist()) == expected
    assert 0 < 1000 - len(expected) < 100


def test_the_window_expands_and_every_row_but_the_first_part_validates_once(rows: pa.Table) -> None:
    folds = time_folds(rows, folds=4)
    assert all(set(one.train.tolist()) < set(next_.train.tolist()) for one, next_ in pairwise(folds))
    validated = np.concatenate([fold.validation for fold in folds])
    assert len(np.unique(validated)) == len(validated) == 3200


def test_a_label_known_at_the_very_moment_does_not_train() -> None:
    hours = np.arange(400.0)
    after = np.ones(400)
    after[199] = 1.0  # known at hour 200, when the first fold of two begins at row 133 and the second at 266
    folds = time_folds(table(hours, after), folds=2)
    begin = int((folds[0].begin - START) / timedelta(hours=1))
    assert begin == 133
    assert max(folds[0].train) == begin - 2, "the row an hour before is known at that moment, not before it"


def test_rows_of_one_moment_stay_together() -> None:
    hours = np.repeat(np.arange(40.0), 25)
    rows = table(hours, np.full(1000, 0.5))
    for fold in time_folds(rows, folds=3):
        assert not set(hours[fold.train]) & set(hours[fold.validation])


@pytest.mark.parametrize(
    ("count", "label", "said"),
    [
        (399, None, "only 399 labelled rows for 3 folds; at least 400 are needed: choose a later --as-of"),
        (1000, np.zeros(1000), "or outcomes of one kind only"),
    ],
)
def test_too_little_to_judge_by_is_refused(count: int, label: np.ndarray | None, said: str) -> None:
    with pytest.raises(TrainingError, match=said):
        time_folds(table(np.arange(float(count)), np.ones(count), label), folds=3)


def test_labels_that_all_come_too_late_are_refused() -> None:
    with pytest.raises(TrainingError, match="has 0 rows with a known label"):
        time_folds(table(np.arange(1000.0), np.full(1000, 5000.0)), folds=3)


def test_the_newest_share_is_held_back_with_the_same_gap(rows: pa.Table) -> None:
    fold = newest_share(rows, share=0.25)
    assert leaks(rows, fold) == []
    assert (len(fold.validation), fold.begin) == (1000, START + timedelta(hours=3000))
