"""Finding a learner by its name: one that is built in, or the class that exactly one installed package offers under it.

Nothing but a name is ever taken from a pipeline file, a tag or a model's folder, and it runs nothing that is not installed.
"""

from __future__ import annotations

import hashlib
import inspect
import re
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from headrace.errors import LearnerError
from headrace.located import printable
from headrace.spec.kinds import METRICS_OF
from headrace.spec.learners import BOOSTING, BUILT_IN, LINEAR, installed, offered, package_of
from headrace.training.learners.protocol import Learner

_FILE = re.compile(r"[a-z][a-z0-9_-]{0,40}\.[a-z0-9]{1,12}")
_NO_DATA = (".pkl", ".pickle", ".joblib", ".dill", ".py", ".pyc", ".so")
"""Names of files that are no data."""


@dataclass(frozen=True)
class Found:
    """A learner and where it comes from."""

    name: str
    learner: Learner
    package: tuple[str, str] | None = None
    """Name and version of the package that brings it; None for a built-in one."""

    @property
    def of(self) -> str:
        """For sentences: ``learner 'nearest' (of nearest-trips 1.0)``."""
        return f"learner {self.name!r}" + (f" (of {' '.join(self.package)})" if self.package else "")

    @property
    def code(self) -> str | None:
        """SHA-256 of the file with its class; None for a built-in one, or where there is no such file."""
        if self.package is None:
            return None
        try:
            file = inspect.getsourcefile(type(self.learner))
            return hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else None
        except (OSError, TypeError):
            return None


def find(name: str) -> Found:
    """The learner of that name. Raises LearnerError where there is none, more than one, or it is not what a learner must be."""
    from headrace.training.learners.boosting import Boosting
    from headrace.training.learners.linear import Linear

    if name in BUILT_IN:
        built_in: dict[str, Learner] = {BOOSTING: Boosting(), LINEAR: Linear()}
        return Found(name, built_in[name])
    points = installed(name)
    if not points:
        raise LearnerError(
            f"no learner {printable(name)[:60]!r} is installed here; expected one of {offered()}; install its package where this "
            "runs, and for Spark's workers"
        )
    if len(points) > 1:
        packages = " and ".join(sorted(package_of(one) for one in points))
        raise LearnerError(f"learner {name!r} is offered by {packages}; uninstall all but one")
    point = next(iter(points))
    package = (point.dist.name, point.dist.version) if point.dist else ("no package", "")
    return Found(name, _made(point), package)


def _made(point: EntryPoint) -> Learner:
    what = f"learner {point.name!r} (of {package_of(point)})"
    try:
        made: Any = point.load()
        made = made() if inspect.isclass(made) else made
        kinds, file = frozenset(made.kinds), made.file
        lacking = [method for method in ("fit", "load") if not callable(getattr(made, method, None))]
    except Exception as error:
        raise LearnerError(
            f"{what}: {point.value} can't be made ({type(error).__name__}); it must be a class that is made without arguments, "
            "with kinds, file, fit and load: docs/training.md shows one"
        ) from None
    if lacking:
        raise LearnerError(f"{what} has no method {lacking[0]}; docs/training.md shows what a learner needs")
    if not kinds or not kinds <= METRICS_OF.keys():
        raise LearnerError(f"{what} must say what it can learn: kinds, a set of {', '.join(METRICS_OF)}")
    if not isinstance(file, str) or not _FILE.fullmatch(file) or file.endswith(_NO_DATA):
        raise LearnerError(
            f"{what} must name its models' file, such as model.json: small letters, digits, and an ending that is not of code or "
            "pickles"
        )
    return made
