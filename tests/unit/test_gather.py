"""What is gathered of a challenger, with real Boosters: fair rows, segments, intervals; and the card that tells it."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from headrace.spec import load
from headrace.spec.gate import Gate
from headrace.training import evaluate
from headrace.training.card import Card, blocks
from headrace.training.evidence import Champion, Evidence
from headrace.training.fit import fit
from headrace.training.gate import judge
from headrace.training.gather import gather
from headrace.training.learners.boosting import Boosted
from headrace.training.page import Code, Grid, Heading, Sentence, as_html, as_markdown

START = datetime(2026, 1, 1, tzinfo=UTC)
FEATURES = ("size", "speed")
FLIGHTS = Path(__file__).parents[2] / "conf" / "flights"


def rows(n: int, *, seed: int, first: int = 0) -> pa.Table:
    """Rows a minute apart. The outcome follows size where speed is high, and chance where it is low."""
    rng = np.random.default_rng(seed)
    size, speed = rng.random(n), rng.random(n)
    label = (rng.random(n) < np.where(speed > 0.5, size, 0.5)).astype("int32")
    at = pa.array([START + timedelta(minutes=first + k) for k in range(n)], pa.timestamp("us", "UTC"))
    return pa.table({"at": at, "size": size, "speed": speed, "label": label})


def fitted(table: pa.Table, features: tuple[str, ...] = FEATURES, rounds: int = 10) -> Boosted:
    return Boosted(fit(table, features=features, label="label", parameters={"max_depth": 2}, rounds=rounds, seed=7))


TRAIN, TEST = rows(2000, seed=1), rows(1200, seed=2, first=2000)
GATE = Gate.model_validate(
    {"resamples": 100, "minimum_rows": 500, "slices": {"pace": {"feature": "speed", "bands": [0.05, 0.5]}}}
)


def gathered(gate: Gate = GATE, booster: Boosted | None = None, **more: Any) -> Evidence:
    given = {"features": FEATURES, "train": TRAIN, "test": TEST, "champion": None, "seed": 7, **more}
    return gather(gate, booster or fitted(TRAIN), **given)


def test_a_first_model_is_measured_on_all_test_rows() -> None:
    found = gathered()
    label = TEST.column("label").to_numpy()
    auc = roc_auc_score(label, fitted(TRAIN).predict(TEST, features=FEATURES))
    assert found.metrics["auc"].value == pytest.approx(auc)
    assert found.metrics["auc"].low < auc < found.metrics["auc"].high
    assert (found.rows, found.outcomes) == (1200, {"negative": 1200 - label.sum(), "positive": label.sum()})
    assert (found.rival, found.latency_ms) == (None, None)
    assert judge(GATE, found).passed, judge(GATE, found).refusals
    assert gathered() == found, "the same rows, models and seed give the same evidence"


def test_a_worse_challenger_is_refused_and_the_same_model_passes() -> None:
    good, bad = fitted(TRAIN), fitted(TRAIN, ("speed",))
    champion = Champion(4, good, FEATURES, START + timedelta(minutes=2000))
    same = gathered(booster=good, champion=champion)
    assert same.rival is not None
    assert same.rival.rows == 1200
    assert same.rival.gains["auc"].low == same.rival.gains["auc"].high == 0
    assert judge(GATE, same).passed, judge(GATE, same).refusals
    worse = judge(GATE, gathered(booster=bad, features=("speed",), champion=champion))
    assert [check.name for check in worse.checks if not check.passed] == ["champion", "slice/pace/0.5 and above"]
    better = judge(GATE, gathered(booster=good, champion=Champion(4, bad, ("speed",), None)))
    assert better.passed, better.refusals


def test_rows_that_trained_the_champion_do_not_count() -> None:
    """It was trained on the first half of the test rows, knows them by heart, and would win."""
    seen = pa.concat_tables([TRAIN, TEST.slice(0, 600)])
    overfit = Boosted(fit(seen, features=FEATURES, label="label", parameters={"max_depth": 12}, rounds=60, seed=7))
    cut = START + timedelta(minutes=2600)
    fair = gathered(champion=Champion(4, overfit, FEATURES, cut)).rival
    unfair = gathered(champion=Champion(4, overfit, FEATURES, None)).rival
    assert fair is not None
    assert unfair is not None
    assert (fair.rows, unfair.rows) == (600, 1200)
    assert fair.gains["auc"].value > 0, "on rows that are new to both the challenger is better"
    assert unfair.gains["auc"].high < -0.05, "on those that the champion knows it seems much worse"
    none = gathered(champion=Champion(4, overfit, FEATURES, cut + timedelta(days=9)))
    assert none.rival is not None
    assert none.rival.rows == 0
    (check,) = [check for check in judge(GATE, none).checks if check.name == "champion"]
    assert "only 0 of the test rows are none that the champion" in check.sentence


def test_a_champion_without_its_features_is_told_so() -> None:
    champion = Champion(4, fitted(TRAIN), FEATURES, None)
    found = gathered(
        booster=fitted(TRAIN, ("speed",)), features=("speed",), champion=champion, test=TEST.drop(["size"])
    )
    assert found.rival is not None
    assert found.rival.lacking == ("size",)
    assert "champion" in [check.name for check in judge(GATE, found).checks if not check.passed]


def test_segments_hold_each_row_once_and_say_which_are_too_small() -> None:
    found = gathered(champion=Champion(4, fitted(TRAIN), FEATURES, None)).segments
    assert [one.name for one in found] == ["below 0.05", "0.05 to below 0.5", "0.5 and above"]
    assert sum(one.rows for one in found) == 1200
    assert [one.supported for one in found] == [False, True, True]
    assert [one.gain.known for one in found] == [False, True, True]


def test_one_outcome_in_the_test_rows_is_no_number_anywhere_and_fails() -> None:
    test = TEST.set_column(3, "label", pa.array([0] * 1200, pa.int32()))
    found = gathered(test=test, champion=Champion(4, fitted(TRAIN), FEATURES, None))
    assert not any(one.known for one in found.metrics.values())
    refused = [check.name for check in judge(GATE, found).checks if not check.passed]
    assert refused == ["outcomes", "metric/auc", "single feature", "champion", "slice/pace"]


def test_rows_of_one_stretch_of_time_are_drawn_together_where_that_is_asked_for() -> None:
    champion = Champion(4, fitted(TRAIN, rounds=3), FEATURES, None)
    found = gathered(GATE.model_copy(update={"draw_by": "30m"}), champion=champion)
    apart = gathered(champion=champion)
    assert found.metrics["auc"].value == apart.metrics["auc"].value
    assert found.metrics["auc"].known
    assert found.metrics["auc"].low != apart.metrics["auc"].low
    long = GATE.model_copy(update={"draw_by": "3h"})  # 1,200 minutes are 8 of them, at most
    few = gathered(long, champion=champion)
    assert few.metrics["auc"].value == apart.metrics["auc"].value
    assert not any(one.supported for one in few.segments)
    (check,) = [check for check in judge(long, few).checks if check.name == "champion"]
    assert not check.passed
    assert check.sentence.endswith(
        "is missing or not a number; the test rows must span at least 10 stretches of 3h, each draw both outcomes"
    )


def test_latency_is_measured_where_it_is_asked_for() -> None:
    gate = GATE.model_copy(update={"latency_ms": 10_000.0})
    found = gathered(gate)
    assert found.latency_ms is not None
    assert found.latency_ms > 0
    assert judge(gate, found).passed
    assert not judge(gate.model_copy(update={"latency_ms": 1e-6}), found).passed


@pytest.mark.parametrize(
    ("probability", "error"),
    [([0.25] * 400, 0.0), ([0.5] * 400, 0.25), ([0.0] * 300 + [1.0] * 100, 0.0), ([math.nan] * 400, math.nan)],
)
def test_the_calibration_error_is_the_distance_from_the_observed_share(probability: list[float], error: float) -> None:
    label = np.array([0] * 300 + [1] * 100)
    if len(set(probability)) == 1:
        label = np.tile([0, 0, 0, 1], 100)  # each tenth has a quarter of positives
    found = evaluate.calibration_error(label, np.array(probability))
    assert found == pytest.approx(error, abs=0.01, nan_ok=True)


class Page(HTMLParser):
    """What a page fetches, its tags, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.tags: list[str] = []
        self.said = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.fetched += [value or "" for name, value in attrs if name in ("src", "href", "action", "data")]

    def handle_data(self, data: str) -> None:
        self.said += data


@pytest.fixture(scope="module")
def card() -> Card:
    """Of a refused challenger with a champion, in the words of the flights' pipeline file."""
    pipeline = load(FLIGHTS, {})
    assert pipeline.spec.model is not None
    model = pipeline.spec.model.model_copy(update={"gate": GATE})
    pipeline = replace(pipeline, spec=pipeline.spec.model_copy(update={"model": model}))
    booster = fitted(TRAIN, ("speed",))
    found = gathered(booster=booster, features=("speed",), champion=Champion(4, fitted(TRAIN), FEATURES, None))
    label, share = TEST.column("label").to_numpy(), booster.importance()
    return Card(
        pipeline, 5, "0123abcd", START, START + timedelta(minutes=2000), 2000, {"cancelled": 12}, {"weather": 31}, "7d0-aa-bb",
        "unknown", found, judge(GATE, found), share,
        evaluate.calibration_plot(label, booster.predict(TEST, features=("speed",))), evaluate.importance_plot(share),
    )  # fmt: skip


def test_the_card_as_html_is_one_file_that_fetches_nothing(card: Card) -> None:
    page = Page(as_html(card.title, blocks(card)))
    assert len(page.fetched) == 3
    assert all(one.startswith("data:image/png;base64,") for one in page.fetched)
    assert not {"script", "link", "iframe", "object"} & set(page.tags)


@pytest.mark.parametrize("form", ["html", "markdown"])
def test_the_card_tells_verdicts_data_and_the_way_back(card: Card, form: str) -> None:
    text = as_markdown(card.title, blocks(card))
    said = Page(as_html(card.title, blocks(card))).said if form == "html" else text.replace("\\", "")
    for check in card.verdict.checks:
        assert check.sentence in said
    assert said.count("✘ refused") == 2
    for part in ("flights-late, version 5",
                 "7d0-aa-bb", "left out: cancelled", "events/weather", "0123abcd", "2026-01-01 00:00 UTC",
                 "below 0.05", "too few", "headrace rollback PIPELINE --to 4", "arr_delay > 15"):  # fmt: skip
        assert part in said, part
    assert re.search(r"!\[.*\]\(difference.png\)", text)


def test_no_text_of_the_file_becomes_markup() -> None:
    bad = '<script src="http://x">|`*_[a](b)\n# x'
    page = [Heading(bad), Sentence(bad), Code(bad), Grid([bad], [[bad]])]
    found = Page(as_html(bad, page))
    assert (found.fetched, "script" in found.tags) == ([], False)
    text = as_markdown(bad, page[:2] + page[3:])
    assert not re.search(r"(?<!\\)[<`*_\[]", text.replace("| --- |", ""))
    assert len([line for line in text.splitlines() if re.match("# ", line)]) == 1
