"""Records that drift from their schema, through real Kafka and Delta: what each policy does, and that it is told once."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from pipelines import make_topic, reading, send, write_pipeline

from headrace.connections import Broker
from headrace.errors import HeadraceError, SpecError
from headrace.features.compute import compute_features
from headrace.ingest import writer
from headrace.ingest.run import start_ingest
from headrace.lake.drift import Alert
from headrace.lake.tables import read_accepted
from headrace.spec import Pipeline, load
from headrace.spec.features import Features
from headrace.workbench import Workbench

NESTED = [
    ("address", {"type": "struct", "fields": [
        {"name": "city", "type": "string", "nullable": True, "metadata": {}},
        {"name": "zip", "type": "integer", "nullable": True, "metadata": {}}]}),
    ("items", {"type": "array", "containsNull": True, "elementType": {"type": "struct", "fields": [
        {"name": "sku", "type": "string", "nullable": True, "metadata": {}}]}}),
]  # fmt: skip
HOSTILE, HASHED = "x` STRING); DROP TABLE t --", "#3b2c1227"
ADA, ADA_HASHED = "ada@example.org", "#cfe00dde"


@dataclass
class Lab:
    """A pipeline on a topic of its own, and what its runs told."""

    spark: Any
    bootstrap: str
    folder: Path
    topic: str
    extra: str = ""
    told: list[Alert] = field(default_factory=list)

    def __post_init__(self) -> None:
        make_topic(self.bootstrap, self.topic, partitions=1)
        self.write(self.extra)

    def write(self, extra: str) -> Pipeline:
        write_pipeline(self.folder, bootstrap=self.bootstrap, topic=self.topic, extra=extra)
        schema = json.loads((self.folder / "readings.json").read_text())
        schema["fields"] += [{"name": name, "type": kind, "nullable": True, "metadata": {}} for name, kind in NESTED]
        (self.folder / "readings.json").write_text(json.dumps(schema))
        self.pipeline = load(self.folder)
        return self.pipeline

    def run(self, records: Iterable[str]) -> list[tuple[str, str]]:
        """Send records, ingest them with a new job; the kinds and fields of what it told."""
        send(self.bootstrap, self.topic, records)
        new: list[Alert] = []
        start_ingest(
            self.spark, self.pipeline, broker=Broker(self.bootstrap, {}), until_caught_up=True, on_alert=new.append
        ).wait()
        self.told += new
        return sorted((alert.kind, alert.field) for alert in new)

    @property
    def table(self) -> str:
        return str(self.folder / "lake" / "events" / "readings")

    def rows(self) -> dict[int, dict[str, Any]]:
        return {row["kafka_offset"]: row for row in DeltaTable(self.table).to_pyarrow_table().to_pylist()}

    def drift(self):
        return Workbench(self.spark, self.pipeline).drift()


def good(number: int, **fields: object) -> str:
    nested = {"address": {"city": "Ulm", "zip": 89073}, "items": [{"sku": "a"}, {"sku": "b"}]}
    return reading(number, **{**nested, **fields})


def changed(number: int) -> str:
    """Everything that can change, but the types."""
    record = json.loads(good(number, humidity=0.5, **{ADA: True}))
    record["address"]["floor"] = number
    record["items"][1]["colour"] = "red"
    record["load_kw"] = record.pop("load")
    return json.dumps(record)


CHANGES = [
    ("renamed", "load"), ("unknown", ADA_HASHED), ("unknown", "address.floor"), ("unknown", "humidity"),
    ("unknown", "items[].colour"), ("unknown", "load_kw"),
]  # fmt: skip


@pytest.fixture(scope="module")
def ignoring(spark, bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Lab, list[Any]]:
    """A stream that ignores unknown fields: good records, changed ones, the same after a restart, and under a new version."""
    lab = Lab(spark, bootstrap, tmp_path_factory.mktemp("ignoring"), "ignoring")
    runs = [lab.run(good(n) for n in range(40)), lab.run(changed(n) for n in range(40, 80))]
    wrong = [good(n, reading="12", address={"city": "Ulm", "zip": "89073"}) for n in range(80, 110)]
    runs += [lab.run([*(changed(n) for n in range(5)), *wrong])]
    lab.write("max_offsets_per_trigger: 100000")
    runs += [lab.run([good(1, humidity=1)])]
    return lab, runs


def test_each_change_is_told_once_and_again_under_a_new_version_only(ignoring: tuple[Lab, list[Any]]) -> None:
    lab, runs = ignoring
    assert runs == [[], CHANGES, [("type", "address.zip"), ("type", "reading")], [("unknown", "humidity")]]
    sentences = {alert.field: alert.sentence for alert in lab.told[: len(CHANGES)]}
    assert sentences["humidity"] == (
        "stream 'readings': field 'humidity' is not in the schema (a number); it is left out"
    )
    assert sentences["load"] == (
        "stream 'readings': field 'load' has had no value in the last 40 records looked at; 100% had one before; "
        "since then there is 'load_kw': was it renamed?"
    )
    assert ADA not in str(lab.told)


def test_ignored_fields_change_no_verdict(ignoring: tuple[Lab, list[Any]]) -> None:
    rows = ignoring[0].rows()
    wrong = [offset for offset, row in rows.items() if row["verdict"] == "quarantined"]
    assert wrong == list(range(85, 115))
    assert {tuple(rows[offset]["failed_rules"]) for offset in wrong} == {("decode:type:reading", "decode:type:address")}


def test_what_was_told_can_be_listed(ignoring: tuple[Lab, list[Any]]) -> None:
    lab, _ = ignoring
    listed = lab.drift()
    assert sorted(zip(listed["kind"], listed["field"], strict=True)) == sorted((a.kind, a.field) for a in lab.told)
    assert set(listed["stream"]) == {"readings"}
    assert listed["spec_version"].nunique() == 2
    files = [file for file in (lab.folder / "lake").rglob("*") if file.is_file()]
    assert not [file for file in files if ADA.encode() in file.read_bytes()]


def test_records_with_unknown_fields_are_quarantined_at_any_depth(spark, bootstrap: str, tmp_path: Path) -> None:
    lab = Lab(spark, bootstrap, tmp_path, "quarantining", "unknown_fields: quarantine")
    many = {f"x{n:02d}": n for n in range(25)}
    told = lab.run(
        [
            good(0), good(1, humidity=None), json.dumps({**json.loads(good(2)), "address": {"city": "Ulm", "floor": 1}}),
            json.dumps({**json.loads(good(3)), "items": [{"sku": "a"}, None, {"colour": {"of": "x"}}]}),
            good(4, **{HOSTILE: 1}), good(5, **many), good(6)[:-1] + ', "load": 1}', good(7),
        ]
    )  # fmt: skip
    rows = lab.rows()
    assert {offset: row["failed_rules"] for offset, row in rows.items()} == {
        0: [], 1: ["decode:unknown:humidity"], 2: ["decode:unknown:address.floor"], 3: ["decode:unknown:items[].colour"],
        4: [f"decode:unknown:{HASHED}"], 5: [*(f"decode:unknown:x{n:02d}" for n in range(20)), "decode:unknown"],
        6: ["decode:repeated_field"], 7: [],
    }  # fmt: skip
    assert {row["verdict"] for row in rows.values()} == {"accepted", "quarantined"}
    assert {("unknown", "address.floor"), ("unknown", "items[].colour"), ("unknown", HASHED)} <= set(told)
    assert {alert.text for alert in lab.told if alert.field == "address.floor"} == {
        "is not in the schema (a whole number); records with it are quarantined"
    }


@pytest.fixture(scope="module")
def evolving(spark, bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Lab, list[Any]]:
    """A stream that evolves: good records, a batch that brings new fields, and values of another type after a restart."""
    extra = "unknown_fields: evolve\n    duplicates: {by: [id], within: 2h}"
    lab = Lab(spark, bootstrap, tmp_path_factory.mktemp("evolving"), "evolving", extra)
    runs = [lab.run(good(n) for n in range(3))]
    new = {"humidity": 0.5, "count": 7, "on": True, "note": " dry ", "tags": ["a", {"b": 1}], "later": None}
    first = json.loads(good(3, **new))
    first["address"]["floor"] = 2
    first["items"][1]["colour"] = "red"
    broken = good(4, evil=1, at="no time")
    runs += [lab.run([good(5), json.dumps(first), broken, good(6, **{HOSTILE: 1}), good(3, humidity=9.5)])]
    runs += [lab.run([good(7, humidity=1, tags="x", later="now"), good(8, humidity="wet"), good(9, **{HOSTILE: None})])]
    return lab, runs


def test_new_fields_become_columns_of_the_batch_that_brings_them(evolving: tuple[Lab, list[Any]]) -> None:
    lab, _ = evolving
    rows = lab.rows()
    added = {name: rows[4][name] for name in ("humidity", "count", "on", "note", "tags", "later")}
    assert added == {
        "humidity": 0.5, "count": 7, "on": True, "note": "dry", "tags": '["a",{"b":1}]', "later": None,
    }  # fmt: skip
    assert rows[4]["address"] == {"city": "Ulm", "zip": 89073, "floor": 2}
    assert rows[4]["items"] == [{"sku": "a", "colour": None}, {"sku": "b", "colour": "red"}]
    assert (rows[4]["verdict"], rows[0]["humidity"], rows[3]["humidity"]) == ("accepted", None, None)
    assert (rows[7]["verdict"], rows[7]["duplicate_of"], rows[7]["humidity"]) == ("duplicate", "evolving/0/4", 9.5)
    assert (rows[8]["humidity"], rows[8]["tags"], rows[8]["later"]) == (1.0, "x", "now")
    kinds = {f.name: str(f.type) for f in DeltaTable(lab.table).to_pyarrow_table().schema}
    assert (kinds["humidity"], kinds["count"], kinds["on"], kinds["tags"]) == ("double", "int64", "bool", "string")


def test_what_can_not_be_a_column_is_quarantined_and_what_does_not_fit_one_too(
    evolving: tuple[Lab, list[Any]],
) -> None:
    lab, _ = evolving
    rows = lab.rows()
    assert {offset: row["failed_rules"] for offset, row in rows.items() if row["verdict"] == "quarantined"} == {
        5: ["decode:type:at", "decode:unknown:evil"], 6: [f"decode:unknown:{HASHED}"], 9: ["decode:type:humidity"],
    }  # fmt: skip
    assert rows[10]["verdict"] == "accepted"  # a field without a value holds nothing that could be lost
    assert "evil" not in rows[0]
    log = "".join(file.read_text() for file in Path(lab.table, "_delta_log").glob("*.json"))
    assert "DROP TABLE" not in log
    assert '\\"humidity\\":' not in log.replace('\\"name\\":\\"humidity\\"', "")  # no least and greatest value


def test_added_columns_are_told_once_and_survive_a_restart(evolving: tuple[Lab, list[Any]]) -> None:
    lab, runs = evolving
    names = ("address.floor", "count", "humidity", "items[].colour", "note", "on", "tags")
    assert runs == [
        [],
        [*(("added", name) for name in names), ("unknown", HASHED), ("unknown", "evil")],
        [("added", "later")],
    ]
    told = {alert.field: alert.text for alert in lab.told}
    assert told["tags"] == "is new; it is a column from now on (JSON in a text), and it is not protected"
    assert told[HASHED] == (
        "is not in the schema and can't become a column: its name is no plain identifier; its records are quarantined"
    )
    operations = [entry["operation"] for entry in DeltaTable(lab.table).history()]
    assert operations.count("ADD COLUMNS") == 2


def test_batch_readers_go_on_after_columns_were_added(spark, evolving: tuple[Lab, list[Any]]) -> None:
    lab, _ = evolving
    accepted = read_accepted(spark, lab.table)
    assert accepted.where("humidity is not null").count() == 2
    features = Features.model_validate(
        {
            "requests": "readings",
            "id": "id",
            "columns": {"wet": "humidity"},
            "windows": [
                {"stream": "readings", "by": ["owner"], "over": ["1h"], "aggregates": {"most": ["max", "humidity"]}}
            ],
        }
    )
    found = compute_features(accepted, {"readings": accepted}, features=features)
    by_id = {row["id"]: row["wet"] for row in found.collect()}
    assert (by_id["m3"], by_id["m0"]) == (0.5, None)


def test_a_crash_between_the_columns_and_the_rows_leaves_nothing_to_put_right(
    spark, bootstrap: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = Lab(spark, bootstrap, tmp_path, "evolve-crash", "unknown_fields: evolve")

    def break_off(*_: object, **__: object) -> None:
        raise OSError("the driver dies here")

    with monkeypatch.context() as patch:
        patch.setattr(writer, "append_once", break_off)
        with pytest.raises(HeadraceError, match="stream 'readings' stopped"):
            lab.run([good(0, humidity=0.5)])
    assert lab.rows() == {}
    assert lab.told == []
    assert lab.run([good(1, humidity=1.5)]) == [("added", "humidity")]
    assert {offset: row["humidity"] for offset, row in lab.rows().items()} == {0: 0.5, 1: 1.5}
    assert [entry["operation"] for entry in DeltaTable(lab.table).history()].count("ADD COLUMNS") == 1


def test_a_flood_of_new_fields_adds_none_and_a_declared_field_takes_its_column_over(
    spark, bootstrap: str, tmp_path: Path
) -> None:
    lab = Lab(spark, bootstrap, tmp_path, "flood", "unknown_fields: evolve\n    max_new_columns: 2")
    told = lab.run([good(0, a=1, b=2, c=3), good(1)])
    assert told == [("unknown", "a"), ("unknown", "b"), ("unknown", "c")]
    assert lab.run([good(2, a=1), good(3, b=2)]) == [("added", "a"), ("added", "b")]
    rows = lab.rows()
    assert [rows[n]["verdict"] for n in range(4)] == ["quarantined", "accepted", "accepted", "accepted"]
    NESTED.append(("a", "long"))
    try:
        lab.write("unknown_fields: quarantine")
        lab.run([good(4, a=5, b=6)])
        NESTED[-1] = ("a", "timestamp")
        lab.write("unknown_fields: quarantine")
        with pytest.raises(SpecError, match=r"column 'a' of table .* is a bigint, and would have to be a timestamp"):
            lab.run([good(5)])
    finally:
        NESTED.pop()
    assert (lab.rows()[4]["a"], lab.rows()[4]["b"]) == (5, 6)
