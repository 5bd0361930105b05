"""Plants faults, lets them strike, starts again until all is caught up, and has the oracle judge."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
import uuid
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from oracle import Findings, judge
from pipelines import make_topic, reading, send
from points import Point

from headrace.audit import Deeply, audit_stream
from headrace.connections import Broker
from headrace.spec import load

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
RECORDS = 48
TURN_SECONDS = 240
EXTRA = "max_offsets_per_trigger: 24"


def compile_faults(folder: Path) -> Path:
    """The faulty file system as a jar, made by the Scala compiler that PySpark carries."""
    from headrace.embedded.java import find_java

    spec = find_spec("pyspark")
    assert spec is not None
    assert spec.origin is not None
    jar, jars = folder / "fault.jar", Path(spec.origin).parent / "jars"
    command = [
        str(find_java().path), "-XX:TieredStopAtLevel=1", "-cp", f"{jars}/*", "scala.tools.nsc.Main", "-usejavacp", "-nowarn",
        "-d", str(jar), str(HERE / "FaultFileSystem.scala"),
    ]  # fmt: skip
    subprocess.run(command, check=True, timeout=240)
    return jar


def send_records(bootstrap: str, topic: str, *, records: int = RECORDS, first: int = 0) -> None:
    """Readings of four meters, each a key of its own, in order; every sixth is implausible and must be quarantined."""
    for meter in range(4):
        values = [
            reading(n, id=f"m{meter}-{n}", **({"reading": -n} if n % 6 == 5 else {}))
            for n in range(first + meter, first + records, 4)
        ]
        send(bootstrap, topic, values, partition=meter % 2)


@dataclass(frozen=True)
class Harness:
    """A broker, the compiled faults, and a folder for lakes and notes."""

    bootstrap: str
    jar: Path
    folder: Path

    def topic(self, name: str, **options: Any) -> str:
        """A new topic of two partitions with records in it."""
        make_topic(self.bootstrap, name)
        send_records(self.bootstrap, name, **options)
        return name

    def turn(
        self, lake: str, topic: str, *, point: Point | None = None, action: str = "", verb: str = "ingest", **more: Any
    ) -> dict[str, Any]:
        """A turn of the driver: an ingest into the lake of that name (or another verb), with the fault or (recovering) without."""
        fault = {**asdict(point), "action": action} if point else None
        return {
            "verb": verb, "folder": str(self.lake(lake)), "topic": topic, "bootstrap": self.bootstrap, "fault": fault,
            "extra": EXTRA, **more,
        }  # fmt: skip

    def run(self, turns: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """What a driver process told of its turns, as far as it came."""
        with self.start(turns) as process:
            try:
                out, _ = process.communicate(timeout=TURN_SECONDS + 30 * len(turns))
            finally:
                process.kill()
        return [json.loads(line) for line in out.splitlines() if line.startswith("{")]

    def start(self, turns: list[dict[str, Any]]) -> subprocess.Popen[str]:
        """A driver process, in a group of its own."""
        notes = self.folder / f"turns-{uuid.uuid4()}.json"
        notes.write_text(json.dumps(turns))
        paths = os.pathsep.join([str(HERE.parent / "stream"), str(HERE), str(ROOT / "src")])
        with (self.folder / "stderr.log").open("a") as log:
            return subprocess.Popen(
                [sys.executable, str(HERE / "driver.py"), str(notes)],
                cwd=self.folder, env={**os.environ, "PYTHONPATH": paths, "SPARK_DIST_CLASSPATH": str(self.jar)},
                stdout=subprocess.PIPE, stderr=log, text=True,
                start_new_session=True,
            )  # fmt: skip

    def table(self, lake: str) -> str:
        """Path of a lake's table."""
        return str(self.lake(lake) / "lake/events/readings")

    def audit(self, lake: str) -> tuple[str, ...]:
        """What the audit, record by record, finds wrong with a lake."""
        pipeline = load(self.lake(lake))
        found = audit_stream(pipeline, "readings", broker=Broker(self.bootstrap, {}), deeply=Deeply())
        return tuple(finding.text for finding in found.findings)

    def lake(self, name: str) -> Path:
        """Folder of a pipeline and its lake."""
        return self.folder / re.sub(r"\W+", "-", name)


class Kills:
    """An ingest that never ends, killed (driver, JVM and workers at once) at random instants while records come in."""

    def __init__(self, harness: Harness, *, topic: str, seed: int) -> None:
        self._harness, self._topic, self._chance = harness, harness.topic(topic), random.Random(seed)
        self.sent = RECORDS

    def kill_once(self) -> None:
        """Start it, send records, and kill it somewhere within the batches that read them."""
        process = self._harness.start([self._harness.turn(self._topic, self._topic, forever=True)])
        sign = Path(self._harness.table(self._topic)) / "_headrace" / "lease"
        before = sign.stat().st_mtime_ns if sign.exists() else 0
        end = time.monotonic() + TURN_SECONDS
        while not (sign.exists() and sign.stat().st_mtime_ns > before) and time.monotonic() < end:
            time.sleep(0.05)
        for _ in range(3):
            send_records(self._harness.bootstrap, self._topic, first=self.sent)
            self.sent += RECORDS
            time.sleep(self._chance.random() * 1.2)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=120)

    def judge(self) -> Findings:
        """Let it catch up, in batches of any size, and hold its table against the topic."""
        (last,) = self._harness.run([self._harness.turn(self._topic, self._topic, extra="")])
        assert last["error"] is None, last
        return judge(self._harness.bootstrap, topic=self._topic, table=self._harness.table(self._topic))
