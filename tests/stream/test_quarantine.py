"""What a quarantine shows: counts by hand, samples without a clear value, and one record in clear for who holds the ring."""

from __future__ import annotations

import getpass
import json
from pathlib import Path

import pytest
from deltalake import DeltaTable
from quarantined import HOSTILE, RECORDS, STREAM, Lake

from headrace.cli import app
from headrace.errors import HeadraceError, KeyRingError, SpecError


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """A command, in this process; what it printed."""
    capsys.readouterr()
    app(arguments, standalone_mode=False)
    return capsys.readouterr().out


def openings(lake: Lake) -> list[dict]:
    path = lake.folder / "lake" / "access" / "openings"
    return DeltaTable(path).to_pyarrow_table().to_pylist() if path.exists() else []


def test_rows_are_counted_by_rule_with_their_trend(spark, wronged: Lake, capsys) -> None:
    (line,) = run(capsys, "quarantine", str(wronged.folder), "--json").splitlines()
    told = json.loads(line)
    assert (told["stream"], told["quarantined"], told["step"]) == (STREAM, 28, "minute")
    assert {one["rule"]: one["rows"] for one in told["rules"]} == {
        HOSTILE: 25, "load_known": 5, "decode:malformed": 1, "decode:missing:id": 1, "decode:type:reading": 1
    }  # fmt: skip
    assert [one["trend"] for one in told["rules"]] == [[25], [5], [1], [1], [1]]
    (line,) = run(capsys, "quarantine", str(wronged.folder), "--rule", HOSTILE, "--json").splitlines()
    assert json.loads(line)["quarantined"] == 25
    (line,) = run(capsys, "quarantine", str(wronged.folder), "--to", "2020-01-01", "--json").splitlines()
    assert (json.loads(line)["quarantined"], json.loads(line)["rules"]) == (0, [])


def test_a_terminal_sees_names_and_samples_that_cannot_steer_it_and_no_clear_value(
    spark, wronged: Lake, capsys
) -> None:
    out = run(capsys, "quarantine", str(wronged.folder), "--stream", STREAM, "--samples", "28")
    assert "28 rows in quarantine" in out
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert "[red]*\\x1b[31m" in out
    assert out.count("wronged/0/") == 28
    assert "Ada" not in out
    assert "payload" not in out
    assert out.count("owner                v1.") == 27  # a pseudonym where the record could be read


def test_a_record_is_shown_as_the_table_holds_it_and_in_clear_only_when_asked(spark, lake: Lake, capsys) -> None:
    plain = run(capsys, "quarantine", "show", str(lake.folder), "wronged/0/20")
    assert "Ada" not in plain
    assert openings(lake) == []
    told = json.loads(run(capsys, "quarantine", "show", str(lake.folder), "wronged/0/20", "--clear", "--json"))
    assert told["value"] == RECORDS[20]
    assert told["failed_rules"] == [HOSTILE]
    assert told["key"] == "k20"
    assert told["headers"] == [
        {"name": "trace", "value": "t-1", "value_base64": "dC0x"},
        {"name": "trace", "value": None, "value_base64": None},
        {"name": "raw", "value": None, "value_base64": "/w=="},
    ]
    clear = run(capsys, "quarantine", "show", str(lake.folder), "wronged/0/20", "--clear")
    assert "Ada 101" in clear
    assert "header name    trace\nheader value   t-1\n" in clear
    noted = openings(lake)
    assert [(row["topic"], row["partition"], row["offset"]) for row in noted] == [("wronged", 0, 20)] * 2
    assert {row["who"] for row in noted} == {getpass.getuser()}
    assert set(noted[0]) == {"at", "who", "host", "topic", "partition", "offset"}  # and no value
    path = str(lake.folder / "lake" / "access" / "openings")
    with pytest.raises(Exception, match="DELTA_CANNOT_MODIFY_APPEND_ONLY"):
        spark.sql(f"delete from delta.`{path}`")


def test_what_is_not_there_or_not_allowed_is_one_sentence(spark, lake: Lake, capsys) -> None:
    for record, kind, said in (
        ("wronged/0/0", HeadraceError, "is not in the quarantine"),
        ("other/0/0", SpecError, "no stream reads topic 'other'"),
    ):
        with pytest.raises(kind, match=said):
            run(capsys, "quarantine", "show", str(lake.folder), record, "--clear")
    with pytest.raises(SpecError, match="unknown stream 'nothing'"):
        run(capsys, "quarantine", str(lake.folder), "--stream", "nothing")
    with pytest.raises(Exception, match="write TOPIC/PARTITION/OFFSET"):
        run(capsys, "quarantine", "show", str(lake.folder), "wronged-0-20")
    Path(lake.pipeline.spec.keys.ring).unlink()
    with pytest.raises(KeyRingError, match="no key ring at"):
        run(capsys, "quarantine", "show", str(lake.folder), "wronged/0/20", "--clear")
    assert openings(lake) == []


def test_a_dry_run_at_a_terminal_names_what_passes_and_what_still_fails(spark, lake: Lake, capsys) -> None:
    out = run(capsys, "replay", str(lake.folder), "--stream", STREAM, "--dry-run")
    assert "of 28 quarantined rows 21 would pass now" in out
    assert "\x1b" not in out
    told = json.loads(run(capsys, "replay", str(lake.folder), "--stream", STREAM, "--dry-run", "--json"))
    assert (told["chosen"], told["would_pass"]) == (28, 21)
    assert told["still_failing"]["decode:malformed"] == 1
