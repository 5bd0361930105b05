"""Parameters as events: what a record may look like, and what several of them come to."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pyarrow as pa
import pytest

from headrace.cli.parameters_shown import histogram, show_list, show_one
from headrace.errors import ParametersError
from headrace.parameters.compare import differences
from headrace.parameters.event import Parameters, Pointer
from headrace.parameters.publish import unsent
from headrace.parameters.schema import parameters_json_schema, parse
from headrace.parameters.sketch import OFFSET, SMALLEST, Bucket, counts_of, middle, quantile
from headrace.parameters.state import state_of
from headrace.parameters.used import as_tag, from_tag
from headrace.spec import examine, load
from headrace.spec.features import Features
from headrace.training.chosen import encoded_anew

ROOT = Path(__file__).parents[2]
T = datetime(2026, 1, 1, tzinfo=UTC)
SKETCH = {"accuracy": 0.01, "zero": 1, "positive": [[3, 1], [5, 2]], "negative": []}
FEATURE = {
    "count": 4, "missing": 1, "infinite": 0, "missing_rate": 0.2, "mean": 1.5, "standard_deviation": 1, "skewness": None,
    "minimum": 0, "maximum": 3.0, "quantiles": {"0.5": 1.1}, "sketch": SKETCH,
}  # fmt: skip
VALUES: dict[str, dict[str, Any]] = {
    "statistics": {"rows": 5, "features": {"load": FEATURE}},
    "vocabulary.places": {
        "stream": "asked", "column": "place", "values": ["b", "a"], "counts": [3, 2], "minimum_count": 2, "rare": 1, "missing": 0,
    },
    "class_weights": {"positive": 10, "negative": 30, "scale_pos_weight": 3.0},
    "monotonic": {"features": {"load": "increasing"}},
    "hyperparameters": {"parameters": {"eta": 0.1, "max_depth": 4}, "rounds": 80, "score": 0.7, "trials": 25},
}  # fmt: skip


def version(number: int, *, name: str = "monotonic", as_of: datetime = T, **more: Any) -> Parameters:
    value = more.pop("value", VALUES[name])
    return Parameters("meters", name, number, as_of, T, {"asked": 4}, value, more.pop("sequence", number))


def pointer(number: int, *, sequence: int, pinned: bool = False, name: str = "monotonic") -> Pointer:
    return Pointer("meters", name, number, sequence, T, pinned, "why" if pinned else None)


@pytest.mark.parametrize("name", VALUES)
def test_an_event_reads_back_as_it_was_written_and_fits_the_published_schema(name: str) -> None:
    schema = json.loads((ROOT / "conf" / "parameters.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    for event in (version(3, name=name), pointer(3, sequence=4, pinned=True, name=name)):
        assert parse(event.as_json()) == event
        assert [error.message for error in validator.iter_errors(json.loads(event.as_json()))] == []
        assert len(list(validator.iter_errors({**json.loads(event.as_json()), "planted": 1}))) > 0


def test_the_published_schema_is_what_the_code_prints() -> None:
    assert (ROOT / "conf" / "parameters.schema.json").read_text(encoding="utf-8") == parameters_json_schema()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"sha256": "0" * 64}, "not what its sha256 says"),
        ({"value": {"features": {"load": "decreasing"}}}, "not what its sha256 says"),
        ({"as_of": "2027-01-01T00:00:00Z"}, "not what its sha256 says"),
        ({"value": {"features": {"load": "sideways"}}}, "value.features.load"),
        ({"value": {"features": {}, "more": 1}}, "value.more"),
        ({"version": 0}, "version"),
        ({"version": "1"}, "version"),
        ({"name": "advice"}, "no parameters have the name 'advice'"),
        ({"name": "vocabulary."}, "name"),
        ({"format": "headrace.parameters/2"}, "its format is not"),
        ({"as_of": "2026-01-01T00:00:00"}, "as_of"),
    ],
)
def test_a_changed_event_is_refused(change: dict[str, Any], says: str) -> None:
    text = version(1).as_json()
    assert parse(text)
    with pytest.raises(ValueError, match=says):
        parse(json.dumps({**json.loads(text), **change}))


@pytest.mark.parametrize("text", ["", "7", "[]", "{", '{"format": "headrace.parameters/1"', '{"x": NaN}', '"text"'])
def test_what_is_no_event_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"it is no JSON|its format"):
        parse(text)


def test_the_newest_pointer_counts_in_whatever_order_the_records_come() -> None:
    events = [
        version(1),
        version(2),
        version(3),
        pointer(1, sequence=1),
        pointer(3, sequence=3),
        pointer(2, sequence=4),
    ]
    for order in (events, events[::-1]):
        state = state_of(order)
        assert state.current("monotonic").key == "monotonic/2"
        assert [one.version for one in state.versions("monotonic")] == [1, 2, 3]
    with pytest.raises(ParametersError, match="there is monotonic/1 to monotonic/3"):
        state.version("monotonic", 4)
    with pytest.raises(ParametersError, match="no version of 'statistics' is current"):
        state.current("statistics")


def test_one_version_with_two_contents_is_refused() -> None:
    again = version(1, value={"features": {"load": "decreasing"}})
    with pytest.raises(ValueError, match="monotonic/1 is there with two contents"):
        state_of([version(1), again])
    with pytest.raises(ParametersError, match="monotonic/1 on the topic is not what was published"):
        unsent(state_of([version(1)]), state_of([again]))


def test_nobody_gets_a_version_from_after_their_cut_off() -> None:
    day = timedelta(days=1)
    events = [version(1, as_of=T), version(2, as_of=T + 2 * day), version(3, as_of=T + day)]
    state = state_of([*events, pointer(2, sequence=4)])
    assert state.known_by("monotonic", T + 2 * day).version == 2  # the current one
    assert state.known_by("monotonic", T + day).version == 3
    assert state.known_by("monotonic", T).version == 1
    assert state.known_by("monotonic", T - day) is None
    pinned = state_of([*events, pointer(2, sequence=4, pinned=True)])
    assert pinned.known_by("monotonic", T + day) is None
    assert pinned.known_by("monotonic", T + 3 * day).version == 2


def test_what_the_topic_lacks_is_sent_and_nothing_else() -> None:
    kept = state_of([version(1), version(2), pointer(2, sequence=2)])
    assert unsent(kept, kept) == []
    assert [event.key for event in unsent(kept, state_of([]))] == ["monotonic/1", "monotonic/2", "monotonic/current"]
    behind = state_of([version(1), version(2), pointer(1, sequence=1)])
    assert [event.key for event in unsent(kept, behind)] == ["monotonic/current"]


def moved(value: dict[str, Any], **feature: Any) -> dict[str, Any]:
    return value | {"features": {"load": value["features"]["load"] | feature}}


@pytest.mark.parametrize(
    ("name", "change", "material"),
    [
        ("statistics", {"mean": 1.54}, {"load mean": False}),
        ("statistics", {"mean": 1.56}, {"load mean": True}),
        ("statistics", {"mean": None}, {"load mean": True}),
        ("statistics", {"missing_rate": 0.205}, {"load missing_rate": False}),
        ("statistics", {"missing_rate": 0.22}, {"load missing_rate": True}),
        ("statistics", {"standard_deviation": 1.1}, {"load standard_deviation": True}),
        ("statistics", {"maximum": 9000.0}, {"load maximum": False}),
        ("class_weights", {"scale_pos_weight": 3.05}, {"scale_pos_weight": False}),
        ("class_weights", {"scale_pos_weight": 3.1, "positive": 9}, {"scale_pos_weight": True, "positive rows": False}),
        ("vocabulary.places", {"counts": [9, 9], "rare": 2}, {"rare rows": False}),
        ("vocabulary.places", {"values": ["b", "a", "c"]}, {"index of c": True}),
        ("monotonic", {"features": {"load": "decreasing"}}, {"features.load": True}),
        ("hyperparameters", {"rounds": 81}, {"rounds": True}),
    ],
)
def test_what_differs_is_told_and_whether_it_matters(
    name: str, change: dict[str, Any], material: dict[str, bool]
) -> None:
    before = VALUES[name]
    after = moved(before, **change) if name == "statistics" else before | change
    assert differences(name, before, before) == []
    assert {one.what: one.material for one in differences(name, before, after)} == material


def test_a_feature_that_came_or_went_is_material() -> None:
    value = VALUES["statistics"]
    more = value | {"features": {**value["features"], "age": FEATURE}}
    for before, after in ((value, more), (more, value)):
        assert [(one.what, one.material) for one in differences("statistics", before, after)] == [("age", True)]


@pytest.mark.parametrize("value", [1e-9, 0.02, 1.0, 2013.0, 1e12, 1e300])
def test_the_middle_of_a_bucket_is_within_one_percent_of_all_that_is_in_it(value: float) -> None:
    import math

    from headrace.parameters.sketch import GAMMA

    number = math.ceil(math.log(value) / math.log(GAMMA)) + OFFSET
    assert number > 0
    assert middle(number) == pytest.approx(value, rel=0.0100001)
    assert middle(-number) == -middle(number)
    assert middle(0) == 0.0 < SMALLEST


def test_a_quantile_never_leaves_what_was_seen() -> None:
    buckets = [Bucket(OFFSET, 1, (0, 0, 0), 0.999, 0.999), Bucket(OFFSET + 40, 3, (0, 0, 0), 2.2, 2.21)]
    assert quantile(buckets, 0.0) == 0.999
    assert 2.2 <= quantile(buckets, 0.99) <= 2.21


def test_a_histogram_shows_where_the_values_are() -> None:
    feature = FEATURE | {
        "quantiles": {"0.01": middle(OFFSET), "0.99": middle(OFFSET + 4)},
        "sketch": {"accuracy": 0.01, "zero": 0, "positive": [[0, 8], [4, 1]], "negative": []},
    }
    assert list(counts_of(feature["sketch"]).values()) == [8, 1]
    assert histogram(feature, columns=5) == "█   ▁"
    assert histogram(feature | {"minimum": None, "maximum": None, "quantiles": {}}) == ""


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("statistics", ["5 requests", "load", "20.0%", "1.5"]),
        ("vocabulary.places", ["place of asked: 2 values in 5 rows; 1 rows have a value without an index", "b", "█"]),
        ("class_weights", ["10 positive and 30 negative rows: scale_pos_weight 3"]),
        ("monotonic", ["features.load: increasing"]),
        ("hyperparameters", ["parameters.eta: 0.1", "rounds: 80"]),
    ],
)
def test_a_person_can_read_one(name: str, says: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    show_one(version(2, name=name), pointer(2, sequence=3, pinned=True, name=name))
    out = capsys.readouterr().out
    for text in (
        f"{name}/2, of what was known before 2026-01-01 00:00:00 UTC",
        "asked version 4",
        "pinned: why",
        *says,
    ):
        assert text in out
    show_list(state_of([version(1, name=name), version(2, name=name), pointer(1, sequence=2, name=name)]))
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines() if "current" in line] == ["1"]


def test_a_terminal_escape_in_a_value_is_shown_as_one(capsys: pytest.CaptureFixture[str]) -> None:
    evil = "\x1b]0;owned\x07[red]x"
    show_one(version(1, name="vocabulary.places", value=VALUES["vocabulary.places"] | {"values": [evil, "a"]}), None)
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "[red]x" in out


def test_indices_of_one_vocabulary_become_those_of_another() -> None:
    features = Features(requests="asked", id="id", columns={"load": "load"}, categories={"place": "places"})
    rows = pa.table({"load": [1.0, 2.0, 3.0, 4.0, None], "place": [0.0, 1.0, 2.0, None, 1.0]})
    now, then = {"places": ("a", "b", "c")}, {"places": ("b", "a", "gone")}
    seen = encoded_anew(rows, features=features, encoded_with=now, own=then)
    assert seen.to_pydict() == {"load": [1.0, 2.0, 3.0, 4.0, None], "place": [1.0, 0.0, None, None, 0.0]}
    assert encoded_anew(rows, features=features, encoded_with=now, own=now) is rows
    empty = rows.set_column(1, "place", pa.nulls(5, pa.float64()))
    assert (
        encoded_anew(empty, features=features, encoded_with={"places": ()}, own=then).to_pydict()["place"] == [None] * 5
    )


def test_a_tag_names_versions_and_hashes() -> None:
    made = [version(3), version(2, name="vocabulary.places")]
    used = from_tag(as_tag(made), what="it")
    assert {name: (one.version, one.sha256) for name, one in used.items()} == {
        one.name: (one.version, one.sha256) for one in made
    }
    assert from_tag("", what="it") == {}
    for planted in ("[1]", "{", '{"monotonic": {"version": "x", "sha256": ""}}', '{"monotonic": {}}'):
        with pytest.raises(ParametersError, match="it: its tag of parameters was changed"):
            from_tag(planted, what="it")


ASKED = (
    ("id", "string"),
    ("at", "timestamp"),
    ("place", "string"),
    ("phone", "string"),
    ("size", "double"),
    ("notes", "string"),
)
FILE = """pipeline: rides
lake: {path: lake}
streams:
  asked:
    topic: asked
    schema: asked.json
    event_time: at
    known_at: at
    protect: {phone: {pseudonym: phones}, notes: {mask: 2}}
  moved: {topic: moved, schema: asked.json, event_time: at, known_at: at, protect: {phone: public, notes: {encrypt: notes}}}
features:
  requests: asked
  id: id
  columns: {size: size}
  categories: {place: places}
label: {stream: moved, by: id, positive: size > 1}
model: {name: rides, parameters: {eta: 0.1}}
parameters:
  statistics: true
  vocabularies: {places: {stream: asked, column: place}}
  class_weights: true
  monotonic: {size: increasing}
"""


def problems(folder: Path, old: str = "", new: str = "") -> list[str]:
    assert old in FILE
    fields = [{"name": name, "type": kind, "nullable": True, "metadata": {}} for name, kind in ASKED]
    (folder / "asked.json").write_text(json.dumps({"type": "struct", "fields": fields}))
    (folder / "pipeline.yaml").write_text(FILE.replace(old, new, 1) if old else FILE)
    return [problem.message for problem in examine(folder, {})[1]]


def test_a_right_section_is_right(tmp_path: Path) -> None:
    assert problems(tmp_path) == []
    assert load(tmp_path, {}).spec.features.names == ("size", "place")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("column: place", "column: plaec", "no column 'plaec' in stream 'asked'"),
        ("{stream: asked, column: place}", "{stream: askd, column: place}", "unknown stream 'askd'"),
        ("column: place", "column: size", "'size' is a double; a vocabulary needs"),
        ("column: place", "column: notes", "column 'notes' of stream 'asked' keeps parts of what it protects"),
        ("{stream: asked, column: place}", "{stream: moved, column: notes}", "'notes' of stream 'moved' is encrypted"),
        ("categories: {place: places}", "categories: {place: towns}", "unknown vocabulary 'towns'"),
        ("categories: {place: places}", "categories: {plaec: places}", "no column 'plaec' in stream 'asked'"),
        ("categories: {place: places}", "categories: {phone: places}", "are protected in different ways"),
        ("{size: increasing}", "{sise: increasing}", "no feature 'sise'; expected one of size, place"),
        ("{size: increasing}", "{place: increasing}", "feature 'place' is a category: its index has no direction"),
        ("{size: increasing}", "{size: upwards}", "increasing"),
        ("eta: 0.1", "scale_pos_weight: 2", "class_weights and model.parameters.scale_pos_weight say the same thing"),
        (
            "eta: 0.1",
            "monotone_constraints: (1)",
            "monotonic and model.parameters.monotone_constraints say the same thing",
        ),
        ("model: {name: rides, parameters: {eta: 0.1}}\n", "", "class_weights need the section 'model'"),
        ("topic: asked", "topic: rides.parameters", "is where the model's parameters are published"),
        ("  columns: {size: size}", "  columns: {size: size, place: '1'}", "feature 'place' is declared twice"),
    ],
)
def test_a_mistake_in_the_section_is_found(tmp_path: Path, old: str, new: str, says: str) -> None:
    found = problems(tmp_path, old, new)
    assert any(says in message for message in found), found


def test_a_vocabulary_of_a_personal_column_that_nobody_classified_is_refused(tmp_path: Path) -> None:
    assert problems(tmp_path) == []
    clear = FILE.replace("phone: {pseudonym: phones}, ", "").replace("column: place", "column: phone")
    (tmp_path / "pipeline.yaml").write_text(clear)
    (found,) = examine(tmp_path, {})[1]
    assert "column 'phone' of stream 'asked' looks like a phone number, and nobody classified it" in found.message


def test_a_vocabulary_of_pseudonyms_or_of_a_public_column_is_fine(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, "column: place", "column: phone")
    assert "are protected in different ways" in found
    alike = FILE.replace("column: place", "column: phone").replace("{place: places}", "{phone: places}")
    (tmp_path / "pipeline.yaml").write_text(alike)
    assert examine(tmp_path, {})[1] == []
