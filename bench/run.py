"""All benchmarks in turn: ``make bench`` (about two hours and a half on 2 cores)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SUITES = (
    "start",
    "stop",
    "ingest",
    "pseudonyms",
    "duplicates",
    "drift",
    "ledger",
    "audit",
    "features",
    "latency",
    "headers",
    "long_life",
    "training",
    "flights",
)


def main() -> int:
    """Run the suites named on the command line, or all; 1 if one failed."""
    here = Path(__file__).parent
    chosen = sys.argv[1:] or SUITES
    codes = [subprocess.run([sys.executable, str(here / f"{name}.py")], check=False).returncode for name in chosen]
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main())
