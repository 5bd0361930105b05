"""The learners that a pipeline file can name: two that Headrace has, and those of installed packages, by their entry points."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated

from pydantic import StringConstraints

BOOSTING, LINEAR = "boosting", "linear"
BUILT_IN = (BOOSTING, LINEAR)
ENTRY_POINTS = "headrace.learners"
"""The group under which a package names its classes."""

LearnerName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,40}$")]

LINEAR_PARAMETERS: dict[str, tuple[float, float, bool]] = {
    "regularization": (0, 1e6, False),
    "elastic_net": (0, 1, False),
    "iterations": (1, 10_000, True),
}
"""Those of ``linear`` besides the objective: the smallest and the largest value, and whether it is a whole number."""


def installed(name: str) -> tuple[EntryPoint, ...]:
    """The entry points of that name, one for each package that offers it."""
    return tuple(entry_points(group=ENTRY_POINTS, name=name))


def offered() -> str:
    """All learners that there are, for a sentence."""
    own = sorted(f"{one.name} (of {package_of(one)})" for one in entry_points(group=ENTRY_POINTS))
    return ", ".join([*BUILT_IN, *own])


def package_of(point: EntryPoint) -> str:
    """The package of an entry point, with its version: ``nearest-trips 1.0``."""
    return f"{point.dist.name} {point.dist.version}" if point.dist else "no package"


def require_parameters(
    learner: str, parameters: dict[str, float | int | str | bool], *, of_boosting: Iterable[str]
) -> None:
    """Raise ValueError where a built-in learner has no such parameter, or not such a value. A class of one's own judges itself."""
    for name, value in parameters.items():
        if learner == LINEAR and name != "objective":
            _require_linear(name, value, of_boosting=of_boosting)


def _require_linear(name: str, value: float | int | str | bool, *, of_boosting: Iterable[str]) -> None:
    bounds = LINEAR_PARAMETERS.get(name)
    if bounds is None:
        near = difflib.get_close_matches(name, LINEAR_PARAMETERS, n=1)
        if not near and name in of_boosting:
            raise ValueError(f"{name!r} is a parameter of boosting; remove it, or write learner: boosting")
        known = f"did you mean {near[0]!r}?" if near else f"expected one of objective, {', '.join(LINEAR_PARAMETERS)}"
        raise ValueError(f"learner linear has no parameter {name!r}; {known}")
    low, high, whole = bounds
    number = None if isinstance(value, (bool, str)) else value
    if number is None or not low <= number <= high or (whole and number != int(number)):
        what = "a whole number" if whole else "a number"
        raise ValueError(f"{name}: expected {what} from {low:g} to {high:,.0f}")
