"""In what a rebuilt model differs from the registered one, in sentences."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headrace.spec.kinds import AUC_OF
from headrace.spec.learners import BOOSTING
from headrace.training import registry
from headrace.training.calibration import carried
from headrace.training.distributed.train import DISTRIBUTED
from headrace.training.learners.linear_model import LinearModel
from headrace.training.learners.protocol import Fitted
from headrace.training.recipe import Recipe
from headrace.training.trained import Trained

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    import xgboost as xgb

_SHOWN = 8


@dataclass(frozen=True)
class Difference:
    """One thing that is not as it was recorded."""

    kind: str
    """``rows``, ``record``, ``model file``, ``environment``, ``bytes``, ``tree``, ``weight``, ``calibration``, ``predictions`` or
    ``beyond tolerance``."""
    sentence: str


def row_differences(recipe: Recipe, *, content: str, columns: Mapping[str, str], where: str) -> Iterator[Difference]:
    """How the rows of ``where`` differ from the recorded ones, by their hashes."""
    snapshot = recipe.snapshot
    if content == snapshot.content:
        return
    count = int(content.partition("-")[0], 16)
    if count != snapshot.rows:
        yield Difference("rows", f"{where} has {count:,} rows, and the model was made from {snapshot.rows:,}")
    yield Difference("rows", f"the content hash of {where} is {content}, and the recorded one is {snapshot.content}")
    if count == snapshot.rows:
        changed = [name for name in snapshot.columns if columns.get(name) != snapshot.columns[name]]
        yield Difference("rows", f"values differ in {_listed(changed) or 'columns that were not recorded'}")
    for name in sorted(set(columns) - set(snapshot.columns)):
        yield Difference("rows", f"{where} has a column {name!r} that was not recorded")


def record_differences(recipe: Recipe, trained: Trained) -> Iterator[Difference]:
    """Where the recipe contradicts what MLflow holds beside it: the run's parameters and tags, the version's tags."""
    pairs: list[tuple[str, Any, str | None]] = [
        ("the content hash", recipe.snapshot.content, trained.tags.get(registry.CONTENT)),
        *([("rounds", recipe.rounds, trained.params.get("rounds"))] if recipe.rounds else []),
        ("the calibration", recipe.calibration and recipe.calibration.method, trained.params.get("calibration")),
        ("what trained", recipe.workers and f"{recipe.workers} workers", trained.tags.get(DISTRIBUTED)),
        ("the seed", recipe.settings.get("seed"), trained.params.get("seed")),
    ]
    if trained.model:
        pairs += [
            ("the model's SHA-256", recipe.booster_sha256, trained.version_tags.get(registry.SHA256)),
            ("the content hash of its version", recipe.snapshot.content, trained.version_tags.get(registry.CONTENT)),
            ("the features", ",".join(recipe.features), trained.version_tags.get(registry.FEATURES)),
            ("the learner", recipe.learner, trained.version_tags.get(registry.LEARNER, BOOSTING)),
        ]
    for key, value in trained.params.items():
        owner, _, name = key.partition(".")
        if name and owner == ("xgb" if recipe.learner == BOOSTING else recipe.learner):
            pairs.append((name, recipe.settings.get(name), value))
    for what, written, beside in pairs:
        if str(written) != str(beside):
            yield Difference("record", f"{what} is {written} in training.json, and {beside} beside it in MLflow")


def booster_differences(registered: xgb.Booster, rebuilt: xgb.Booster) -> Iterator[Difference]:
    """The number of trees, the first node of the first tree that is not the same, and whether the calibration is another."""
    if carried(registered) != carried(rebuilt):
        yield Difference("calibration", "the calibration is another one")
    before, now = (_trees(booster) for booster in (registered, rebuilt))
    if len(before) != len(now):
        yield Difference("tree", f"the registered model has {len(before)} trees, the rebuilt one {len(now)}")
    for number, (one, other) in enumerate(zip(before, now, strict=False)):
        if one != other:
            node = next(_nodes(one, other), None)
            where, was, is_now = node or ("its statistics", "others", "others")
            yield Difference(
                "tree", f"tree {number} is the first that differs, at {where}: {was} was registered, {is_now} rebuilt"
            )
            return
    if len(before) == len(now) and carried(registered) == carried(rebuilt):
        yield Difference("tree", "all trees are the same; only the description around them differs")


def linear_differences(registered: LinearModel, rebuilt: LinearModel) -> Iterator[Difference]:
    """The first figure of the file that is not the same."""
    before, now = (dict(_figures(one)) for one in (registered, rebuilt))
    for name in dict.fromkeys((*before, *now)):
        if before.get(name) != now.get(name):
            yield Difference(
                "weight",
                f"{name} is the first that differs: {before.get(name)} was registered, {now.get(name)} rebuilt",
            )
            return


def _figures(model: LinearModel) -> Iterator[tuple[str, float]]:
    for column in model.columns:
        for name in ("mean", "scale", "missing"):
            yield f"the {name} of {column.name}", getattr(column, name)
    for number, output in enumerate(model.outputs):
        where = f" of class {number}" if len(model.outputs) > 1 else ""
        yield f"the intercept{where}", output.intercept
        for column, weight, absent in zip(model.columns, output.weights, output.when_missing, strict=True):
            yield f"the weight of {column.name}{where}", weight
            yield f"the weight of a missing {column.name}{where}", absent


def prediction_difference(
    registered: Fitted, rebuilt: Fitted, rows: pa.Table, *, features: Sequence[str]
) -> Difference:  # fmt: skip
    """The largest difference of the two models' predictions on these rows."""
    found = _apart(registered, rebuilt, rows, features=features)
    most = float(found.max()) if len(found) else 0.0
    return Difference(
        "predictions",
        f"on these {len(found):,} rows {int((found > 0).sum()):,} predictions differ, by {most:.3g} at most",
    )


def apart(registered: Fitted, rebuilt: Fitted, rows: pa.Table, recipe: Recipe) -> float:
    """The largest difference of a prediction on these rows: in probability or, where they are none, in their standard deviation.

    NaN where there are no rows.
    """
    if not rows.num_rows:
        return math.nan
    found = _apart(registered, rebuilt, rows, features=recipe.features)
    if recipe.task.kind in AUC_OF:
        return float(found.max())
    spread = float(registered.predict(rows, features=recipe.features).astype(float).std())
    return float(found.max()) / spread if spread else float(found.max())


def beyond(found: float | None, *, tolerance: float, model: str) -> Iterator[Difference]:
    """A difference where predictions are further apart than ``tolerance``, or were not compared (None, NaN)."""
    if found is None:
        yield Difference(
            "beyond tolerance", f"{model} has no registered file that its predictions could be compared with"
        )
    elif not found <= tolerance:
        yield Difference("beyond tolerance", f"a prediction differs by {found:.3g}, and {tolerance:g} is allowed")


def _apart(registered: Fitted, rebuilt: Fitted, rows: pa.Table, *, features: Sequence[str]) -> np.ndarray:
    """Of each row; of several classes the largest of them."""
    import numpy as np

    found = np.abs(registered.predict(rows, features=features).astype(float) - rebuilt.predict(rows, features=features))
    return found.reshape(len(found), -1).max(axis=1) if found.size else found


def _trees(booster: xgb.Booster) -> list[Any]:
    return [json.loads(tree) for tree in booster.get_dump(dump_format="json", with_stats=True)]


def _nodes(one: Any, other: Any) -> Iterator[tuple[str, str, str]]:
    """The nodes that differ, each before the ones below it."""
    if _shown(one) != _shown(other):
        yield f"node {one['nodeid']}", _shown(one), _shown(other)
    for left, right in zip(one.get("children", []), other.get("children", []), strict=False):
        yield from _nodes(left, right)


def _shown(node: Any) -> str:
    if "leaf" in node:
        return f"a leaf of {node['leaf']}"
    return f"a split at {node['split']} < {node['split_condition']} (gain {node.get('gain')})"


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown + (f" and {len(names) - _SHOWN} more columns" if len(names) > _SHOWN else "")
