"""A shop whose lake holds a person in every way there is: accepted, quarantined, a copy, in old files, under old keys."""

from __future__ import annotations

import hmac
import json
import shutil
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from customers import PROTECT, customer, write_customers
from deltalake import DeltaTable
from leaks import contents
from pipelines import make_topic, send
from typer.testing import CliRunner

from headrace.audit import audit_stream
from headrace.audit.account import Deeply
from headrace.cli import app
from headrace.connections import Broker, Tracking
from headrace.erasure.run import Eraser
from headrace.ingest.run import start_ingest
from headrace.privacy.keys import ERASURES, ensure_keys, needed_keys, open_ring
from headrace.privacy.rotation import rotate
from headrace.spec import Pipeline, load

EMAIL, CARD = "pseudonym/email", "pseudonym/card"
SPELLED = {**PROTECT, "email": {"pseudonym": "email", "as": "email"}, "card": {"pseudonym": "card", "as": "card"},
           "contacts[].email": {"pseudonym": "email", "as": "email"}}  # fmt: skip
"""What names a person has one pseudonym in all its spellings."""
SUBJECT = {"email": "email", "card": "card"}
OTHERS = [0, 1, 2, 4]
HERS = 3
"""The customer who is erased."""
FIRST = [
    *(customer(n) for n in (0, 1, 2, HERS, 4)),
    customer(HERS),  # 5: a copy
    customer(HERS, id="x")[:-9],  # 6: breaks off
    customer(4, id="y")[:-9],  # 7: another one's
    customer(HERS, id="z", at="yesterday"),  # 8: quarantined, and her columns are there
]
SECOND = [
    customer(HERS, id="c33", email=" Canary3@EXAMPLE.org "),  # 9: another spelling, under new keys
    customer(5),
    json.dumps(
        {"id": "w", "at": 5, "email": None, "note": "canary3@example.org asks"}
    ),  # 11: names nobody, mentions her
]
LATER = [customer(HERS, email=None, contacts=[], note=None), customer(0)]
"""Of the second stream: what links to her is the card."""
SHE = f"CANARY{HERS}@example.org"
GONE = {"customers": {3, 5, 6, 8, 9, 11}, "outcomes": {0}}


@dataclass
class Shop:
    """The pipeline's folder with its lake and keys."""

    folder: Path
    bootstrap: str
    needles: list[bytes] = field(default_factory=list)
    """What only rows of hers hold, byte for byte."""

    @property
    def pipeline(self) -> Pipeline:
        return load(self.folder)

    def copy(self, to: Path) -> Shop:
        shutil.copytree(self.folder, to)
        text = (to / "pipeline.yaml").read_text()
        (to / "pipeline.yaml").write_text(text.replace(str(self.folder), str(to)))
        return Shop(to, self.bootstrap, list(self.needles))

    @property
    def lake(self) -> Path:
        return self.folder / "lake"

    def table(self, stream: str = "customers") -> Path:
        return self.lake / "events" / stream

    def audited(self, stream: str = "customers", *, deep: bool = True):
        """What an audit counts, which adds up."""
        deeply = Deeply(ring=open_ring(self.pipeline.spec.keys.ring)) if deep else None
        account = audit_stream(self.pipeline, stream, broker=Broker(self.bootstrap, {}), deeply=deeply)
        assert account.adds_up, account.findings
        return account

    def rows(self, stream: str = "customers", version: int | None = None) -> dict[int, dict[str, Any]]:
        rows = DeltaTable(str(self.table(stream)), version=version).to_pyarrow_table().to_pylist()
        assert len({row["kafka_offset"] for row in rows}) == len(rows)
        return {row["kafka_offset"]: row for row in rows}

    def secret(self, name: str, version: int) -> bytes:
        ring = json.loads(Path(self.pipeline.spec.keys.ring).read_text())
        return bytes.fromhex(ring["keys"][name][str(version)]["key"])

    def pseudonyms(self, name: str, value: str, versions: int) -> list[str]:
        """Of a value, under each version of a chain, by hand."""
        found = list[str]()
        for version in range(1, versions + 1):
            value = f"v{version}." + hmac.new(self.secret(name, version), value.encode(), "sha256").hexdigest()[:32]
            found.append(value)
        return found

    def ingest(self, spark, *, wait: bool = True, **options: Any):
        job = start_ingest(
            spark, self.pipeline, broker=Broker(self.bootstrap, {}), until_caught_up=wait, **options
        )  # fmt: skip
        if wait:
            job.wait()
        return job

    def eraser(self, spark, **options: Any) -> Eraser:
        pipeline = self.pipeline
        ensure_keys(pipeline.spec.keys.ring, [ERASURES])
        return Eraser(
            spark=spark, pipeline=pipeline, ring=open_ring(pipeline.spec.keys.ring), broker=Broker(self.bootstrap, {}),
            **{"tracking": _no_tracking, "stop": threading.Event(), **options},
        )  # fmt: skip

    def remember(self) -> None:
        """Take in what her rows hold now, and is in no other row."""
        for stream, offsets in GONE.items():
            if self.table(stream).exists():
                for offset, row in self.rows(stream).items():
                    if offset in offsets:
                        self.needles += [row[name] for name in ("payload", "name") if row[name]]
                        self.needles += [row[name].encode() for name in ("email", "card") if row[name]]

    def leaks(self) -> set[str]:
        """Files of the lake that hold something of hers."""
        return {
            str(file.relative_to(self.lake)) for file in self.lake.rglob("*") if file.is_file()
            for data in contents(file) for needle in self.needles if needle in data
        }  # fmt: skip


def headrace(*arguments: str) -> str:
    """What a command prints. It shares this process's Spark; raises what the command ends with."""
    done = CliRunner().invoke(app, arguments, standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return done.stdout


def make_shop(spark, folder: Path, *, bootstrap: str, topic: str) -> Shop:
    """The first records, a rotation of all keys, then the others."""
    for name in (topic, f"{topic}-outcomes"):
        make_topic(bootstrap, name, partitions=1)
    pipeline = write_customers(
        folder, bootstrap=bootstrap, topic=topic, protect=SPELLED, subject=SUBJECT, scored=True,
        duplicates={"by": ["id"], "within": "7d"},
    )  # fmt: skip
    shop = Shop(folder, bootstrap)
    send(bootstrap, topic, FIRST)
    shop.ingest(spark)
    shop.remember()
    rotate(pipeline.spec.keys.ring, needed_keys(pipeline), fresh=False)
    send(bootstrap, topic, SECOND)
    send(bootstrap, f"{topic}-outcomes", LATER)
    shop.ingest(spark)
    shop.remember()
    return shop


def _no_tracking() -> Tracking:
    raise AssertionError("nothing was trained")
