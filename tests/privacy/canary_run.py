"""The process that handles canaries: every verb, as its command runs it, one after the other, with faults between.

    python canary_run.py FOLDER BOOTSTRAP CLEAR        exit codes of the verbs, as one JSON line at the end

``FOLDER`` gets the pipeline and all that is written, ``CLEAR`` what ``quarantine show --clear`` prints.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
from pathlib import Path

from canaries import CUT, EARLY, PREFIX, Canaries, her_email, send_more, write_suite
from pyspark.sql import SparkSession

from headrace.cli import main

DATA, LOG = r"/events/asked/ingest_date=.*\.parquet$", r"/events/asked/_delta_log/\d+\.json$"
FAULTS = [
    ("create", DATA, "full"),
    ("closed", DATA, "kill worker"),
    ("rename", LOG, "exception"),
    ("rename", r"/ledger/asked/.*\.jsonl$", "exception"),
    ("rename", r"/checkpoints/ingest/asked/commits/\d+$", "exception"),
]


def run(*arguments: object) -> int:
    """A command, in this process: its exit code."""
    sys.argv = ["headrace", *map(str, arguments)]
    print(f"--- {arguments[0]}", flush=True)
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)


def work(folder: Path, bootstrap: str, clear: Path) -> dict[str, int]:
    """Exit code by verb."""
    pipeline, file = folder / "pipeline", clear.parent / "subject.txt"
    ingest = ("ingest", pipeline, "--until-caught-up")
    codes = {"check": run("check", pipeline), "ingest": run(*ingest)}
    planter = SparkSession.active()._jvm.headrace.crash.Fault
    for operation, path, action in FAULTS:
        send_more(bootstrap, Canaries())
        planter.arm(operation, path, 1, action)
        code = run(*ingest)
        codes[f"fault {operation} {path} {action}"] = code if planter.fired() else -1
        planter.disarm()
    codes["ingest after faults"] = run(*ingest)
    codes["quarantine"] = run("quarantine", pipeline, "--samples", 100)
    codes["quarantine --json"] = run("quarantine", "list", pipeline, "--samples", 100, "--json")
    codes["show"] = run("quarantine", "show", pipeline, f"{PREFIX}.asked/0/1")
    with clear.open("w") as out, contextlib.redirect_stdout(out):
        codes["show --clear"] = max(
            run("quarantine", "show", pipeline, f"{PREFIX}.asked/0/{n}", "--clear") for n in (1, 3, 5)
        )
    write_suite(pipeline, [])
    codes["replay"] = run("replay", pipeline, "--stream", "asked")
    codes["keys rotate"] = run("keys", "rotate", pipeline, "--all")
    codes["keys list"] = run("keys", "list", pipeline)
    codes |= models(pipeline)
    codes["score"] = run("score", pipeline, "--until-caught-up", "--from", CUT.isoformat())
    codes["keys rewrite"] = run("keys", "rewrite", pipeline)
    codes["audit"] = run("audit", pipeline, "--deep")
    shutil.copytree(
        folder, clear.parent / "before", symlinks=True
    )  # maintenance and erasure remove what might be found
    codes["maintain"] = run("maintain", pipeline)
    file.write_text(her_email())
    codes["erase"] = run("erase", pipeline, "--subject-file", file, "--retrain-as-of", CUT.isoformat())
    codes["erasures"] = run("erasures", pipeline)
    return codes


def models(pipeline: Path) -> dict[str, int]:
    """All that makes, judges and explains a model; exit code by verb. The first version is the champion in the end."""
    early, late = (at.isoformat() for at in (EARLY, CUT))
    return {
        "features": run("features", pipeline, "--build"),
        "parameters": run("parameters", pipeline, "--as-of", early),
        "parameters show": max(
            run("parameters", "show", pipeline, name) for name in ("statistics", "vocabulary.cards")
        ),
        "search": run("search", pipeline, "--as-of", early, "--trials", 2),
        "train": max(run("train", pipeline, "--as-of", as_of) for as_of in (early, late)),
        "models": run("models", pipeline),
        "lineage": run("lineage", pipeline, "champion"),
        "reproduce": run("reproduce", pipeline, "champion", "--from-source"),
        "rollback": run("rollback", pipeline, "--why", "canaries go back"),
        "train --continuous": run("train", pipeline, "--continuous", "--until-caught-up"),
        "snapshots": run("snapshots", pipeline),
    }


def ended() -> None:
    """End the JVM so that it can't tidy up: what it wrote for itself stays, to be searched."""
    jvm = SparkSession.active()._jvm
    pid = jvm.java.lang.ProcessHandle.current().pid()
    sys.stdout.flush()
    os.kill(pid, signal.SIGKILL)
    os._exit(0)


if __name__ == "__main__":
    print(json.dumps(work(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))), flush=True)
    ended()
