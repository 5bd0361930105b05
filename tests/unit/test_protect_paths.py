"""Paths to nested fields, and the types along them."""

from __future__ import annotations

import pytest

from headrace.spec.paths import below, kind_at, leaves, parse_path, with_kind, written

COLUMNS = {
    "id": "string",
    "billing": "struct<name:string,zip:struct<code:string,place:decimal(5,2)>>",
    "contacts": "array<struct<email:string,phones:array<string>>>",
    "grid": "array<array<int>>",
    "made": "unknown",
}


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("id", ("id",)),
        ("billing.name", ("billing", "name")),
        ("contacts[].email", ("contacts", "[]", "email")),
        ("contacts[].phones[]", ("contacts", "[]", "phones", "[]")),
        ("grid[][]", ("grid", "[]", "[]")),
    ],
)
def test_a_path_is_read_and_written_back(text: str, path: tuple[str, ...]) -> None:
    assert parse_path(text) == path
    assert written(path) == text


@pytest.mark.parametrize(
    "text", ["", ".", "a.", ".a", "a..b", "a[0]", "a[", "[]", "a b", "a.*", "a[]b", "`a`", "1a", "é"]
)
def test_what_is_no_path_is_none(text: str) -> None:
    assert parse_path(text) is None


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("id", "string"),
        ("billing", COLUMNS["billing"]),
        ("billing.zip.place", "decimal(5,2)"),
        ("contacts[].phones[]", "string"),
        ("contacts[]", "struct<email:string,phones:array<string>>"),
        ("grid[][]", "int"),
        ("made.any", "unknown"),
        ("absent", None),
        ("billing.absent", None),
        ("billing[]", None),
        ("contacts.email", None),
        ("id.x", None),
    ],
)
def test_the_type_at_a_path(text: str, kind: str | None) -> None:
    path = parse_path(text)
    assert path is not None
    assert kind_at(COLUMNS, path) == kind


def test_leaves_are_the_paths_that_end_in_a_value() -> None:
    assert {written(path): kind for path, kind in leaves(COLUMNS).items()} == {
        "id": "string", "billing.name": "string", "billing.zip.code": "string", "billing.zip.place": "decimal(5,2)",
        "contacts[].email": "string", "contacts[].phones[]": "string", "grid[][]": "int", "made": "unknown",
    }  # fmt: skip


def test_a_type_changes_at_a_path_only() -> None:
    assert (
        with_kind(COLUMNS["billing"], ("zip", "place"), "int")
        == "struct<name:string,zip:struct<code:string,place:int>>"
    )
    assert with_kind(COLUMNS["billing"], ("name",), None) == "struct<zip:struct<code:string,place:decimal(5,2)>>"
    assert with_kind(COLUMNS["contacts"], ("[]", "phones", "[]"), "binary") == (
        "array<struct<email:string,phones:array<binary>>>"
    )


def test_what_lies_inside_another_path() -> None:
    others = [("billing", "zip"), ("id",)]
    assert below(("billing", "zip", "code"), others) == ("billing", "zip")
    assert below(("billing", "zip"), others) is None
    assert below(("billing",), others) is None
