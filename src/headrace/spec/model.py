"""The model, its gate and its predictions."""

from __future__ import annotations

import difflib
from typing import Annotated, Any, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from headrace.spec.boosting import Device, Distributed, Method
from headrace.spec.continuous import Continuous
from headrace.spec.gate import Gate, Metric
from headrace.spec.kinds import KINDS, METRICS_OF, Kind, kind_of, objective_of
from headrace.spec.learners import BOOSTING, LearnerName, require_parameters
from headrace.spec.search import NOT_SEARCHED, SAME, Search
from headrace.spec.section import Section, Size, size_in_bytes

__all__ = ["Gate", "Metric", "Model", "Scoring"]
Share = Annotated[float, Field(gt=0, lt=0.9)]

PARAMETERS = frozenset(
    [
        "alpha",
        "base_score",
        "booster",
        "colsample_bylevel",
        "colsample_bynode",
        "colsample_bytree",
        "eta",
        "eval_metric",
        "gamma",
        "grow_policy",
        "interaction_constraints",
        "lambda",
        "learning_rate",
        "max_bin",
        "max_cat_threshold",
        "max_cat_to_onehot",
        "max_delta_step",
        "max_depth",
        "max_leaves",
        "min_child_weight",
        "min_split_loss",
        "monotone_constraints",
        "num_parallel_tree",
        "objective",
        "refresh_leaf",
        "reg_alpha",
        "reg_lambda",
        "sampling_method",
        "scale_pos_weight",
        "subsample",
        "tree_method",
        "verbosity",
    ]
)
"""XGBoost's parameters that a pipeline file may set: they shape trees."""


class EarlyStopping(Section):
    """How the number of trees is found: on the newest share of the training rows, by a model of those before it."""

    share: Share = 0.15
    patience: Annotated[int, Field(ge=1, le=1000)] = Field(default=30, description="rounds without gain that end it")


class Model(Section):
    """What is trained: boosting (XGBoost, on the driver from Arrow), a linear baseline, or a class of your own."""

    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,100}$", description="name in the MLflow registry")
    alias: str = Field(default="champion", pattern=r"^[a-z][a-z0-9_-]{0,40}$")
    learner: LearnerName = Field(
        default=BOOSTING, description="boosting, linear, or the name of an entry point of an installed package"
    )
    parameters: dict[str, float | int | str | bool] = Field(
        default={}, description="the learner's own; of boosting: XGBoost's"
    )
    rounds: Annotated[int, Field(ge=1, le=5000)] = 300
    seed: int = 7
    test_share: Share = Field(default=0.2, description="the newest share of the rows tests the model")
    early_stopping: EarlyStopping | None = Field(default=None, description="find the number of trees, up to rounds")
    calibration: Method | None = Field(
        default=None, description="map scores to probabilities, as the newest training rows tell it"
    )
    calibration_share: Share = Field(
        default=0.15, description="the newest share of the training rows that tells it, where no early_stopping has one"
    )
    distributed: Distributed | None = Field(default=None, description="train by Spark's workers above a number of rows")
    device: Device = Field(default="cpu", description="where trees are grown")
    memory: Size = Field(
        default="4g", description="training that is likely to need more on the driver is refused before it begins"
    )
    search: Search = Search()
    gate: Gate = Gate()
    continuous: Continuous | None = Field(default=None, description="train as labels arrive")

    @model_validator(mode="before")
    @classmethod
    def _decided_by_a_metric_of_its_kind(cls, data: Any) -> Any:
        """The gate's metric, where none is declared."""
        if not isinstance(data, dict):
            return data
        gate, parameters = data.get("gate", {}), data.get("parameters")
        kind = KINDS.get(objective_of(parameters)) if isinstance(parameters, dict) else None
        if kind in (None, "binary") or not isinstance(gate, dict) or "metric" in gate:
            return data
        return {**data, "gate": {**gate, "metric": METRICS_OF[kind][0]}}

    @field_validator("parameters")
    @classmethod
    def _known(
        cls, parameters: dict[str, float | int | str | bool], info: ValidationInfo
    ) -> dict[str, float | int | str | bool]:
        learner = info.data.get("learner", BOOSTING)
        require_parameters(learner, parameters, of_boosting=PARAMETERS)
        for name in parameters if learner == BOOSTING else ():
            _require_known(name)
        if objective_of(parameters) not in KINDS:
            raise ValueError(f"objective: expected one of {', '.join(KINDS)}")
        return parameters

    @model_validator(mode="after")
    def _one_word_for_each(self) -> Self:
        written = {SAME.get(name, name): name for name in self.parameters}
        searched: dict[str, str] = {}
        for name in self.search.space:
            _require_known(name, where="search.space: ")
            if name in NOT_SEARCHED:
                raise ValueError(f"search.space: {name!r} says what is learned; set it under parameters")
            meaning = SAME.get(name, name)
            for other in (written.get(meaning, name), searched.get(meaning, name)):
                if other != name:
                    raise ValueError(f"search.space: {name!r} and {other!r} are one parameter; write one of the names")
            searched[meaning] = name
        return self

    @model_validator(mode="after")
    def _trees_that_grow_on(self) -> Self:
        if self.continuous is None:
            return self
        wanted = {"booster": "gbtree", "num_parallel_tree": 1}
        for name, only in wanted.items():
            if self.parameters.get(name, only) != only:
                raise ValueError(
                    f"parameters.{name}: continuous training needs {only!r}; remove it, or the section continuous"
                )
        if not str(self.parameters.get("objective", "binary:")).startswith("binary:"):
            raise ValueError(
                "parameters.objective: continuous training is for outcomes of two classes; remove one of the two"
            )
        return self

    @property
    def kind(self) -> Kind:
        """What it learns, by its objective."""
        return kind_of(self.parameters)

    @property
    def newest_share(self) -> float:
        """The share of the training rows on which a model of the older ones tells rounds and calibration."""
        return self.calibration_share if self.early_stopping is None else self.early_stopping.share

    @property
    def memory_bytes(self) -> int:
        """``memory`` in bytes."""
        return size_in_bytes(self.memory)


def _require_known(name: str, where: str = "") -> None:
    if name not in PARAMETERS:
        near = difflib.get_close_matches(name, PARAMETERS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(sorted(PARAMETERS))}"
        raise ValueError(f"{where}no parameter {name!r}; {hint}")


class Scoring(Section):
    """Where predictions go."""

    topic: str
    max_wait_seconds: Annotated[float, Field(gt=0)] | None = Field(
        default=None,
        description="live operation only: after this long a request is scored with what is there, and marked degraded",
    )
