"""Data Docs as plain files: an index of the last runs and GX's page of each, readable from disk and without a network."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from great_expectations.core.expectation_validation_result import ExpectationSuiteValidationResult

from headrace.errors import StorageError
from headrace.quality.gx_page import sections

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def write_data_docs(folder: Path, *, results: Sequence[ExpectationSuiteValidationResult], keep: int = 50) -> Path:
    """Add runs to the Data Docs in ``folder``, keep the last ``keep`` of all, and give back the index page's path.

    Beside each run's page lies GX's result of it as JSON (``runs/*.json``). Writing the same run again replaces it.
    Raises StorageError when the folder can't be written.
    """
    runs = folder / "runs"
    try:
        runs.mkdir(parents=True, exist_ok=True)
        ordered = sorted(results, key=_run_file)
        for result in ordered[-keep:]:
            name = _run_file(result)
            _write(runs / f"{name}.html", _run_page(result))
            _write(runs / f"{name}.json", json.dumps(result.to_json_dict(), indent=1, ensure_ascii=False))
        for old in sorted(runs.glob("*.json"))[:-keep]:
            old.unlink()
            old.with_suffix(".html").unlink(missing_ok=True)
        index = folder / "index.html"
        _write(index, _index_page(sorted(runs.glob("*.json"), reverse=True)))
    except OSError as error:
        raise StorageError(
            f"{folder}: can't write Data Docs ({error.strerror}); make room or choose another folder"
        ) from None
    return index


def _write(path: Path, text: str) -> None:
    """A reader sees the old file or the new one, never a part."""
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def _run_file(result: ExpectationSuiteValidationResult) -> str:
    """A file name that sorts by time: time of the run, suite, and what tells two suites of like names apart."""
    run = result.meta["run_id"]
    stamp = run.run_time.strftime("%Y%m%dT%H%M%S%f")
    slug = re.sub(r"[^A-Za-z0-9]+", "-", result.suite_name).strip("-")[:40] or "suite"
    digest = hashlib.sha256(f"{result.suite_name}\0{run.run_name}".encode()).hexdigest()[:8]
    return f"{stamp}-{slug}-{digest}"


def _page(title: str, body: str) -> str:
    style = files("headrace.quality").joinpath("data_docs.css").read_text(encoding="utf-8")
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">\n'
        f"<style>{style}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def _table(head: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    """Cells are HTML already. A heading that ends with ``#`` is a column of numbers."""
    heads = list(head)
    kinds = [' class="number"' if name.endswith("#") else "" for name in heads]
    top = "".join(f"<th{kind}>{escape(name.rstrip('#'))}</th>" for name, kind in zip(heads, kinds, strict=True))
    lines = ("".join(f"<td{kind}>{cell}</td>" for cell, kind in zip(row, kinds, strict=True)) for row in rows)
    return (
        f"<table><thead><tr>{top}</tr></thead><tbody>"
        + "".join(f"<tr>{line}</tr>" for line in lines)
        + "</tbody></table>"
    )


def _verdict(success: object) -> str:
    return '<span class="passed">passed</span>' if success else '<span class="failed">failed</span>'


def _run_page(result: ExpectationSuiteValidationResult) -> str:
    meta = result.meta
    when = meta["run_id"].run_time.strftime("%Y-%m-%d %H:%M:%S %Z")
    rows = [_rule_row(one.to_json_dict()) for one in result.results]
    skipped = meta.get("not_evaluated") or []
    body = [
        '<p><a href="../index.html">All runs</a></p>',
        f"<h1>{escape(result.suite_name)}: {_verdict(result.success)}</h1>",
        f'<p class="about">{escape(str(meta["run_id"].run_name))}, {when}, {meta.get("rows", 0):,} rows.</p>',
        "<p>Counts only: no value of a record is shown here.</p>",
        "<h2>Rules</h2>",
        _table(["Rule", "Severity", "Verdict", "Rows#", "Failed#", "Null#", "Notes"], rows),
    ]
    if skipped:
        body.append(f"<p>Not evaluated, as they need a table's data: {escape(', '.join(map(str, skipped)))}.</p>")
    return _page(f"{result.suite_name}, {when}", "\n".join([*body, "<h2>Great Expectations</h2>", sections(result)]))


def _rule_row(one: Mapping[str, Any]) -> list[str]:
    config, counts = one["expectation_config"], one.get("result") or {}
    notes = config.get("notes") or ""
    text = "\n".join(map(str, notes)) if isinstance(notes, list) else str(notes)
    return [
        f"<code>{escape(str((config.get('meta') or {}).get('rule_id', config['type'])))}</code>",
        f"<span>{escape(str(config.get('severity') or 'critical'))}</span>",
        _verdict(one["success"]),
        *(_number(counts.get(name)) for name in ("element_count", "unexpected_count", "missing_count")),
        escape(text),
    ]


def _number(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else ""


def _index_page(runs: Sequence[Path]) -> str:
    rows: list[list[str]] = []
    for file in runs:
        run = json.loads(file.read_text(encoding="utf-8"))
        meta, statistics = run["meta"], run["statistics"]
        failed = sum((one.get("result") or {}).get("unexpected_count") or 0 for one in run["results"])
        when = str(meta["run_id"]["run_time"]).replace("T", " ")[:19] + " UTC"
        rows.append(
            [
                f'<a href="runs/{file.stem}.html">{escape(when)}</a>',
                escape(str(run["suite_name"])),
                escape(str(meta["run_id"]["run_name"])),
                _verdict(run["success"]),
                _number(meta.get("rows")),
                f"{statistics['successful_expectations']} of {statistics['evaluated_expectations']}",
                _number(failed),
            ]
        )
    head = ["Run", "Suite", "Name", "Verdict", "Rows#", "Rules passed#", "Failures#"]
    about = "What Great Expectations says of each batch, newest first. A row that fails two rules is two failures."
    return _page("Data Docs", f'<h1>Data Docs</h1>\n<p class="about">{about}</p>\n{_table(head, rows)}')
