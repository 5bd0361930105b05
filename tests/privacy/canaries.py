"""Unique values that stand for a person's data, one for each place where it may come, and a pipeline that takes them all."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from pipelines import make_topic

from headrace.feed import Record, produce

START = datetime(2026, 1, 1, tzinfo=UTC)
HISTORY, ASKED_LATER = 540, 6
EARLY, CUT = START + timedelta(minutes=HISTORY + 10), START + timedelta(minutes=HISTORY + 30)
"""As of when the two trainings are; at the first, ten outcomes are not known yet."""
PREFIX = "canaries"
TEXT = {"nullable": True, "metadata": {}}
ASKED: list[tuple[str, Any]] = [
    ("id", "string"), ("at", "timestamp"), ("age", "integer"), ("name", "string"), ("email", "string"), ("phone", "string"),
    ("card", "string"), ("note", "string"), ("secret", "string"),
    ("home", {"type": "struct", "fields": [{"name": n, "type": "string", **TEXT} for n in ("street", "postcode")]}),
    ("contacts", {"type": "array", "containsNull": True, "elementType": {"type": "struct", "fields": [
        {"name": n, "type": "string", **TEXT} for n in ("email", "phone")]}}),
]  # fmt: skip
PROTECT = {
    "name": {"encrypt": "names"}, "email": {"pseudonym": "email", "as": "email"}, "phone": {"mask": 2},
    "card": {"pseudonym": "card", "as": "card"}, "secret": "drop",
    "note": {"redact": ["email", "phone", "card"], "region": "NL"}, "home.street": {"encrypt": "streets"},
    "home.postcode": {"generalize": "prefix", "width": 2}, "contacts[].email": {"mask": "domain"},
    "contacts[].phone": {"pseudonym": "phone", "as": "phone", "region": "NL"},
}  # fmt: skip
RULE = {
    "type": "expect_column_values_to_match_regex", "kwargs": {"column": "card", "regex": "^[0-9 ]{12,25}$"},
    "severity": "critical", "meta": {"rule_id": "card_is_digits"},
}  # fmt: skip


class Canaries:
    """Makes the values, each for one place only, and knows what it made."""

    def __init__(self) -> None:
        self.made: dict[str, str] = {}
        """Value to the place that it was made for."""

    def text(self, place: str) -> str:
        """A word that is nowhere else."""
        return self._keep("Quoxel" + self._letters(place, 12), place)

    def email(self, place: str) -> str:
        return self._keep("quoxel" + self._letters(place, 10).lower() + "@example.org", place)

    def phone(self, place: str) -> str:
        """A mobile number that is valid in the Netherlands, without the country code: others are not looked for in a text."""
        number = "61" + self._digits(place, 7)
        self._keep(f"31{number}", place)
        return self._keep(f"0{number}", place)

    def card(self, place: str) -> str:
        """Sixteen digits that end as payment cards do, in groups of four."""
        digits = "4539" + self._digits(place, 11)
        doubled = [int(digit) * (2 if at % 2 == 0 else 1) for at, digit in enumerate(digits)]
        digits += str(-sum(value - 9 if value > 9 else value for value in doubled) % 10)
        self._keep(digits, place)
        return self._keep(" ".join(digits[at : at + 4] for at in range(0, 16, 4)), place)

    def spellings(self) -> set[str]:
        """All that was made, in capitals and small letters too."""
        return {spelling for value in self.made for spelling in (value, value.lower(), value.upper())}

    def _keep(self, value: str, place: str) -> str:
        self.made[value] = place
        return value

    @staticmethod
    def _letters(place: str, count: int) -> str:
        number = int.from_bytes(hashlib.sha256(f"letters {place}".encode()).digest())
        return "".join(chr(ord("a") + number // 26**at % 26) for at in range(count))

    @staticmethod
    def _digits(place: str, count: int) -> str:
        return str(int.from_bytes(hashlib.sha256(f"digits {place}".encode()).digest()))[-count:]


def write_pipeline(folder: Path, *, bootstrap: str) -> None:
    """The pipeline's files in ``folder``; its lake and keys will lie beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    paid = [("ask", "string"), ("at", "timestamp"), ("amount", "double")]
    for name, fields in (("asked", ASKED), ("paid", paid)):
        schema = {"type": "struct", "fields": [{"name": field, "type": kind, **TEXT} for field, kind in fields]}
        (folder / f"{name}.json").write_text(json.dumps(schema))
    write_suite(folder, [RULE])
    streams = {
        name: {"topic": f"{PREFIX}.{name}", "schema": f"{name}.json", "event_time": "at", "known_at": "at"}
        for name in ("asked", "paid")
    }
    streams["asked"] |= {
        "protect": PROTECT, "expectations": "suite.json", "unknown_fields": "quarantine", "max_record_bytes": 4096,
        "subject": {"email": "email"}, "duplicates": {"by": ["id"], "within": "1d"},
    }  # fmt: skip
    text = {
        "pipeline": PREFIX, "kafka": {"bootstrap_servers": bootstrap}, "lake": {"path": str(folder / "lake")},
        "keys": {"ring": str(folder / "keys.json")}, "mlflow": {"experiment": PREFIX}, "streams": streams,
        "features": {"requests": "asked", "id": "id", "columns": {"age": "age", "minute": "minute(at)"}},
        "label": {"stream": "paid", "by": "ask", "positive": "amount > 10"},
        "model": {
            "name": PREFIX, "rounds": 10, "gate": {"minimum_rows": 20, "tolerance": 1.0}, "continuous": {"min_rows": 5},
            "search": {"folds": 2},
        },
        "parameters": {
            "statistics": True, "class_weights": True, "monotonic": {"age": "increasing"}, "hyperparameters": True,
            "vocabularies": {"cards": {"stream": "asked", "column": "card", "minimum_count": 1}},
        },
        "scoring": {"topic": f"{PREFIX}.answers"},
    }  # fmt: skip
    (folder / "pipeline.yaml").write_text(json.dumps(text, indent=1))


def write_suite(folder: Path, rules: list[dict[str, Any]]) -> None:
    (folder / "suite.json").write_text(json.dumps({"name": "asked", "expectations": rules}))


def send_all(bootstrap: str, canaries: Canaries) -> None:
    """History with its outcomes, what can't be read or breaks a rule, and requests that nobody has paid for yet."""
    for name in ("asked", "paid"):
        make_topic(bootstrap, f"{PREFIX}.{name}", partitions=1)
    records = [*_history(canaries), *_bad(canaries), *_later(canaries)]
    produce(sorted(records, key=lambda record: record.sent_at), size=len(records), bootstrap=bootstrap)


def send_more(bootstrap: str, canaries: Canaries) -> None:
    """A few good records more, which a turn that fails is to read."""
    records = [_record(canaries, "asked", _asked(canaries, n), at=-n) for n in range(1, 6)]
    produce(records, size=len(records), bootstrap=bootstrap)


def her_email() -> str:
    """Of the person who is erased in the end."""
    return Canaries().email("email of 7")


def _asked(canaries: Canaries, number: int) -> dict[str, Any]:
    def of(what: str) -> str:
        return f"{what} of {number}"

    call, write, pay = (
        canaries.phone(of("noted phone")),
        canaries.email(of("noted email")),
        canaries.card(of("noted card")),
    )
    return {
        "id": f"a{number}", "at": _at(number), "age": random.Random(f"age {number}").randrange(18, 80),
        "name": canaries.text(of("name")),
        "email": canaries.email(of("email")), "phone": canaries.phone(of("phone")), "card": canaries.card(of("card")),
        "note": f"call {call} or write to {write}, card {pay}",
        "secret": canaries.text(of("secret")),
        "home": {"street": canaries.text(of("street")), "postcode": "10" + canaries.text(of("postcode"))},
        "contacts": [{"email": canaries.email(of("contact")), "phone": canaries.phone(of("contact"))}],
    }  # fmt: skip


def _history(canaries: Canaries) -> Iterator[Record]:
    for number in range(HISTORY):
        asked = _asked(canaries, number)
        yield _record(canaries, "asked", asked, at=number)
        much = random.Random(f"paid {number}").random() < (0.8 if asked["age"] > 45 else 0.2)
        paid = {"ask": f"a{number}", "at": _at(number + 20), "amount": 20.0 if much else 2.0}
        yield _record(canaries, "paid", paid, at=number + 20)


def _later(canaries: Canaries) -> Iterator[Record]:
    for number in range(HISTORY + 40, HISTORY + 40 + ASKED_LATER):
        yield _record(canaries, "asked", _asked(canaries, number), at=number)


def _bad(canaries: Canaries) -> Iterator[Record]:
    """Every record here is quarantined, by the name of the place where its canaries stand."""
    good, number = {"at": _at(0), "email": None}, count()

    def place(field: str, value: object) -> bytes:
        return json.dumps({**good, "id": f"bad {next(number)}", field: value}).encode()

    def words(name: str) -> str:
        return canaries.text(f"{name}: text") + " " + canaries.email(f"{name}: email")

    deep = "[" * 1500 + json.dumps(words("too deep")) + "]" * 1500
    bodies: dict[str, bytes | None] = {
        "cut off": place("name", words("cut off"))[:-2],
        "not UTF-8": place("name", words("not UTF-8")).replace(b"bad", b"b\xff\xfed"),
        "control character": place("name", words("control character")).replace(b"bad", b"b\x00d"),
        "byte order mark": b"\xef\xbb\xbf" + place("name", words("byte order mark")),
        "half a surrogate": place("name", words("half a surrogate") + "#").replace(b"#", rb"\ud800"),
        "trailing data": place("name", "x") + words("trailing data").encode(),
        "no object": json.dumps([words("no object")]).encode(),
        "no JSON": words("no JSON").encode(),
        "wrong type": place("age", words("wrong type")),
        "no time": place("at", words("no time")),
        "an object for a text": place("name", {words("an object for a text"): words("an object, inside")}),
        "a list for a struct": place("home", [words("a list for a struct")]),
        "field's name": place(words("field's name"), 1),
        "nested field's name": place("home", {words("nested field's name"): 1}),
        "unknown field": place("nickname", words("unknown field")),
        "twice": place("name", "x")[:-1] + b', "name": ' + json.dumps(words("twice")).encode() + b"}",
        "too large": place("name", words("too large") * 200),
        "too deep": (json.dumps(good)[:-1] + f', "name": {deep}}}').encode(),
        "a rule": place("card", words("a rule")),
        "a rule, and more": place("card", canaries.text("a rule, beside others"))[:-1]
        + (', "name": ' + json.dumps(words("beside what breaks a rule")) + "}").encode(),
        "tombstone": None,
    }
    for at, (name, body) in enumerate(bodies.items()):
        headers = [(canaries.text(f"header's name, {name}"), words(f"header, {name}").encode())]
        yield Record(f"{PREFIX}.asked", words(f"key, {name}").encode(), body, _ms(at), headers)


def _record(canaries: Canaries, topic: str, value: dict[str, Any], *, at: int) -> Record:
    number = value.get("id", value.get("ask"))
    headers = [
        (canaries.text(f"header's name of {topic} {number}"), canaries.text(f"header of {topic} {number}").encode())
    ]
    key = canaries.email(f"key of {topic} {number}")
    return Record(f"{PREFIX}.{topic}", key.encode(), json.dumps(value).encode(), _ms(at), headers)


def _at(minute: int) -> str:
    return (START + timedelta(minutes=minute)).isoformat().replace("+00:00", "Z")


def _ms(minute: int) -> int:
    return int((START + timedelta(minutes=minute)).timestamp() * 1000)
