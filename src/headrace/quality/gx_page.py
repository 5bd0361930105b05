"""GX's page of one validation result, made inert: its sections and tables, no script, no address outside the page.

GX's templates call some ten hosts from the viewer's browser, and escape some texts of a suite twice and others never.
So the five characters that HTML gives a meaning are swapped for private ones before GX renders, and written as entities
afterwards; of the markup only plain tags, ``id`` and ``class`` are kept.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from html import escape
from html.parser import HTMLParser
from typing import Any

from great_expectations.core.expectation_validation_result import (
    ExpectationSuiteValidationResult,
    ExpectationValidationResult,
)
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
from great_expectations.expectations.metadata_types import FailureSeverity
from great_expectations.render.renderer import ValidationResultsPageRenderer
from great_expectations.render.view import DefaultJinjaPageView

_PRIVATE = {character: chr(0xE000 + place) for place, character in enumerate("<>&\"'")}
_HIDE = str.maketrans({**dict.fromkeys(_PRIVATE.values(), "\ufffd"), **_PRIVATE})
_SHOW = str.maketrans({private: escape(character, quote=True) for character, private in _PRIVATE.items()})
_TAGS = frozenset(
    "div span p h1 h2 h3 h4 h5 h6 table thead tbody tr th td strong em b i br hr ul ol li pre code".split()  # noqa: SIM905
)
_VOID = frozenset(["br", "hr"])
_SILENT = frozenset(["script", "style"])
_MAIN = "col-md-10"


def sections(result: ExpectationSuiteValidationResult) -> str:
    """The page's main column as an HTML fragment that loads nothing and runs nothing."""
    document = ValidationResultsPageRenderer().render(_hidden(result))
    reader = _MainColumn()
    reader.feed(DefaultJinjaPageView().render(document))
    reader.close()
    return "".join(reader.kept).translate(_SHOW)


def _hidden(result: ExpectationSuiteValidationResult) -> ExpectationSuiteValidationResult:
    """A copy whose every text is without markup."""
    results: list[ExpectationValidationResult] = []
    for one in result.results:
        written = one.expectation_config.to_json_dict() if one.expectation_config else {"type": "", "kwargs": {}}
        safe: dict[str, Any] = _texts_hidden(written)
        config = ExpectationConfiguration(
            type=str(written["type"]), kwargs=safe["kwargs"], meta=safe.get("meta"), severity=_severity(written)
        )
        results.append(
            ExpectationValidationResult(
                success=one.success,
                expectation_config=config,
                result=_texts_hidden(copy.deepcopy(one.result)),
                exception_info=one.exception_info,
            )
        )
    meta: dict[str, Any] = {**result.meta, "run_id": _texts_hidden(result.meta["run_id"].to_json_dict())}
    return ExpectationSuiteValidationResult(
        success=bool(result.success),
        results=results,
        suite_name=result.suite_name.translate(_HIDE),
        statistics=result.statistics,
        meta=meta,
    )


def _severity(written: Mapping[str, Any]) -> FailureSeverity:
    return FailureSeverity(str(written.get("severity") or "critical"))


def _texts_hidden(value: Any) -> Any:
    if isinstance(value, str):
        return value.translate(_HIDE)
    if isinstance(value, dict):
        return {_texts_hidden(key): _texts_hidden(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_texts_hidden(one) for one in value]
    return value


class _MainColumn(HTMLParser):
    """Keeps the plain markup and the text inside GX's main column."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.kept: list[str] = []
        self._depth = 0
        self._silent = 0
        self._switches: list[bool] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if self._depth == 0:
            self._depth = int(tag == "div" and _MAIN in given.get("class", "").split())
            return
        self._depth += tag == "div"
        self._silent += tag in _SILENT
        if tag == "a":  # a link keeps its text, a switch that needs a script goes
            self._switches.append("data-toggle" in given)
            self._silent += self._switches[-1]
        if tag in _TAGS and not self._silent:
            kept = "".join(f' {name}="{escape(given[name])}"' for name in ("id", "class") if name in given)
            self.kept.append(f"<{tag}{kept}>")

    def handle_endtag(self, tag: str) -> None:
        if self._depth == 0:
            return
        self._depth -= tag == "div"
        if tag in _SILENT:
            self._silent -= 1
        elif tag == "a" and self._switches:
            self._silent -= self._switches.pop()
        elif self._depth and tag in _TAGS - _VOID and not self._silent:
            self.kept.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if self._depth and not self._silent:
            self.kept.append(escape(data) if data.strip() else " ")
