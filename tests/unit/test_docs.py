"""What the documents say is there: links, commands, exit codes, make targets, environment variables, dependencies."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import typer

from headrace import errors
from headrace.cli import app

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "infra" / "README.md", *(ROOT / "docs").rglob("*.md")]
)
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
LINK = re.compile(r"\[[^\]]*\]\((?!https?:|mailto:)([^)\s#]*)(?:#([^)\s]*))?\)")
CODE = re.compile(r"^```.*?^```|^(?: {4}|\t).*?$|`[^`\n]+`", re.MULTILINE | re.DOTALL)
COMMANDS = typer.main.get_command(app).commands  # pyright: ignore


def code(page: Path) -> str:
    """All code of a page: fenced, indented, and in the line."""
    return "\n".join(CODE.findall(page.read_text(encoding="utf-8")))


def anchors(page: Path) -> set[str]:
    """What headings can be linked by, as GitHub makes it."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: Path) -> list[str]:
    found: list[str] = []
    for path, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            found.append(f"{path}#{anchor}")
    return found


def wrong_commands(text: str) -> list[str]:
    """Uses of ``headrace VERB --option`` where the verb or an option does not exist."""
    found: list[str] = []
    for use in re.findall(r"\bheadrace ([a-z][a-z-]*[^`|;)&\n]*)", text):
        verb, *words = use.split()
        if words and words[0] in getattr(COMMANDS.get(verb), "commands", {}):  # such as headrace keys rotate
            known, words = COMMANDS[verb].commands[words[0]], words[1:]
        else:
            known = COMMANDS.get(verb)
            verbs = getattr(
                known, "commands", {}
            )  # headrace quarantine PIPELINE lists, headrace parameters PIPELINE makes
            known = verbs.get("make", verbs.get("list", known))
        options = {option for parameter in getattr(known, "params", []) for option in parameter.opts}
        unknown = [word for word in words if word.startswith("--") and word not in {*options, "--help"}]
        if verb not in COMMANDS or unknown:
            found.append(use)
    return found


def every_error() -> list[type[errors.HeadraceError]]:
    return [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.HeadraceError)]


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_link_leads_somewhere(page: Path) -> None:
    assert broken_links(page) == []


def test_the_check_of_links_catches_planted_faults(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One\n[a](page.md) [b](#one) [c](absent.md) [d](page.md#two) [e](https://example.org)\n")
    assert broken_links(page) == ["absent.md#", "page.md#two"]


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_command_and_option_that_is_named_exists(page: Path) -> None:
    assert wrong_commands(code(page)) == []


def test_the_check_of_commands_catches_planted_faults() -> None:
    text = "`headrace train conf --as-of X`, `headrace undo`, `headrace score conf --fresh`; $(headrace jars) x --until-caught-up;"
    text += " `headrace quarantine show conf x/0/1 --clear`, `headrace quarantine conf --open`"
    assert wrong_commands(text) == ["undo", "score conf --fresh", "quarantine conf --open"]


def test_the_readme_lists_every_command() -> None:
    listed = re.findall(r"^\| `headrace ([a-z-]+)", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(COMMANDS)


def test_every_error_is_listed_with_its_exit_code() -> None:
    text = (ROOT / "docs" / "exit-codes.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| (?:`(\w+)`)? *\|", text, re.MULTILINE)
    listed = {name: int(number) for number, name in rows if name}
    assert listed == {kind.__name__: kind.exit_code for kind in every_error()}
    assert {int(number) for number, name in rows if not name} == {0, 2, errors.INTERRUPTED}


def test_no_two_errors_share_an_exit_code() -> None:
    codes = [kind.exit_code for kind in every_error()]
    assert len(codes) == len(set(codes))
    assert not {0, 2, errors.INTERRUPTED} & set(codes)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_make_target_that_is_named_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"\bmake (?:[A-Z]+=\S+ )*([a-z]+)", code(page))) <= targets


def test_the_environment_variables_of_operations_are_those_of_the_code() -> None:
    files = [*(ROOT / "src").rglob("*.py"), *(ROOT / "conf").rglob("*.yaml")]
    source = "\n".join(file.read_text(encoding="utf-8") for file in files)
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    named = set(re.findall(r"\b[A-Z][A-Z0-9]*_[A-Z0-9_]+\b", page))
    assert {name for name in named if not re.search(rf"\b{name}\b", source)} == set()
    assert set(re.findall(r"\bHEADRACE_[A-Z_]+\b", source)) <= named


def test_every_dependency_is_explained_and_pinned_as_explained() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    page = (ROOT / "docs" / "decisions" / "0002-dependencies.md").read_text(encoding="utf-8")
    for wanted in project["dependencies"]:
        name = re.split(r"[<>=]", wanted)[0]
        said = wanted if "==" in wanted or "<" in wanted else name
        assert f"`{said}`" in page, wanted
