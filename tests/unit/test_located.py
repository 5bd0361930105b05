"""Files whose values know their lines: what is read, and where a mistake is reported."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from headrace.errors import SpecError
from headrace.located import parse, read

YAML = Path("a.yaml")
JSON = Path("a.json")


def refusal(text: str, path: Path = YAML) -> str:
    with pytest.raises(SpecError) as error:
        parse(text, path)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_every_value_knows_the_line_of_its_key() -> None:
    document = parse("a: 1\nb:\n  c:\n    - x\n    - {d: 2,\n       e: 3}\n", YAML)
    assert document.data == {"a": 1, "b": {"c": ["x", {"d": 2, "e": 3}]}}
    assert [document.line(*key) for key in (("a",), ("b",), ("b", "c"), ("b", "c", 0), ("b", "c", 1, "e"))] == [
        1,
        2,
        3,
        4,
        6,
    ]


def test_a_value_that_was_not_written_has_the_line_of_what_holds_it() -> None:
    document = parse("# comment\na:\n  b: 1\n", YAML)
    assert document.line("a", "zz", "deeper") == 2
    assert str(document.problem("wrong", "a", "b")) == "a.yaml:3: wrong"


@pytest.mark.parametrize("word", ["on", "off", "yes", "no", "y", "n", "On", "NO", "2013-01-01", "2013-01-01T00:00:00Z"])
def test_words_stay_words(word: str) -> None:
    assert parse(f"a: {word}\n{word}: b\n", YAML).data == {"a": word, word: "b"}


@pytest.mark.parametrize(("text", "value"), [("true", True), ("False", False), ("null", None), ("~", None), ("", None)])
def test_booleans_and_nulls_are_still_read(text: str, value: object) -> None:
    assert parse(f"a: {text}\n", YAML).data == {"a": value}


def test_an_empty_file_has_no_data() -> None:
    assert parse("", YAML).data is None
    assert parse("# nothing\n", YAML).data is None


@pytest.mark.parametrize("path", [YAML, JSON])
def test_a_key_given_twice_is_refused_at_its_second_line(path: Path) -> None:
    assert refusal('{"a": 1,\n "b": {"c": 1,\n  "c": 2}}', path) == f"{path}:3: key 'c' is given twice; remove one"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: [1, 2\nb: 3\n", 2),
        ("a: 1\n b: 2\n", 2),
        ("a: 1\n\tb: 2\n", 2),
        ("a: 'x\n", 2),
        ("a: 1\n---\nb: 2\n", 2),
        ("a: *nobody\n", 1),
        ("a: !!python/object:os.system x\n", 1),
        ("a: !!int abc\n", 1),
        ("a: \x00\n", 1),
        ("a: \x07\n", 1),
    ],
)
def test_bad_yaml_is_one_sentence_with_its_line(text: str, line: int) -> None:
    assert refusal(text).startswith(f"a.yaml:{line}: not valid YAML: ")


@pytest.mark.parametrize(
    ("text", "line"), [('{"a": 1,}', 1), ('{"a":\n 1\n', 3), ("{'a': 1}", 1), ("", 1), ('{"a": 1}\n{}', 2)]
)
def test_bad_json_is_refused_though_it_may_be_good_yaml(text: str, line: int) -> None:
    assert refusal(text, JSON).startswith(f"a.json:{line}: not valid JSON: ")


def test_json_is_read_as_json() -> None:
    text = '{"tab":\t"a\\/b",\n\t"smile": "\\ud83d\\ude00", "number": 1e5, "yes": "no", "day": "2013-01-01"}'
    document = parse(text, JSON)
    assert document.data == {"tab": "a/b", "smile": "\U0001f600", "number": 1e5, "yes": "no", "day": "2013-01-01"}
    assert document.line("number") == 2


def test_an_alias_that_holds_itself_is_refused() -> None:
    assert refusal("a: &x [*x]\n") == "a.yaml:1: values are nested too deeply, or an alias holds itself"


def test_aliases_of_aliases_do_not_explode() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    assert re.fullmatch(r"a\.yaml:\d+: more than 100,000 values; use fewer aliases", refusal("\n".join(lines)))


def test_an_alias_is_what_it_stands_for() -> None:
    assert parse("a: &x {b: 1}\nc: *x\n", YAML).data == {"a": {"b": 1}, "c": {"b": 1}}


def test_an_absent_file_a_folder_and_bytes_that_are_no_text_are_one_sentence(tmp_path: Path) -> None:
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("a: é\n".encode("latin-1"))
    for path, said in (
        (tmp_path / "none.yaml", "no such file"),
        (tmp_path, "can't be read"),
        (latin, "can't be read as UTF-8"),
    ):
        with pytest.raises(SpecError, match=re.escape(f"{path}: {said}")):
            read(path)


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "bom.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert read(path).data == {"a": 1}
