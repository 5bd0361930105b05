"""Pictures of what the gate saw."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace.spec.gate import Metric
from headrace.training.evidence import Evidence

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ACCENT, WARN = "#1f6f8b", "#c8553d"
_ALL = "all rows"


def gains_plot(evidence: Evidence, *, metric: Metric, tolerance: float) -> Figure:
    """By how much the challenger is better, with intervals: on all rows, then in each segment that has support."""
    from matplotlib.figure import Figure

    assert evidence.rival is not None
    bars = [(_ALL, evidence.rival.gains[metric])]
    bars += [(f"{one.slice}: {one.name}", one.gain) for one in evidence.segments if one.supported and one.gain.known]
    figure = Figure(figsize=(7, 0.4 * len(bars) + 1.4), layout="constrained")
    axes = figure.subplots()
    for place, (name, found) in enumerate(reversed(bars)):
        end = found.low if name == _ALL else found.high  # shown to be no worse; not shown to be worse
        colour = ACCENT if end >= -tolerance else WARN
        axes.plot([found.low, found.high], [place, place], color=colour, linewidth=2)
        axes.plot([found.value], [place], marker="o", color=colour)
    axes.axvline(0, color="0.7")
    axes.axvline(-tolerance, color=WARN, linestyle="--", label=f"tolerance {tolerance:g}")
    axes.set_yticks(range(len(bars)), [name for name, _ in reversed(bars)])
    axes.set(xlabel=f"{metric}: this version better by", title="Against the champion", ylim=(-0.6, len(bars) - 0.4))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return figure
