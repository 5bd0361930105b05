"""A pipeline of customers for privacy tests: names, addresses and numbers, nested ones too, under every kind of protection."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from headrace.spec import Pipeline, load

TEXT = {"nullable": True, "metadata": {}}
CONTACT = [{"name": "email", "type": "string", **TEXT}, {"name": "ip", "type": "string", **TEXT}]
FIELDS: list[tuple[str, Any]] = [
    ("id", "string"), ("at", "timestamp"), ("name", "string"), ("email", "string"), ("phone", "string"), ("card", "string"),
    ("born", "date"), ("note", "string"), ("memo", "string"), ("city", "string"),
    ("home", {"type": "struct", "fields": [{"name": n, "type": t, **TEXT} for n, t in (("street", "string"), ("lat", "double"))]}),
    ("contacts", {"type": "array", "containsNull": True, "elementType": {"type": "struct", "fields": CONTACT}}),
]  # fmt: skip
PROTECT = {
    "name": {"encrypt": "names"}, "email": {"pseudonym": "email"}, "phone": {"mask": 2}, "card": {"pseudonym": "card"},
    "born": {"generalize": "year"}, "note": "redact", "home.street": {"encrypt": "streets"},
    "home.lat": {"generalize": "grid", "width": 0.5}, "contacts[].email": {"pseudonym": "email"},
    "contacts[].ip": {"generalize": "network"}, "city": "public",
}  # fmt: skip


def write_customers(
    folder: Path,
    *,
    bootstrap: str,
    topic: str,
    protect: dict[str, Any] | None = None,
    scored: bool = False,
    **stream: Any,
) -> Pipeline:
    """The pipeline in ``folder``, its lake and keys beside it. ``scored``: it has a model, whose requests are the customers and
    whose ids are their addresses; ``stream``: more keys of the stream ``customers``.
    """  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    fields = [{"name": name, "type": kind, **TEXT} for name, kind in FIELDS]
    (folder / "customers.json").write_text(json.dumps({"type": "struct", "fields": fields}))
    spec = {
        "topic": topic, "schema": "customers.json", "event_time": "at", "known_at": "at",
        "protect": PROTECT if protect is None else protect, **stream,
    }  # fmt: skip
    text: dict[str, Any] = {
        "pipeline": "shop", "kafka": {"bootstrap_servers": bootstrap}, "lake": {"path": str(folder / "lake")},
        "keys": {"ring": str(folder / "keys.json")}, "streams": {"customers": spec},
    }  # fmt: skip
    if scored:
        text["streams"]["outcomes"] = {**spec, "topic": f"{topic}-outcomes"}
        text["features"] = {"requests": "customers", "id": "email", "columns": {"old": "1"}}
        text["label"] = {"stream": "outcomes", "by": "email", "positive": "city = 'Delft'"}
        text["model"] = {"name": "shop-model"}
    (folder / "pipeline.yaml").write_text(json.dumps(text, indent=1))
    return load(folder, {})


def customer(number: int, **fields: Any) -> str:
    """A record of customer ``number``: what is personal in it holds ``canary<number>``, a long number, or 203.0.113."""
    return json.dumps({
        "id": f"c{number}", "at": f"2026-01-01T00:{number // 60 % 60:02d}:{number % 60:02d}Z", "name": f"Canary{number} Lovelace",
        "email": f"canary{number}@example.org", "phone": f"+3161{number:07d}", "card": f"41111111{number:08d}",
        "born": f"{1950 + number % 50}-07-19", "note": f"write to canary{number}@example.org", "memo": None, "city": "Delft",
        "home": {"street": f"Canarystraat {number}", "lat": 52.01}, "contacts": [{"email": f"canary{number}@example.org",
        "ip": f"203.0.113.{number % 250}"}], **fields,
    })  # fmt: skip
