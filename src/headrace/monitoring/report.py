"""A self-contained HTML report of a run: figures, and plots inside the page (no script, nothing fetched)."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.training.evaluate import calibration_plot

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from headrace.monitoring.outcome import LiveQuality

INK, ACCENT, WARN, GRID = "#1c2b33", "#1f6f8b", "#c8553d", "#d9e2e6"
_COLOURS = (ACCENT, "#e0a030", "#6b8f71", WARN, "#7c5e9c")
_STYLE = f"""
body {{ font: 16px/1.5 system-ui, sans-serif; color: {INK}; max-width: 64rem; margin: 2rem auto; padding: 0 1rem; }}
h1 {{ font-size: 1.6rem; margin-bottom: .2rem; }} h2 {{ font-size: 1.1rem; margin: 2rem 0 .4rem; }}
.cards {{ display: flex; flex-wrap: wrap; gap: .8rem; margin: 1rem 0; }}
.card {{ border: 1px solid {GRID}; border-radius: .5rem; padding: .6rem 1rem; min-width: 8rem; }}
.card b {{ display: block; font-size: 1.4rem; }}
.plots {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(28rem, 1fr)); gap: 1rem; }}
img {{ max-width: 100%; }} table {{ border-collapse: collapse; }}
td, th {{ padding: .2rem .8rem .2rem 0; text-align: left; border-bottom: 1px solid {GRID}; }} td.n {{ text-align: right; }}
"""


def write_report(
    path: Path, *, figures: Mapping[str, Any], quality: LiveQuality, throughput: Sequence[tuple[float, str, int]]
) -> Path:  # fmt: skip
    """Write the report of a demo's figures to ``path``; the path."""
    plots = [_throughput_plot(throughput)] if throughput else []
    plots += [_rules_plot(figures["rules"]), _auc_plot(quality)]
    if len(quality.label):
        plots.append(calibration_plot(quality.label, quality.probability))
    cards = (
        ("records produced", f"{figures['records_produced']:,}"),
        ("accounted for", f"{figures['records_accounted']:,}"),
        ("accepted", f"{figures['accepted']:,}"),
        ("quarantined", f"{figures['quarantined']:,}"),
        ("predictions", f"{figures['predictions']:,}"),
        ("AUC against what came", f"{figures['auc_live']:.3f}"),
        ("seconds", f"{figures['seconds']:,.0f}"),
        ("peak memory", f"{figures['peak_rss_mb']:,} MiB"),
    )
    body = "".join(f'<div class="card">{escape(name)}<b>{escape(value)}</b></div>' for name, value in cards)
    images = "".join(_image(figure) for figure in plots)
    path.write_text(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Headrace</title><style>{_STYLE}</style></head><body>'
        f"<h1>New York's flights through Headrace</h1><p>Kafka to Delta, checked row by row; a model trained on January and "
        f"February 2013, scoring March as it streams, an hour before each departure.</p>"
        f'<div class="cards">{body}</div><div class="plots">{images}</div>'
        f"<h2>Rules that rows failed</h2>{_rules_table(figures['rules'])}</body></html>\n",
        encoding="utf-8",
    )
    return path


def _image(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    title = escape(figure.axes[0].get_title())
    return f'<img alt="{title}" src="data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}">'


def _axes(width: float = 6.5, height: float = 4.0) -> tuple[Figure, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _throughput_plot(throughput: Sequence[tuple[float, str, int]]) -> Figure:
    figure, axes = _axes()
    for index, stream in enumerate(sorted({name for _, name, _ in throughput})):
        points = [(at, rows) for at, name, rows in throughput if name == stream]
        total, sums = 0, []
        for _, rows in points:
            total += rows
            sums.append(total)
        axes.step([at for at, _ in points], sums, where="post", label=stream, color=_COLOURS[index % len(_COLOURS)])
    axes.set(xlabel="seconds since the start", ylabel="rows committed", title="Rows in the lake")
    axes.legend(frameon=False)
    return figure


def _rules_plot(rules: Mapping[str, Mapping[str, Mapping[str, int]]]) -> Figure:
    bars = sorted(
        (
            (f"{stream}: {rule}", rows, verdict)
            for stream, verdicts in rules.items()
            for verdict, counts in verdicts.items()
            for rule, rows in counts.items()
        ),
        key=lambda bar: bar[1],
    )[-14:]
    figure, axes = _axes()
    axes.barh(
        [name for name, _, _ in bars],
        [n for _, n, _ in bars],
        color=[WARN if v == "quarantined" else ACCENT for *_, v in bars],
    )
    for index, (_, rows, _) in enumerate(bars):
        axes.annotate(f" {rows:,}", (rows, index), va="center", fontsize=8)
    if bars:
        axes.set_xscale("log")
    axes.set(xlabel="rows (red: quarantined)", title="Rows by rule that they failed")
    return figure


def _auc_plot(quality: LiveQuality) -> Figure:
    by_day = quality.auc_by_day()
    figure, axes = _axes()
    axes.plot(list(by_day), list(by_day.values()), marker="o", color=ACCENT)
    axes.axhline(0.5, color=GRID, linestyle="--")
    axes.set(ylabel="AUC", title="AUC by day, predictions against what came")
    figure.autofmt_xdate()
    return figure


def _rules_table(rules: Mapping[str, Mapping[str, Mapping[str, int]]]) -> str:
    rows = "".join(
        f"<tr><td>{escape(stream)}</td><td>{escape(rule)}</td><td>{escape(verdict)}</td><td class='n'>{count:,}</td></tr>"
        for stream, verdicts in rules.items()
        for verdict, counts in verdicts.items()
        for rule, count in counts.items()
    )
    return f"<table><tr><th>stream</th><th>rule</th><th>verdict</th><th>rows</th></tr>{rows}</table>"
