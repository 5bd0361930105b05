"""One step of boosting: trees added to a Booster, or, where it may have no more of them, the values of its leaves moved."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from headrace.errors import ModelError
from headrace.training.calibration import carried
from headrace.training.fit import loaded

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    import xgboost as xgb

_LEAF = -1


def matrix(rows: pa.Table, *, features: Sequence[str], label: str, weight: np.ndarray) -> xgb.DMatrix:
    """The rows as they are: a matrix of bins would put them on the wrong side of the splits of earlier steps."""
    import xgboost as xgb

    return xgb.DMatrix(rows.select(list(features)), label=rows.column(label).to_numpy(), weight=weight)


def grown(before: bytes | None, rows: xgb.DMatrix, *, settings: Mapping[str, Any], rounds: int) -> bytes:
    """UBJSON of the Booster with ``rounds`` more trees; those that it had stay as they are, bit for bit.

    The same Booster, rows and settings give the same bytes.
    """
    import xgboost as xgb

    start = None if before is None else loaded(before)
    return bytes(xgb.train(dict(settings), rows, num_boost_round=rounds, xgb_model=start).save_raw("ubj"))


def moved(before: bytes, rows: xgb.DMatrix, *, settings: Mapping[str, Any]) -> bytes:
    """UBJSON of the Booster with the same trees and splits, and leaves between their values and those that the rows ask for.

    XGBoost's ``refresh`` says what the rows alone would make of a leaf. Alone they would make it forget, so a leaf goes as far
    towards that as the rows weigh (the sum of their second derivatives) against those that grew it. A leaf that less than
    ``min_child_weight`` of them reach stays.
    """
    import xgboost as xgb

    old = loaded(before)
    asked = {**settings, "process_type": "update", "updater": "refresh", "refresh_leaf": True, "verbosity": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the updater was named
        new = xgb.train(asked, rows, num_boost_round=old.num_boosted_rounds(), xgb_model=loaded(before))
    document = json.loads(bytes(old.save_raw("json")))
    least = float(settings.get("min_child_weight", 1))
    for tree, refreshed in zip(_trees(document), _trees(json.loads(bytes(new.save_raw("json")))), strict=True):
        values, asked_for = tree["split_conditions"], refreshed["split_conditions"]
        for node, child in enumerate(tree["left_children"]):
            here, there = tree["sum_hessian"][node], refreshed["sum_hessian"][node]
            if child == _LEAF and there >= least:
                values[node] = (here * values[node] + there * asked_for[node]) / (here + there)
    return bytes(loaded(json.dumps(document).encode()).save_raw("ubj"))


def require_growable(booster: xgb.Booster, *, what: str) -> None:
    """Raise ModelError where a Booster is not one of single trees for outcomes of two classes, or carries a calibration."""
    if carried(booster) is not None:
        raise ModelError(f"{what} can't be gone on with: it carries a calibration, which is wrong once trees are added")
    told = json.loads(booster.save_config())["learner"]
    objective, kind = str(told["objective"]["name"]), str(told["gradient_booster"]["name"])
    if (
        not objective.startswith("binary:")
        or kind != "gbtree"
        or len(booster.get_dump()) != booster.num_boosted_rounds()
    ):
        raise ModelError(
            f"{what} can't be gone on with: continuous training is for outcomes of two classes and single trees, and this is "
            f"{objective} by {kind}"
        )


def _trees(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    return document["learner"]["gradient_booster"]["model"]["trees"]
