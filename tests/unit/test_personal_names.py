"""Which names of columns look personal, and that `headrace check` says so of those that nobody classified."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.located import read
from headrace.spec import examine, warn_of_unclassified
from headrace.spec.paths import parse_path
from headrace.spec.personal import meaning_of_name


@pytest.mark.parametrize(
    ("path", "kind", "meaning"),
    [
        ("email", "string", "an e-mail address"),
        ("customerEmail", "string", "an e-mail address"),
        ("contacts[].e_mail", "string", "an e-mail address"),
        ("billing.phone_number", "bigint", "a phone number"),
        ("Mobile", "string", "a phone number"),
        ("name", "string", "a person's name"),
        ("customers[].name", "string", "a person's name"),
        ("first_name", "string", "a person's name"),
        ("shippingAddress", "string", "a postal address"),
        ("addresses[]", "string", "a postal address"),
        ("zip", "string", "a postal address"),
        ("card_no", "decimal(19,0)", "a payment card"),
        ("IBAN", "string", "a bank account"),
        ("ssn", "int", "an identity number"),
        ("date_of_birth", "date", "a date of birth"),
        ("clientIPAddress", "string", "a network address"),
        ("home_lat", "double", "a place"),
        ("gender", "string", "a trait of a person"),
    ],
)
def test_a_name_that_looks_personal(path: str, kind: str, meaning: str) -> None:
    assert meaning_of_name(parse_path(path) or (), kind) == meaning


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("email_verified", "boolean"), ("email_count", "int"), ("email_sent_at", "timestamp"), ("product_name", "string"),
        ("merchant_id", "string"), ("ship", "string"), ("flat", "double"), ("discard", "string"), ("temp", "double"),
        ("company.name", "string"), ("amount", "double"), ("tailnum", "string"), ("panel", "string"), ("zipped", "string"),
    ],
)  # fmt: skip
def test_a_name_that_does_not(path: str, kind: str) -> None:
    assert meaning_of_name(parse_path(path) or (), kind) is None


CUSTOMERS = [
    ("id", "string"), ("at", "timestamp"), ("born", "date"), ("email", "string"), ("phone", "string"),
    ("billing", {"type": "struct", "fields": [{"name": n, "type": "string"} for n in ("name", "city")]}),
    ("contacts", {"type": "array", "containsNull": True,
                  "elementType": {"type": "struct", "fields": [{"name": "email", "type": "string"}]}}),
]  # fmt: skip


def write(folder: Path, stream: str, *, top: str = "") -> Path:
    schema = {"type": "struct", "fields": [{"name": name, "type": kind} for name, kind in CUSTOMERS]}
    (folder / "customers.json").write_text(json.dumps(schema))
    (folder / "pipeline.yaml").write_text(
        f"pipeline: shop\n{top}streams:\n  customers:\n    topic: t\n    schema: customers.json\n"
        f"    event_time: at\n    known_at: at\n{stream}"
    )
    return folder


def warnings(folder: Path) -> list[str]:
    loaded, problems = examine(folder, {})
    assert problems == []
    assert loaded is not None
    return [
        f"{warning.line}: {warning.message.removeprefix('warning: ')}"
        for warning in warn_of_unclassified(loaded, read(loaded.file))
    ]


def test_each_column_that_nobody_classified_is_named_once(tmp_path: Path) -> None:
    stream = "    protect:\n      born: {generalize: year}\n      billing: drop\n      phone: public\n"
    said = "protect it, or declare it public under protect"
    assert warnings(write(tmp_path, stream)) == [
        f"8: column 'email' of stream 'customers' looks like an e-mail address; {said}",
        f"8: column 'contacts[].email' of stream 'customers' looks like an e-mail address; {said}",
    ]


def test_what_is_classified_is_not_named(tmp_path: Path) -> None:
    protect = "{born: public, email: drop, phone: {mask: 2}, billing: public, 'contacts[].email': {pseudonym: people}}"
    assert warnings(write(tmp_path, f"    protect: {protect}\n")) == []


def test_a_column_that_is_made_from_a_protected_one_is_named(tmp_path: Path) -> None:
    protect = "{born: public, email: drop, phone: {mask: 2}, billing: public, contacts: drop}"
    stream = f"    protect: {protect}\n    normalize:\n      derive:\n        at_home: email like '%@home'\n"
    assert warnings(write(tmp_path, stream)) == [
        "11: column 'at_home' is made from 'email', which is protected; protect it, or declare it public under protect"
    ]


@pytest.mark.parametrize("top", [True, False])
def test_strict_says_what_will_happen(tmp_path: Path, top: bool) -> None:
    stream = "    protect: {born: public, phone: {mask: 2}, billing: public, contacts: drop}\n"
    folder = write(tmp_path, stream + ("" if top else "    privacy: strict\n"), top="privacy: strict\n" if top else "")
    (warning,) = warnings(folder)
    assert warning.endswith("; its records will be quarantined")


def test_the_command_prints_warnings_and_exits_with_0(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "headrace.cli", "check", str(write(tmp_path, "    protect: {billing: public}\n"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0
    first, *_, last = done.stdout.splitlines()
    assert first == (
        f"{tmp_path}/pipeline.yaml:8: warning: column 'born' of stream 'customers' looks like a date of birth; protect it, or "
        "declare it public under protect"
    )
    assert " right (pipeline shop, " in last
