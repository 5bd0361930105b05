"""The gate: what a challenger must show before the alias moves to it. A missing or NaN metric fails."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from headrace.spec.model import Gate

LOWER_IS_BETTER = frozenset({"brier", "log_loss"})
_ROUNDING = 1e-9
"""0.75 - 0.74 is a little more than 0.01 in floating point."""


@dataclass(frozen=True)
class Check:
    """One condition and how it went."""

    name: str
    passed: bool
    sentence: str


@dataclass(frozen=True)
class Verdict:
    """All checks of a challenger."""

    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)

    @property
    def refusals(self) -> str:
        """Why it was refused, one sentence per failed check."""
        return "; ".join(check.sentence for check in self.checks if not check.passed)


def judge(
    gate: Gate, *, rows: int, challenger: Mapping[str, float], champion: Mapping[str, float] | None
) -> Verdict:  # fmt: skip
    """Hold the challenger's metrics against floors, the leakage ceiling and the champion's metrics on the same rows."""
    checks = [
        Check("rows", rows >= gate.minimum_rows, f"tested on {rows} rows, at least {gate.minimum_rows} are needed"),
        *(_floor(metric, bound, challenger.get(metric)) for metric, bound in gate.floors.items()),
    ]
    if gate.leakage_ceiling is not None:
        checks.append(_ceiling(gate.leakage_ceiling, challenger.get("auc")))
    if champion is not None:
        checks.append(_against(gate, challenger.get(gate.metric), champion.get(gate.metric)))
    return Verdict(tuple(checks))


def _known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _floor(metric: str, bound: float, value: float | None) -> Check:
    name = f"floor/{metric}"
    if value is None or not _known(value):
        return Check(name, False, f"{metric} is missing or not a number")
    lower = metric in LOWER_IS_BETTER
    passed = value <= bound if lower else value >= bound
    return Check(name, passed, f"{metric} is {value:.4f}, {'at most' if lower else 'at least'} {bound:g} is needed")


def _ceiling(bound: float, auc: float | None) -> Check:
    if auc is None or not _known(auc):
        return Check("leakage", False, "auc is missing or not a number")
    return Check("leakage", auc <= bound, f"auc is {auc:.4f}; above {bound:g} a feature is likely to know the outcome")


def _against(gate: Gate, challenger: float | None, champion: float | None) -> Check:
    name, metric = "champion", gate.metric
    if challenger is None or not _known(challenger):
        return Check(name, False, f"{metric} is missing or not a number")
    if champion is None or not _known(champion):
        return Check(name, False, f"the champion's {metric} on these rows is missing or not a number")
    gain = champion - challenger if metric in LOWER_IS_BETTER else challenger - champion
    return Check(
        name,
        gain >= -gate.tolerance - _ROUNDING,
        f"{metric} is {challenger:.4f} against the champion's {champion:.4f} on the same rows (tolerance {gate.tolerance:g})",
    )
