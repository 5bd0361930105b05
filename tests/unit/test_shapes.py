"""Shapes, and what they tell of a stream: unknown, missing, renamed fields and changed types. Expected values by hand."""

from __future__ import annotations

import json

import pytest
from pyspark.sql.types import StructType

from headrace.ingest.drift_rules import DriftRules, Finding, Seen, Track
from headrace.ingest.new_fields import judge
from headrace.spec.stream import Stream
from headrace.stages.fields import shown, shown_path
from headrace.stages.shape import Shape, read_shape


def field(name: str, kind: object) -> dict[str, object]:
    return {"name": name, "type": kind, "nullable": True, "metadata": {}}


def struct(*fields: dict[str, object]) -> dict[str, object]:
    return {"type": "struct", "fields": list(fields)}


SCHEMA = StructType.fromJson(
    struct(
        field("id", "string"), field("load", "double"), field("n", "long"), field("at", "timestamp"),
        field("address", struct(field("city", "string"), field("zip", "integer"))),
        field("items", {"type": "array", "elementType": struct(field("sku", "string")), "containsNull": True}),
    )
)  # fmt: skip
GOOD = "OBJECT<at: STRING, id: STRING, load: DECIMAL(3,1), n: BIGINT>"


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("OBJECT<>", []),
        ("BIGINT", []),
        ("OBJECT<a: BIGINT, `b c`: ARRAY<OBJECT<x: DECIMAL(2,1), y: VOID>>>", ["a", "b c", "b c/[]", "b c/[]/x", "b c/[]/y"]),
        ("OBJECT<```t```: BOOLEAN, `a.b`: OBJECT<`c,d: BIGINT>`: BIGINT>, `u\n\"v`: BIGINT>",
         ["`t`", "a.b", "a.b/c,d: BIGINT>", "u\n\"v"]),
        ("OBJECT<``: STRING>", [""]),
    ],
)  # fmt: skip
def test_a_shape_is_read_as_spark_writes_it(text: str, paths: list[str]) -> None:
    assert ["/".join(path) for path, _ in read_shape(text).walk()] == paths


@pytest.mark.parametrize(
    "text", ["", "OBJECT", "OBJECT<", "OBJECT<a>", "OBJECT<a: BIGINT", "ARRAY<>", "BIGINT BIGINT", "OBJECT<a; b>"]
)
def test_what_is_no_shape_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="shape"):
        read_shape(text)


def test_names_that_come_from_data_are_shown_only_if_they_are_plain() -> None:
    assert [shown(name) for name in ("load", "_x1", "A" * 64)] == ["load", "_x1", "A" * 64]
    for name in ("ada@example.org", "A" * 65, "", "x\n", "a.b", "é", "1a", "drop table", "\ud800"):
        assert shown(name).startswith("#")
        assert len(shown(name)) == 9
    assert shown("ada@example.org") == "#cfe00dde"  # printf ada@example.org | sha256sum
    assert shown_path(("items", "[]", "a b", "[]", "x")) == f"items[].{shown('a b')}[].x"


def observe(rules: DriftRules, *batch: tuple[str, int], unread: str = "") -> list[Finding]:
    seen = [Seen(read_shape(text), frozenset(filter(None, [unread])), records) for text, records in batch]
    return rules.observe(seen, SCHEMA, fate="it is left out")


def kinds(found: list[Finding]) -> list[tuple[str, str]]:
    return sorted((one.kind, one.field) for one in found)


def test_records_as_declared_tell_nothing() -> None:
    for text in (
        GOOD,
        "OBJECT<id: BIGINT, load: DOUBLE, n: VOID>",
        "OBJECT<address: OBJECT<city: STRING>, items: ARRAY<VOID>>",
    ):
        assert observe(DriftRules(), (text, 500)) == []


def test_a_field_that_the_schema_lacks_is_told_at_any_depth_but_not_below_another() -> None:
    text = (
        "OBJECT<address: OBJECT<city: STRING, floor: BIGINT>, extra: OBJECT<deep: BIGINT>, gone: VOID, "
        "items: ARRAY<OBJECT<colour: STRING, sku: STRING>>, `ada@example.org`: BOOLEAN>"
    )
    found = observe(DriftRules(), (text, 1))
    assert kinds(found) == [
        ("unknown", "#cfe00dde"), ("unknown", "address.floor"), ("unknown", "extra"), ("unknown", "items[].colour"),
    ]  # fmt: skip
    assert {one.text for one in found if one.field == "address.floor"} == {
        "is not in the schema (a whole number); it is left out"
    }


def test_a_field_is_missing_once_thirty_values_were_due() -> None:
    without = GOOD.replace("load: DECIMAL(3,1), ", "")
    always = DriftRules()
    observe(always, (GOOD, 100))
    assert observe(always, (without, 29)) == []
    (found,) = observe(always, (without, 1))
    assert (found.kind, found.field) == ("missing", "load")
    assert found.text == "has had no value in the last 30 records looked at; 100% had one before"
    rare = DriftRules()
    observe(rare, (GOOD, 10), (without, 90))
    assert observe(rare, (without, 299)) == []
    assert kinds(observe(rare, (without, 1))) == [("missing", "load")]


def test_a_field_that_never_had_a_value_or_whose_struct_is_absent_is_not_missing() -> None:
    rules = DriftRules()
    observe(rules, ("OBJECT<address: OBJECT<city: STRING, zip: BIGINT>, id: STRING>", 50))
    found = observe(rules, ("OBJECT<id: STRING>", 5000))
    assert kinds(found) == [("missing", "address")]
    found = observe(rules, ("OBJECT<address: OBJECT<city: STRING>, id: STRING>", 30))
    assert kinds(found) == [("missing", "address.zip")]


@pytest.mark.parametrize(
    ("new", "told"),
    [
        ("load_kw: DECIMAL(3,1)", "load_kw"),  # alike
        ("workload: BIGINT, other: DOUBLE", "workload"),  # one of two is alike
        ("throughput: DOUBLE", "throughput"),  # the only one of like type
        ("throughput: DOUBLE, other: DOUBLE", None),
        ("load_text: OBJECT<a: BIGINT>", None),
    ],
)
def test_a_field_that_goes_as_another_comes_was_renamed(new: str, told: str | None) -> None:
    rules = DriftRules()
    observe(rules, (GOOD, 100))
    renamed = GOOD.replace("load: DECIMAL(3,1)", new)
    observe(rules, (GOOD, 60), (renamed, 40))  # it happens within a batch
    found = [one for one in observe(rules, (renamed, 60)) if one.field == "load"]
    assert [one.kind for one in found] == ["renamed" if told else "missing"]
    if told:
        assert found[0].text.endswith(f"; since then there is {told!r}: was it renamed?")


def test_a_field_that_was_there_before_the_other_went_is_no_new_name() -> None:
    rules = DriftRules()
    both = GOOD.replace("load", "load_kw: DOUBLE, load")
    observe(rules, (both, 100))
    observe(rules, (both, 100))
    found = observe(rules, (GOOD.replace("load", "load_kw"), 100))
    assert kinds(found) == [("missing", "load"), ("unknown", "load_kw")]


def test_a_type_has_changed_when_more_than_a_twentieth_is_of_another() -> None:
    text = GOOD.replace("n: BIGINT", "n: STRING")
    rare = DriftRules()
    for _ in range(50):
        assert observe(rare, (GOOD, 96), (text, 4)) == []
    often = DriftRules()
    assert observe(often, (GOOD, 85), (text, 15)) == []
    (found,) = observe(often, (GOOD, 85), (text, 15))
    assert (found.kind, found.field) == ("type", "n")
    assert found.text == "often holds a text, and the schema says long; such records are quarantined"
    assert observe(often, (GOOD, 1)) == []  # a batch without such values tells nothing


def test_a_changed_type_is_told_where_it_is_nested_and_where_only_its_form_has_changed() -> None:
    nested = "OBJECT<address: OBJECT<city: OBJECT<name: STRING>, zip: BIGINT>>"
    assert kinds(observe(DriftRules(), (nested, 40), unread="address")) == [("type", "address.city")]
    (found,) = observe(DriftRules(), (GOOD, 40), unread="at")
    assert (found.kind, found.field) == ("type", "at")
    assert found.text.startswith("often holds a text of another form, and the schema says timestamp")


def test_the_counts_survive_being_written_down() -> None:
    rules = DriftRules()
    observe(rules, (GOOD, 100))
    observe(rules, (GOOD.replace("load", "load_kw"), 20))
    told = json.loads(json.dumps({name: list(vars(track).values()) for name, track in rules.tracks.items()}))
    again = DriftRules({name: Track(*counts) for name, counts in told.items()})
    found = observe(again, (GOOD.replace("load", "load_kw"), 10))
    assert kinds(found) == [("renamed", "load"), ("unknown", "load_kw")]


def test_a_flood_of_names_is_bounded() -> None:
    rules = DriftRules()
    for number in range(20):
        names = ", ".join(f"x{number}_{n}: BIGINT" for n in range(100))
        assert len(observe(rules, (f"OBJECT<{names}>", 1))) == 50
    assert len(rules.tracks) <= 8 + 1 + 50


STREAM = Stream.model_validate(
    {
        "topic": "t", "schema": "x", "event_time": "at", "known_at": "at", "unknown_fields": "evolve", "max_new_columns": 9,
        "normalize": {"rename": {"n": "number"}}, "protect": {"items": "drop"},
    }
)  # fmt: skip
TABLE = StructType.fromJson(
    struct(*(field(name, "string") for name in ("id", "load", "number", "at", "address", "looked_up", "event_time")))
)


def judged(*fields: str, added: int = 0):
    found = judge(
        read_shape(f"OBJECT<{', '.join(fields)}>"), SCHEMA, stream=STREAM, columns=TABLE, added=added
    )  # fmt: skip
    columns = {
        shown_path(path): f"{new.dataType.simpleString()}{' json' if new.metadata else ''}"
        for path, new in found.fields.items()
    }
    return columns, found.refused


def test_new_fields_become_columns_of_the_most_careful_type() -> None:
    columns, refused = judged(
        "a: BIGINT", "b: DOUBLE", "c: DECIMAL(4,2)", "d: DECIMAL(23,0)", "e: BOOLEAN", "f: STRING", "g: OBJECT<x: BIGINT>",
        "h: ARRAY<BIGINT>", "i: VARIANT", "j: VOID",
    )  # fmt: skip
    assert columns == {
        "a": "bigint", "b": "double", "c": "double", "d": "string", "e": "boolean", "f": "string", "g": "string json",
        "h": "string json", "i": "string json",
    }  # fmt: skip
    assert refused == {}


def test_names_that_are_hostile_reserved_or_taken_never_become_columns() -> None:
    columns, refused = judged(
        "Id: STRING", "NUMBER: STRING", "looked_up: STRING", "event_time: STRING", "payload: STRING", "_change_type: STRING",
        "__value: STRING", "`a b`: STRING", "`x`` STRING); DROP TABLE t --`: STRING", f"{'x' * 65}: STRING", "é: STRING",
        "address: OBJECT<City: STRING, street: STRING, `a.b`: STRING>", "items: ARRAY<OBJECT<price: BIGINT>>",
        "Twice: STRING", "twice: STRING",
    )  # fmt: skip
    assert columns == {"address.street": "string", "Twice": "string"}
    assert len(refused) == 15
    assert refused["items[].price"].startswith("can't become part of 'items', which is protected")
    assert refused["address.City"].startswith("can't become a column: its name is taken")
    assert refused[shown("x` STRING); DROP TABLE t --")].startswith("can't become a column: its name is no plain")


def test_more_new_fields_than_are_left_are_none() -> None:
    nine = [f"f{n}: BIGINT" for n in range(9)]
    assert len(judged(*nine)[0]) == 9
    columns, refused = judged(*nine, added=1)
    assert columns == {}
    assert set(refused.values()) == {"one of 9 new ones where max_new_columns leaves 8; its records are quarantined"}


def test_a_shape_that_could_not_be_put_together_brings_nothing() -> None:
    for shape in (Shape("void"), Shape("variant")):
        found = judge(shape, SCHEMA, stream=STREAM, columns=TABLE, added=0)
        assert (found.fields, found.refused) == ({}, {})
