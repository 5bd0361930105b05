"""The truth beside the topics: what was planted in each record, who the people are, when the world changes. Never sent.

``records-FIRST-LAST.parquet``, one row per record, in no order; ``people.jsonl``, one line per customer with every spelling
of their identifiers; ``simulation.json``: seed, drift schedule, what each kind of fault must lead to. docs/payments.md
explains every column.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import compute as pc

from headrace.errors import HeadraceError, StorageError
from headrace.feed.payments.customers import NEVER, Customers
from headrace.feed.payments.faults import Fault
from headrace.feed.payments.frame import Frame
from headrace.feed.payments.kinds import COPIES, NONE, ONCE, PATTERNS
from headrace.feed.payments.schedule import DAY_MS, EPOCH_MS, drift_schedule, regime_of
from headrace.feed.payments.topics import TOPICS, Topic

_compute: Any = pc
_INSTANT = pa.timestamp("ms", tz="UTC")
SCHEMA = pa.schema(
    [
        ("record", pa.string()),
        ("topic", pa.string()),
        ("id", pa.string()),
        ("person", pa.string()),
        ("at", _INSTANT),
        ("sent_at", _INSTANT),
        ("lateness_ms", pa.int64()),
        ("fault", pa.string()),
        ("verdict", pa.string()),
        ("reasons", pa.list_(pa.string())),
        ("duplicate", pa.string()),
        ("duplicate_of", pa.string()),
        ("fraud", pa.bool_()),
        ("pattern", pa.string()),
        ("regime", pa.string()),
        ("email", pa.string()),
        ("phone", pa.string()),
        ("card", pa.string()),
    ]
)


class Truth:
    """Writes the truth of one feed into a folder. A feed that was killed leaves a file that ends in ``.partial``."""

    def __init__(self, folder: Path, *, customers: Customers, seed: int, start: date, end: date) -> None:
        """Raises StorageError where the folder can't be written, HeadraceError where it tells of another simulation."""
        self._file = folder / f"records-{start}-{end}.parquet"
        self._partial = self._file.with_suffix(".partial")
        self._customers = customers
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _write_simulation(folder / "simulation.json", {"seed": seed, "customers": customers.count})
            _replace(folder / "people.jsonl", "".join(_line(customers, number) for number in range(customers.count)))
            self._writer = pq.ParquetWriter(self._partial, SCHEMA)
        except OSError as error:
            raise StorageError(
                f"the truth can't be written to {folder} ({error.strerror}); choose another folder with --truth"
            ) from None

    def add(self, topic: Topic, rows: Frame, *, records: list[str], ids: list[str], faults: np.ndarray) -> None:
        """Tell of these records. ``faults``: the kind of each one's fault, -1 for none."""
        if records:
            found = [topic.faults[kind] if kind >= 0 else None for kind in faults.tolist()]
            columns = {"record": records, "topic": [topic.name] * len(records), "id": ids}
            columns |= self._of_people(topic, rows, found) | _of_chance(rows, records) | _of_faults(found)
            self._writer.write_table(pa.table(columns, schema=SCHEMA))

    def close(self, *, until: datetime | None) -> None:
        """Give the file its name. ``until``: records of later instants were not sent after all."""
        self._writer.close()
        if until is not None:
            rows = pq.read_table(self._partial)
            pq.write_table(
                rows.filter(_compute.less_equal(rows.column("sent_at"), pa.scalar(until, _INSTANT))), self._partial
            )
        self._partial.replace(self._file)

    def _of_people(self, topic: Topic, rows: Frame, found: list[Fault | None]) -> dict[str, Any]:
        people = [self._customers.people[number] for number in rows["customer"].tolist()]
        home = (rows["at"] >= self._customers.moved[rows["customer"]]).astype(int).tolist()
        card = rows["card"].tolist() if "card" in rows else [0] * len(people)
        values = {
            "email": [one.email[0] for one in people],
            "phone": [one.phones[h][0] for one, h in zip(people, home, strict=True)],
            "card": [one.cards[c][0] for one, c in zip(people, card, strict=True)],
        }
        for place, fault in enumerate(found):
            for name in fault.hides if fault else ():
                values[name][place] = None
        absent = dict.fromkeys(set(values) - set(topic.identifies))
        return {"person": [one.id for one in people], **values} | {name: [None] * len(people) for name in absent}


def _of_chance(rows: Frame, records: list[str]) -> dict[str, Any]:
    """When it happened, whether it is fraud, and whether it was sent before."""
    days = ((rows["at"] - EPOCH_MS) // DAY_MS).tolist()
    names = {day: regime_of(day).name for day in set(days)}
    copies = rows["copy"].tolist() if "copy" in rows else [ONCE] * len(records)
    patterns = rows["pattern"].tolist() if "pattern" in rows else [None] * len(records)
    return {
        "at": pa.array(rows["at"], pa.int64()).cast(_INSTANT),
        "sent_at": pa.array(rows["sent"], pa.int64()).cast(_INSTANT),
        "lateness_ms": rows["sent"] - rows["at"],
        "duplicate": [COPIES[copy] for copy in copies],
        "duplicate_of": [
            None if copy == ONCE else name.removesuffix("-2") for name, copy in zip(records, copies, strict=True)
        ],
        "fraud": [None if pattern is None else pattern != NONE for pattern in patterns],
        "pattern": [None if pattern is None else PATTERNS[pattern] for pattern in patterns],
        "regime": [names[day] for day in days],
    }


def _of_faults(found: list[Fault | None]) -> dict[str, Any]:
    return {
        "fault": [fault and fault.name for fault in found],
        "verdict": [fault.verdict if fault else "accepted" for fault in found],
        "reasons": [fault.reasons if fault else () for fault in found],
    }


def _write_simulation(file: Path, settings: dict[str, int]) -> None:
    """The settings, the drift schedule and the faults; refused where the folder's are another simulation's."""
    if file.exists():
        there = json.loads(file.read_text(encoding="utf-8"))
        other = {name: there.get(name) for name in settings}
        if other != settings:
            raise HeadraceError(
                f"{file.parent} holds the truth of another simulation ({other}, asked for {settings}); give the same --seed and "
                "--customers, or another folder with --truth"
            )
    faults = {topic.name: {fault.name: _described(fault) for fault in topic.faults} for topic in TOPICS}
    content = {**settings, "regimes": drift_schedule(), "faults": faults}
    _replace(file, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def _described(fault: Fault) -> dict[str, Any]:
    return {"verdict": fault.verdict, "reasons": fault.reasons}


def _line(customers: Customers, number: int) -> str:
    """A customer as a line of JSON; spellings have the normal form first."""
    one, moved = customers.people[number], int(customers.moved[number])
    content = {
        "person": one.id, "name": one.name, "script": one.script, "birth_date": one.birth_date.isoformat(), "email": one.email,
        "phones": one.phones, "cards": one.cards, "iban": one.iban, "addresses": [vars(home) for home in one.addresses],
        "joined_at": _text(int(customers.joined[number])), "moved_at": None if moved == NEVER else _text(moved),
    }  # fmt: skip
    return json.dumps(content, ensure_ascii=False) + "\n"


def _text(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, tz=UTC).isoformat(timespec="milliseconds")


def _replace(file: Path, text: str) -> None:
    temporary = file.with_suffix(".tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(file)
