"""Whether copies can be known by the columns that a stream names for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from headrace.located import Document, Key, Problem
from headrace.spec import columns
from headrace.spec.section import seconds
from headrace.spec.stream import Stream

_EXACT = ("string", "int", "bigint", "boolean", "timestamp", "date", columns.UNKNOWN)


def check_duplicates(stream: Stream, known: Mapping[str, str], document: Document, key: Key) -> Iterable[Problem]:
    """``known``: column to type after ``normalize``."""
    if stream.duplicates is None:
        return
    kept, within = stream.retention.accepted, stream.duplicates.within
    if kept is not None and seconds(kept) < seconds(within):
        yield document.problem(
            f"retention.accepted: {kept} is shorter than duplicates.within: {within}, so first records would be gone before "
            "their copies; keep them at least as long",
            *key, "retention", "accepted",
        )  # fmt: skip
    names = stream.duplicates.by
    protected = {path[0] for path, protection in stream.protections.items() if protection != "public"}
    for index, name in enumerate(names):
        where: Key = (*key, "duplicates", "by", index)
        if name not in known:
            yield document.problem(f"no column {name!r}; expected one of {', '.join(sorted(known))}", *where)
        elif name in names[:index]:
            yield document.problem(f"duplicates.by names {name!r} twice", *where)
        elif name in protected:
            yield document.problem(
                f"duplicates.by: {name!r} is protected, so the table lacks the value that a new start compares with; choose a "
                "column that is stored as it is, such as the event's id",
                *where,
            )
        elif known[name] not in _EXACT and not known[name].startswith("decimal("):
            yield document.problem(
                f"duplicates.by: {name!r} is a {known[name]}, which has no exact equality; choose columns of type "
                "string, long, integer, boolean, decimal, timestamp or date",
                *where,
            )
