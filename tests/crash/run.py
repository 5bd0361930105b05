"""All crash points in all modes, then kills at random: prints a table, writes bench/results/crash.json, exits 1 on any finding.

make crash                          all points x modes and 200 kills (more than an hour on 2 cores)
make crash ARGS="--kills 20"        fewer kills
make crash ARGS="--points 'Delta commit' --kills 0"     only the points whose name holds this text
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from harness import ROOT, Harness, Kills, compile_faults
from oracle import Findings, judge
from points import POINTS
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from headrace.embedded.class_archive import make_archive
from headrace.embedded.kafka import KafkaBroker

RESULT = ROOT / "bench" / "results" / "crash.json"
TOPIC = "crash"
GROUP = 8
"""Turns in one driver process, where the fault does not end it."""
Case = tuple[str, str]
"""Point and mode."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200, help="how many random SIGKILLs (default 200)")
    parser.add_argument("--seed", type=int, default=20261124)
    parser.add_argument("--points", default="", help="only the points whose name holds this text")
    options = parser.parse_args()
    console = Console()
    make_archive(notify=console.print)
    os.environ.setdefault(
        "SPARK_SUBMIT_OPTS", "-XX:TieredStopAtLevel=1"
    )  # a process that lives for seconds needs no more
    with tempfile.TemporaryDirectory(prefix="headrace-crash-") as made:
        folder = Path(made)
        broker = KafkaBroker(folder / "kafka")
        try:
            harness = Harness(broker.start(notify=console.print).bootstrap, compile_faults(folder), folder)
            found = crash(harness, options, console)
        finally:
            broker.stop()
    return 0 if all(findings.clean for findings in found.values()) else 1


def crash(harness: Harness, options: argparse.Namespace, console: Console) -> dict[Case, Findings]:
    """Every case, judged; the table and the result file are made of what was judged."""
    chosen = {name: point for name, point in POINTS.items() if options.points in name}
    cases = [(name, mode) for name, point in chosen.items() for mode in point.modes]
    harness.topic(TOPIC)
    found: dict[Case, Findings] = {}
    with Progress(console=console) as progress:
        task = progress.add_task("points x modes", total=len(cases))
        for case in strike(harness, cases):
            found[case] = judge(harness.bootstrap, topic=TOPIC, table=harness.table(" ".join(case)))
            wrong = harness.audit(" ".join(case))
            _require(not wrong, case, *wrong)
            progress.advance(task)
        if options.kills:
            task = progress.add_task("random kills", total=options.kills)
            kills = Kills(harness, topic="random-kills", seed=options.seed)
            for _ in range(options.kills):
                kills.kill_once()
                progress.advance(task)
            found["random", "kill"] = kills.judge()
    report(found, options, points=len(chosen), console=console)
    return found


def strike(harness: Harness, cases: list[Case]) -> Iterator[Case]:
    """Strike and recover; a case is given once its lake has caught up."""
    mild = [case for case in cases if case[1] in ("exception", "full", "kill worker")]
    for begin in range(0, len(mild), GROUP):
        group = mild[begin : begin + GROUP]
        turns = [turn for case in group for turn in (_struck(harness, case), harness.turn(" ".join(case), TOPIC))]
        told = harness.run(turns)
        for case, turn, recovered in zip(group, told[::2], told[1::2], strict=True):
            _require(turn["fired"] and not recovered["error"], case, turn, recovered)
            yield case
    before: Case | None = None
    for case in [case for case in cases if case not in mild]:
        told = harness.run([*_recovery(harness, before), _struck(harness, case)])
        yield from _recovered(before, told)
        before = case
    yield from _recovered(before, harness.run(_recovery(harness, before)))


def _struck(harness: Harness, case: Case) -> dict[str, object]:
    return harness.turn(" ".join(case), TOPIC, point=POINTS[case[0]], action=case[1])


def _recovery(harness: Harness, case: Case | None) -> list[dict[str, object]]:
    return [harness.turn(" ".join(case), TOPIC)] if case else []


def _recovered(case: Case | None, told: list[dict[str, object]]) -> Iterator[Case]:
    """The case, if its recovery is all that the process told: the next fault ended it."""
    if case is not None:
        _require(len(told) == 1 and not told[0]["error"], case, *told)
        yield case


def _require(right: bool, case: Case, *told: object) -> None:
    if not right:
        raise SystemExit(f"{' / '.join(case)}: the crash, its recovery or its account went another way: {told}")


def report(found: dict[Case, Findings], options: argparse.Namespace, *, points: int, console: Console) -> None:
    """Print the table; write the result file where nothing was left out."""
    modes = sorted({mode for name, mode in found if name != "random"})
    table = Table(title="records lost + repeated + changed, by point and mode")
    for column in ("point", *modes):
        table.add_column(column, justify="left" if column == "point" else "right")
    for name in dict.fromkeys(name for name, _ in found):
        cells = [found.get((name, mode)) for mode in modes]
        table.add_row(name, *("" if cell is None else str(_wrong(cell)) for cell in cells))
    console.print(table)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    kills = sum(1 for _, mode in found if mode == "kill" and _ != "random") + options.kills
    figures = {
        "points": points, "modes": modes, "cases": len(found), "kills": kills, "random_kills": options.kills,
        "records": sum(findings.records for findings in found.values()),
        "lost": sum(len(findings.lost) for findings in found.values()),
        "repeated": sum(len(findings.repeated) for findings in found.values()),
        "changed": sum(len(findings.changed) + len(findings.disordered) for findings in found.values()),
        "seed": options.seed, "commit": commit.stdout.strip(),
    }  # fmt: skip
    console.print_json(json.dumps(figures))
    if not options.points:
        RESULT.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def _wrong(findings: Findings) -> int:
    return sum(map(len, (findings.lost, findings.repeated, findings.invented, findings.changed, findings.disordered)))


if __name__ == "__main__":
    sys.exit(main())
