"""`headrace check` on `protect`: each mistake at its line, with what to do; and what the table's columns become."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from headrace.spec import columns, examine

SCHEMA = {
    "id": "string", "at": "timestamp", "note": "string", "age": "integer", "amount": "double", "price": "decimal(9,2)",
    "born": "date", "lat": "double", "ip": "string", "zip": "string", "vip": "boolean",
    "billing": {"type": "struct", "fields": [{"name": "name", "type": "string"}, {"name": "age", "type": "long"}]},
    "contacts": {"type": "array", "containsNull": True, "elementType": {
        "type": "struct", "fields": [{"name": "email", "type": "string"}]}},
    "tags": {"type": "array", "containsNull": True, "elementType": "string"},
}  # fmt: skip


def write(folder: Path, *protect: str, extra: str = "") -> Path:
    """A pipeline whose first protected path stands in line 10."""
    schema = {"type": "struct", "fields": [{"name": name, "type": kind} for name, kind in SCHEMA.items()]}
    (folder / "s.json").write_text(json.dumps(schema))
    lines = "\n".join(f"      {line}" for line in protect)
    (folder / "pipeline.yaml").write_text(
        "pipeline: shop\nstreams:\n  sales:\n    topic: t\n    schema: s.json\n    event_time: at\n    known_at: at\n"
        f"    normalize: {{derive: {{dropped_too: age + 1}}}}\n    protect:\n{lines}\n{extra}"
    )
    return folder


def problems(folder: Path) -> list[str]:
    return [f"{problem.line}: {problem.message}" for problem in examine(folder, {})[1]]


WORDS = "drop, redact, public, or a mapping with one of pseudonym, mask, generalize, encrypt, redact"
MISTAKES = {
    "emial: drop": "no column 'emial'; expected one of ",
    "nota: drop": "no column 'nota'; did you mean 'note'?",
    "billing.nam: drop": "no column 'billing.nam'; did you mean 'billing.name'?",
    "contacts.email: drop": "no column 'contacts.email'; did you mean 'contacts[].email'?",
    "billing.: drop": "'billing.' is no path; write a column, or a path such as billing.name or contacts[].email",
    "at: {generalize: year}": "'at' orders the rows and can't be protected",
    "at: drop": "'at' orders the rows and can't be protected",
    "note: hide": f"streams.sales.protect.note: expected {WORDS}, got 'hide'",
    "note: {hide: 3}": f"streams.sales.protect.note: expected {WORDS}",
    "note: {mask: 9}": "streams.sales.protect.note.mask: expected a number of characters from 0 to 8, or domain, got 9",
    "note: {mask: all}": "streams.sales.protect.note.mask: expected a number of characters from 0 to 8, or domain, got 'all'",
    "note: {mask: 2, keep: 3}": "unknown key 'streams.sales.protect.note.keep'; expected one of mask",
    "note: {generalize: decade}": "streams.sales.protect.note.generalize: input should be 'year', 'month', 'network', 'band'",
    "age: {generalize: band}": "streams.sales.protect.age: band needs a width, such as {generalize: band, width: 10}",
    "born: {generalize: year, width: 2}": "streams.sales.protect.born: year takes no width; remove it",
    "zip: {generalize: prefix, width: 2.5}": (
        "streams.sales.protect.zip: the width of a prefix is a number of characters from 1 to 8"
    ),
    "lat: {generalize: grid, width: 91}": "streams.sales.protect.lat: the width of a grid is at most 90 degrees",
    "age: {generalize: band, width: 2.5}": "band: 'age' is a int, so its width must be a whole number",
    "note: {generalize: year}": "year: 'note' is a string, expected date or timestamp",
    "born: {generalize: network}": "network: 'born' is a date, expected string",
    "vip: {generalize: band, width: 2}": "band: 'vip' is a boolean, expected int, bigint, double or decimal",
    "age: {generalize: grid, width: 2}": "grid: 'age' is a int, expected double or decimal",
    "age: {mask: domain}": "mask: 'age' is a int, expected string",
    "born: redact": "redact: 'born' is a date, expected string",
    "note: {redact: [email, fone]}": "streams.sales.protect.note.redact.1: input should be 'email', 'phone', 'card', 'iban', 'ip'",
    "note: {redact: [phone], region: nl}": "streams.sales.protect.note.region: string should match pattern '^[A-Z]{2}$', got 'nl'",
    "note: {pseudonym: n, as: fone}": "streams.sales.protect.note.as: input should be 'exact', 'text', 'email', 'phone', 'card'",
    "note: {pseudonym: n, as: phone}": (
        "streams.sales.protect.note: phone needs a region, such as {pseudonym: phones, as: phone, region: US}"
    ),
    "note: {pseudonym: n, as: email, region: US}": "streams.sales.protect.note: email takes no region; remove it",
    "note: {pseudonym: n, gmail_rules: true}": "streams.sales.protect.note: exact takes no gmail_rules; remove it",
    "amount: {pseudonym: n, as: card}": "pseudonym: 'amount' is a double, expected string, int or bigint",
    "note: {encrypt: Notes}": "streams.sales.protect.note.encrypt: string should match pattern",
    "billing: {mask: 2}": (
        "mask: 'billing' is a struct; name the value inside it, such as 'billing.name', or drop or encrypt it"
    ),
    "tags: {pseudonym: tags}": "pseudonym: 'tags' is an array; name the value inside it, such as 'tags[]', or drop or encrypt it",
    "contacts[]: redact": "redact: 'contacts[]' is a struct; name the value inside it, such as 'contacts[].email'",
    "tags[]: drop": "the elements 'tags[]' can't be dropped from their array; drop 'tags'",
    "contacts[].email: drop": "nothing would be left of 'contacts'; drop it instead of 'contacts[].email'",
}  # fmt: skip


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_in_protect_is_found_at_its_line(tmp_path: Path, line: str) -> None:
    key, _, value = line.partition(": ")
    found = problems(write(tmp_path, "ip: drop", f'"{key}": {value}'))
    assert len(found) == 1, found
    assert found[0].startswith(f"11: {MISTAKES[line]}"), found


def test_two_protections_of_one_value_contradict_each_other(tmp_path: Path) -> None:
    assert problems(write(tmp_path, "billing: {encrypt: b}", "billing.name: {mask: 2}")) == [
        "11: 'billing.name' lies inside 'billing', which is protected as a whole; remove one of the two"
    ]
    assert problems(write(tmp_path, "billing: public", "billing.name: {mask: 2}")) == []


def test_a_domain_is_normalized_alike_everywhere(tmp_path: Path) -> None:
    assert problems(
        write(tmp_path, "note: {pseudonym: n, as: email}", "zip: {pseudonym: n, as: email, gmail_rules: true}")
    ) == [
        (
            "11: domain 'n' is 'email' for sales.note and 'email' with gmail_rules here, so equal values would "
            "differ; declare both alike, or another domain"
        )
    ]
    assert (
        problems(
            write(tmp_path, "note: {pseudonym: n, as: phone, region: NL}", "zip: {pseudonym: n, as: phone, region: US}")
        )
        == []
    )


def test_dropping_every_field_says_to_drop_the_whole(tmp_path: Path) -> None:
    found = problems(write(tmp_path, "billing.name: drop", "billing.age: drop"))
    assert found[0] == "10: nothing would be left of 'billing'; drop it instead of 'billing.name'"


FEATURES = """features:
  requests: sales
  id: {id}
  columns: {{old: age > 60, paid: {paid}}}
  last:
    - {{stream: sales, by: [{by}], within: 1d, columns: {{spent: {spent}}}}}
"""
_DROPPED = "is dropped under protect, so no table holds it; protect it otherwise, or leave it out here"
DROPPED = f"column 'amount' of stream 'sales' {_DROPPED}"
ENCRYPTED = "column 'zip' of stream 'sales' is encrypted, and equal values differ; protect it by a pseudonym, or leave it out here"
TEXT = "column 'note' of stream 'sales' is a text once protected, and a number is needed; choose another column"


@pytest.mark.parametrize(
    ("use", "problem"),
    [
        ({"by": "billing"}, "key column 'billing' of stream 'sales' is a struct; derive a single value from it in normalize"),
        ({"by": "tags"}, "key column 'tags' of stream 'sales' is an array; derive a single value from it in normalize"),
        ({"spent": "tags"}, ("column 'tags' is an array, and last needs a number; derive one from it in normalize, or take "
         "count, rate, distinct or since")),
        ({"by": "born"}, None),
        ({"spent": "vip"}, None),
    ],
)  # fmt: skip
def test_a_feature_over_a_column_of_parts(tmp_path: Path, use: dict[str, str], problem: str | None) -> None:
    features = FEATURES.format(**{"id": "id", "paid": "age > 5", "by": "ip", "spent": "price", **use})
    assert problems(write(tmp_path, "amount: drop", extra=features)) == ([f"16: {problem}"] if problem else [])


@pytest.mark.parametrize(
    ("use", "problem"),
    [
        ({"paid": "amount > 5"}, f"16: {DROPPED}"),
        ({"spent": "amount"}, f"18: {DROPPED}"),
        ({"id": "zip"}, f"15: {ENCRYPTED}"),
        ({"by": "zip"}, f"18: {ENCRYPTED}"),
        ({"by": "amount"}, f"18: {DROPPED}"),
        ({"spent": "note"}, f"18: {TEXT}"),
        ({"by": "note"}, None),
    ],
)  # fmt: skip
def test_a_feature_over_a_column_that_no_table_holds(tmp_path: Path, use: dict[str, str], problem: str | None) -> None:
    features = FEATURES.format(**{"id": "id", "paid": "age > 5", "by": "ip", "spent": "price", **use})
    protect = ("amount: drop", "zip: {encrypt: z}", "note: {pseudonym: n}")
    assert problems(write(tmp_path, *protect, extra=features)) == ([problem] if problem else [])


def test_what_the_table_holds_of_each_column(tmp_path: Path) -> None:
    protect = [
        "note: {mask: 2}", "age: {generalize: band, width: 10}", "price: {generalize: band, width: 5}", "born: {generalize: month}",
        "lat: {generalize: grid, width: 0.1}", "ip: {generalize: network}", "zip: {generalize: prefix, width: 3}",
        "vip: {encrypt: v}",
        "billing.name: {pseudonym: n}", '"contacts[].email": {encrypt: c}', '"tags[]": redact', "amount: drop",
        "dropped_too: {generalize: year}",
    ]  # fmt: skip
    loaded, found = examine(write(tmp_path, *protect), {})
    assert found == []
    assert loaded is not None
    stream = loaded.spec.streams["sales"]
    assert columns.stored(stream, loaded.schemas["sales"], {}) == {
        "id": "string", "at": "timestamp", "note": "string", "age": "int", "price": "double", "born": "string", "lat": "double",
        "ip": "string", "zip": "string", "vip": "binary", "billing": "struct<name:string,age:bigint>",
        "contacts": "array<struct<email:binary>>", "tags": "array<string>", "dropped_too": "int",
    }  # fmt: skip
