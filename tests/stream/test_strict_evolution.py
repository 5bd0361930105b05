"""New fields where nothing may be written that nobody classified, and replay into columns that were added."""

from __future__ import annotations

from pathlib import Path

from ingested import places_of
from quarantined import EVERYTHING, Lake, released
from test_drift import ADA, Lab, good

EVOLVE = "unknown_fields: evolve"


def test_a_field_that_nobody_classified_is_never_a_clear_column_under_strict(
    spark, bootstrap: str, tmp_path: Path
) -> None:
    lab = Lab(spark, bootstrap, tmp_path, "strict-evolution", EVOLVE)
    lab.run([good(0), good(1, contact="desk 4")])
    assert lab.rows()[1]["contact"] == "desk 4"
    lab.write(f"{EVOLVE}\n    privacy: strict")
    lab.run([good(2), good(3, contact=ADA), good(4, fresh=ADA), good(5, contact="desk 7")])
    rows = lab.rows()
    assert {offset: (row["verdict"], row["failed_rules"]) for offset, row in rows.items() if offset > 1} == {
        2: ("accepted", []),
        3: ("quarantined", ["decode:unknown:contact"]),
        4: ("quarantined", ["decode:unknown:fresh"]),
        5: ("quarantined", ["decode:unknown:contact"]),
    }
    assert "fresh" not in rows[4]
    assert places_of(ADA, tmp_path / "lake") == []
    lake = Lake(tmp_path)
    assert released(spark, lake, selection=EVERYTHING)["released"] == 0
    lab.write(EVOLVE)  # the column that is there may be filled again; a replay adds none
    assert released(spark, lake, selection=EVERYTHING, request="later")["released"] == 2
    rows = lab.rows()
    assert [(rows[n]["verdict"], rows[n]["contact"]) for n in (3, 4, 5)] == [
        ("accepted", ADA), ("quarantined", None), ("accepted", "desk 7"),
    ]  # fmt: skip
