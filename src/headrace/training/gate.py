"""The gate: what a challenger must show before the alias moves to it. What is missing or not a number fails."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from headrace.spec.gate import Gate, Metric
from headrace.spec.kinds import AUC_OF
from headrace.training.evidence import Evidence, Rival, Segment
from headrace.training.quality import FeatureFacts
from headrace.training.resample import LOWER_IS_BETTER, Interval

_ROUNDING = 1e-9
"""0.75 - 0.74 is a little more than 0.01 in floating point."""
_MOST_NAMED = 5


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


def judge(gate: Gate, evidence: Evidence) -> Verdict:
    """Hold what a challenger showed against everything that the pipeline file asks for."""
    auc_name = AUC_OF.get(evidence.kind)
    checks = [
        _rows(gate, evidence),
        *([] if evidence.kind == "regression" else [_outcomes(gate, evidence)]),
        _metric(gate.metric, _value(evidence, gate.metric)),
        *(_floor(metric, bound, _value(evidence, metric)) for metric, bound in gate.floors.items()),
    ]
    if gate.leakage_ceiling is not None and auc_name is not None:
        checks.append(_ceiling(gate.leakage_ceiling, auc_name, _value(evidence, auc_name)))
    checks += [] if auc_name is None else [_alone(gate, evidence.features)]
    checks += [_constant(gate, evidence.features), _missing(gate, evidence.features)]
    if gate.calibration_ceiling is not None:
        checks.append(
            _at_most("calibration", "the calibration error", evidence.calibration_error, gate.calibration_ceiling)
        )
    if gate.latency_ms is not None:
        what = "the time for 1,000 rows, in milliseconds,"
        checks.append(_at_most("latency", what, evidence.latency_ms, gate.latency_ms))
    if evidence.rival is not None:
        checks += [_against(gate, evidence.rival), *_slices(gate, evidence)]
    return Verdict(tuple(checks))


def _value(evidence: Evidence, metric: Metric) -> float | None:
    found = evidence.metrics.get(metric)
    return None if found is None or not math.isfinite(found.value) else found.value


def _rows(gate: Gate, evidence: Evidence) -> Check:
    least = gate.minimum_rows
    return Check("rows", evidence.rows >= least, f"tested on {evidence.rows} rows, at least {least} are needed")


def _outcomes(gate: Gate, evidence: Evidence) -> Check:
    least, found = gate.minimum_outcomes, evidence.outcomes
    passed = bool(found) and min(found.values()) >= least
    if evidence.kind == "binary":
        sentence = (
            f"the test rows have {found['positive']} positive and {found['negative']} negative outcomes, at least {least} of "
            "either are needed"
        )
    elif evidence.kind == "ranking":
        sentence = f"the test rows have {found['groups']} groups of rows that are not equally relevant, at least {least} are needed"
    else:
        few = _named(f"{name!r} {rows}" for name, rows in sorted(found.items(), key=lambda one: one[1]) if rows < least)
        sentence = f"the test rows have {len(found)} classes, at least {least} rows of each are needed"
        sentence += f"; there are fewer of {few}" if few else ""
    return Check("outcomes", passed, sentence)


def _metric(metric: Metric, value: float | None) -> Check:
    name = f"metric/{metric}"
    if value is None:
        return Check(name, False, f"{metric} is missing or not a number")
    return Check(name, True, f"{metric} is {value:.4f}")


def _floor(metric: Metric, bound: float, value: float | None) -> Check:
    name = f"floor/{metric}"
    if value is None:
        return Check(name, False, f"{metric} is missing or not a number")
    lower = metric in LOWER_IS_BETTER
    passed = value <= bound if lower else value >= bound
    return Check(name, passed, f"{metric} is {value:.4f}, {'at most' if lower else 'at least'} {bound:g} is needed")


def _ceiling(bound: float, name: Metric, auc: float | None) -> Check:
    if auc is None:
        return Check("leakage", False, f"{name} is missing or not a number")
    return Check(
        "leakage", auc <= bound, f"{name} is {auc:.4f}; above {bound:g} a feature is likely to know the outcome"
    )


def _alone(gate: Gate, facts: Iterable[FeatureFacts]) -> Check:
    name, bound = "single feature", gate.single_feature_ceiling
    found = sorted(facts, key=lambda one: one.alone if math.isfinite(one.alone) else math.inf, reverse=True)
    if not found or not math.isfinite(found[0].alone):
        return Check(name, False, "how good a feature is alone is missing or not a number")
    suspects = [one for one in found if one.alone > bound]
    said = _named(f"{one.name} ({one.alone:.4f})" for one in suspects or found[:1])
    if suspects:
        return Check(
            name, False, f"alone, this tells the outcome better than an AUC of {bound:g}, as a leak does: {said}"
        )
    return Check(name, True, f"the best feature alone is {said}, at most {bound:g} is allowed")


def _constant(gate: Gate, facts: Iterable[FeatureFacts]) -> Check:
    found = [one for one in facts if (one.empty or one.constant) and one.name not in gate.may_be_constant]
    said = _named(f"{one.name} ({'missing in all rows' if one.empty else 'always the same'})" for one in found)
    if found:
        sentence = (
            f"features without content: {said}; is their stream ingested? model.gate.may_be_constant lets them pass"
        )
        return Check("content", False, sentence)
    return Check("content", True, "every feature has values that differ")


def _missing(gate: Gate, facts: Iterable[FeatureFacts]) -> Check:
    bounds = {one.name: gate.most_missing_of.get(one.name, gate.most_missing) for one in facts}
    found = [one for one in facts if (bound := bounds[one.name]) is not None and not one.missing <= bound]
    said = _named(f"{one.name} in {one.missing:.1%} of the rows, at most {bounds[one.name]:.1%}" for one in found)
    return Check("missing", not found, f"missing too often: {said}" if found else "no feature is missing too often")


def _at_most(name: str, what: str, value: float | None, bound: float) -> Check:
    if value is None or not math.isfinite(value):
        return Check(name, False, f"{what} is missing or not a number")
    return Check(name, value <= bound, f"{what} is {value:.4g}, at most {bound:g} is allowed")


def _against(gate: Gate, rival: Rival) -> Check:
    """Non-inferiority: the whole interval of the difference lies above the tolerance (ICH E9, section 3.3.2)."""
    name, metric = "champion", gate.metric
    ours, theirs = rival.challenger.get(metric, math.nan), rival.metrics.get(metric, math.nan)
    if rival.other_kind is not None:
        sentence = (
            f"the champion, version {rival.version}, is a {rival.other_kind} model, and nothing of both can be compared; give this "
            "one a model.name of its own"
        )
        return Check(name, False, sentence)
    if rival.lacking:
        lacks = _named(rival.lacking)
        sentence = (
            f"the champion, version {rival.version}, needs features that are declared no more: {lacks}; declare them until a "
            "version without them is champion, or remove the alias to begin anew"
        )
        return Check(name, False, sentence)
    if rival.rows < gate.minimum_rows:
        sentence = (
            f"only {rival.rows} of the test rows are none that the champion, version {rival.version}, was trained on, at least "
            f"{gate.minimum_rows} are needed; train with a later --as-of"
        )
        return Check(name, False, sentence)
    if not math.isfinite(ours):
        return Check(name, False, f"{metric} is missing or not a number")
    if not math.isfinite(theirs):
        return Check(name, False, f"the champion's {metric} on these rows is missing or not a number")
    found = rival.gains.get(metric)
    if found is None or not found.known:
        why = f"; the test rows must span at least 10 stretches of {gate.draw_by}, each draw both outcomes"
        sentence = f"the interval of the difference in {metric} is missing or not a number{why if gate.draw_by else ''}"
        return Check(name, False, sentence)
    sentence = (
        f"{metric} is {ours:.4f} against the champion's {theirs:.4f} on the same {rival.rows} rows: {_change(gate, found)} "
        f"(tolerance {gate.tolerance:g})"
    )
    passed = found.low >= -gate.tolerance - _ROUNDING
    if not passed and found.high >= -gate.tolerance:
        sentence += ", so these rows can't tell; test on more of them, or allow a larger tolerance"
    return Check(name, passed, sentence)


def _slices(gate: Gate, evidence: Evidence) -> Iterator[Check]:
    """A segment fails where it is shown to be worse: its whole interval lies below the tolerance."""
    each = f", with {gate.minimum_outcomes} of {'either outcome' if evidence.kind == 'binary' else 'each class'}"
    bound = gate.tolerance if gate.slice_tolerance is None else gate.slice_tolerance
    for name in gate.slices:
        parts = [one for one in evidence.segments if one.slice == name and one.supported]
        if not parts:
            least = f"at least {gate.minimum_support}{each if evidence.outcomes else ''}, are needed"
            yield Check(f"slice/{name}", False, f"no segment of slice {name} has rows enough to be judged; {least}")
        for one in parts:
            yield _segment(gate, one, bound)


def _segment(gate: Gate, one: Segment, bound: float) -> Check:
    name, metric = f"slice/{one.slice}/{one.name}", gate.metric
    if not one.gain.known:
        return Check(
            name, False, f"the difference in {metric} where {one.slice} is {one.name} is missing or not a number"
        )
    sentence = (
        f"where {one.slice} is {one.name}, {metric} is {one.challenger:.4f} against {one.champion:.4f} on {one.rows} rows: "
        f"{_change(gate, one.gain)} (tolerance {bound:g})"
    )
    return Check(name, one.gain.high >= -bound - _ROUNDING, sentence)


def _change(gate: Gate, found: Interval) -> str:
    word = "better" if found.value >= 0 else "worse"
    return f"{abs(found.value):.4f} {word}, between {found.low:+.4f} and {found.high:+.4f} at {gate.confidence:.0%}"


def _named(names: Iterable[str]) -> str:
    """A list for a sentence, cut where it is long."""
    found = list(names)
    more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
    return ", ".join(found[:_MOST_NAMED]) + more
