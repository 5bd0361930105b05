"""All crash points in all modes, then kills at random: prints a table, writes bench/results/crash.json, exits 1 on any finding.

make crash                          all points x modes and 200 kills (about two hours on 2 cores)
make crash ARGS="--kills 20"        fewer kills
make crash ARGS="--points 'Delta commit' --kills 0"     only the points whose name holds this text
make crash ARGS="--journal crash.jsonl"                 each judged case is noted there; the same command again goes on behind
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from harness import ROOT, Harness, Kills, compile_faults
from oracle import Findings, judge
from points import POINTS
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from short_lives import QUICK

from headrace.embedded.kafka import KafkaBroker
from headrace.quick_start import make_archive

RESULT = ROOT / "bench" / "results" / "crash.json"
TOPIC = "crash"
GROUP = 8
"""Turns in one driver process, where the fault does not end it."""
ROUND = 20
"""Random kills of one lake, then it is judged."""
Case = tuple[str, str]
"""Point and mode; of random kills: ``random 20-39`` and ``kill``."""


class Journal:
    """What was judged, case by case; kept in a file, a run that was stopped goes on where it was."""

    def __init__(self, file: Path | None) -> None:
        self._file, self._lock, self._commit = file, threading.Lock(), _commit()
        self.found: dict[Case, Findings] = {}
        self.commits: set[str] = set()
        """Of the code that was struck."""
        with suppress(FileNotFoundError):
            for line in file.read_text(encoding="utf-8").splitlines() if file else ():
                noted = json.loads(line)
                self.commits.add(noted.pop("commit"))
                case = (noted.pop("point"), noted.pop("mode"))
                self.found[case] = Findings(**noted)

    def note(self, case: Case, findings: Findings) -> None:
        with self._lock:
            self.found[case] = findings
            self.commits.add(self._commit)
            if self._file is not None:
                with self._file.open("a", encoding="utf-8") as lines:
                    noted = {"commit": self._commit, "point": case[0], "mode": case[1], **asdict(findings)}
                    lines.write(json.dumps(noted) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200, help="how many random SIGKILLs (default 200)")
    parser.add_argument("--seed", type=int, default=20261124)
    parser.add_argument("--points", default="", help="only the points whose name holds this text")
    parser.add_argument("--journal", type=Path, help="file that holds what was judged, to go on after a stop")
    options = parser.parse_args()
    console, journal = Console(), Journal(options.journal)
    make_archive(notify=console.print)
    os.environ.setdefault("SPARK_SUBMIT_OPTS", QUICK)
    with tempfile.TemporaryDirectory(prefix="headrace-crash-") as made:
        folder = Path(made)
        broker = KafkaBroker(folder / "kafka")
        try:
            harness = Harness(broker.start(notify=console.print).bootstrap, compile_faults(folder), folder)
            crash(harness, options, console, journal)
        finally:
            broker.stop()
    return 0 if all(findings.clean for findings in journal.found.values()) else 1


def crash(harness: Harness, options: argparse.Namespace, console: Console, journal: Journal) -> None:
    """Every case, judged, and the random kills beside them; the table and the result file are made of what was judged."""
    chosen = {name: point for name, point in POINTS.items() if options.points in name}
    cases = [(name, mode) for name, point in chosen.items() for mode in point.modes]
    harness.topic(TOPIC)
    with Progress(console=console) as progress, ThreadPoolExecutor(2) as both:
        struck = progress.add_task("points x modes", total=len(cases))
        killed = progress.add_task("random kills", total=options.kills)

        def strike_all() -> None:
            left = [case for case in cases if case not in journal.found]
            progress.update(struck, completed=len(cases) - len(left))
            for case in strike(harness, left):
                wrong = harness.audit(" ".join(case))
                _require(not wrong, case, *wrong)
                journal.note(case, judge(harness.bootstrap, topic=TOPIC, table=harness.table(" ".join(case))))
                progress.advance(struck)

        def kill_all() -> None:
            for first in range(0, options.kills, ROUND):
                last = min(first + ROUND, options.kills)
                case = (f"random {first + 1}-{last}", "kill")
                if case in journal.found:
                    progress.advance(killed, last - first)
                    continue
                kills = Kills(harness, topic=f"random-kills-{first}", seed=options.seed + first)
                for _ in range(first, last):
                    kills.kill_once()
                    progress.advance(killed)
                journal.note(case, kills.judge())

        for done in [both.submit(strike_all), both.submit(kill_all)]:
            done.result()
    report(journal, options, points=len(chosen), console=console)


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


def report(journal: Journal, options: argparse.Namespace, *, points: int, console: Console) -> None:
    """Print the table; write the result file where nothing was left out."""
    found = journal.found
    modes = sorted({mode for _, mode in found})
    table = Table(title="records lost + repeated + changed, by point and mode")
    for column in ("point", *modes):
        table.add_column(column, justify="left" if column == "point" else "right")
    for name in dict.fromkeys(name for name, _ in found):
        cells = [found.get((name, mode)) for mode in modes]
        table.add_row(name, *("" if cell is None else str(_wrong(cell)) for cell in cells))
    console.print(table)
    kills = sum(1 for name, mode in found if mode == "kill" and not name.startswith("random")) + options.kills
    figures = {
        "points": points, "modes": modes, "cases": sum(not name.startswith("random") for name, _ in found),
        "kills": kills, "random_kills": options.kills,
        "records": sum(findings.records for findings in found.values()),
        "lost": sum(len(findings.lost) for findings in found.values()),
        "repeated": sum(len(findings.repeated) for findings in found.values()),
        "changed": sum(len(findings.changed) + len(findings.disordered) for findings in found.values()),
        "seed": options.seed, "commits": sorted(journal.commits),
    }  # fmt: skip
    console.print_json(json.dumps(figures))
    if not options.points:
        RESULT.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def _commit() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()


def _wrong(findings: Findings) -> int:
    return sum(map(len, (findings.lost, findings.repeated, findings.invented, findings.changed, findings.disordered)))


if __name__ == "__main__":
    sys.exit(main())
