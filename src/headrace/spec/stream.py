"""One stream: a topic, its schema, and what happens to each of its records."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from headrace.spec.paths import Path, parse_path
from headrace.spec.protect import Protection
from headrace.spec.section import Days, Duration, Name, Section

Unit = Literal["fahrenheit_to_celsius", "mph_to_ms", "miles_to_km", "feet_to_m", "inches_to_mm"]
Privacy = Literal["warn", "strict"]
"""What a value does that looks personal in a column that nobody classified: a warning, or its record is quarantined."""


CsvColumn = Annotated[str, StringConstraints(pattern=r"^[^`\x00-\x1f\x7f]{1,128}$")]
"""The name of a column as it stands in the first line of a CSV file."""


class Normalize(Section):
    """Deterministic tidying, in this order: trim, empty text to null, case, units, renaming, derived columns."""

    trim: bool = Field(default=True, description="strip white space at both ends of every text")
    empty_as_null: bool = Field(default=True, description="an empty text means: no value")
    case: dict[str, Literal["upper", "lower"]] = Field(default={}, description="column: upper or lower case")
    units: dict[str, Unit] = Field(default={}, description="column: conversion; the column keeps its name")
    rename: dict[str, Name] = Field(default={}, description="old name: new name")
    derive: dict[Name, str] = Field(default={}, description="new column: SQL expression over the columns before")


class Enrich(Section):
    """Columns looked up in a reference table by equality of one column."""

    reference: Name
    on: str = Field(description="the stream's column that holds the reference's key")
    columns: dict[Name, str] = Field(description="new column: column of the reference")


class Duplicates(Section):
    """What makes a record a copy of an earlier one."""

    by: tuple[str, ...] = Field(min_length=1, description="the columns, after normalize, that are equal in both")
    within: Duration = Field(description="how far apart the Kafka timestamps of both may lie")


class Retention(Section):
    """How long rows stay, by the day on which they were ingested (UTC); what is not named stays for ever."""

    accepted: Days | None = Field(default=None, description="of accepted rows, and of their copies from producers")
    quarantined: Days | None = Field(default=None, description="of quarantined rows, with their sealed payloads")


class Stream(Section):
    """A topic and the way of its records into the table ``events/<name>``."""

    topic: str
    format: Literal["json"] = "json"
    schema_file: str = Field(alias="schema", description="Spark's schema JSON (what DataFrame.schema.json() prints)")
    event_time: str = Field(description="timestamp column: when it happened")
    known_at: str = Field(description="timestamp column: when it could be known")
    sent_within: Duration | None = Field(
        default=None,
        description="how long after its known_at a record is sent, at most; training refuses a stream that claims otherwise",
    )
    normalize: Normalize = Normalize()
    enrich: tuple[Enrich, ...] = ()
    expectations: str | None = Field(default=None, description="a Great Expectations suite (JSON)")
    protect: dict[str, Protection] = Field(
        default={}, description="column, or path such as billing.name or contacts[].email: what is written in its place"
    )
    subject: dict[Name, str] = Field(
        default={},
        description="kind of identifier (such as email): the field, or path, that names the person whom a record is about",
    )
    privacy: Privacy | None = Field(default=None, description="of this stream, if other than the pipeline's")
    duplicates: Duplicates | None = Field(default=None, description="how copies that a producer sends are known")
    unknown_fields: Literal["ignore", "quarantine", "evolve"] = Field(
        default="ignore",
        description="what a field that the schema lacks does: nothing, quarantine its record, add a column",
    )
    max_new_columns: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=50, description="of unknown_fields: evolve: so many columns and nested fields are added, all in all"
    )
    retention: Retention = Retention()
    max_record_bytes: Annotated[int, Field(ge=1, le=64 * 1024 * 1024)] = 1024 * 1024
    stop_above: Annotated[float, Field(gt=0, le=100)] | None = Field(
        default=None, description="stop when more than this percentage of a batch is quarantined"
    )
    max_offsets_per_trigger: Annotated[int, Field(ge=1)] = Field(
        default=200_000, description="a micro-batch never takes more records than this"
    )
    batch_seconds: Annotated[float, Field(gt=0)] = Field(
        default=10.0,
        description="how long a micro-batch should last: it takes as many records as it can write in this time",
    )

    @property
    def protections(self) -> dict[Path, Protection]:
        """What ``protect`` says, by the steps of each path."""
        found: dict[Path, Protection] = {}
        for text, protection in self.protect.items():
            path = parse_path(text)
            if path is not None:
                found[path] = protection
        return found

    @property
    def subjects(self) -> dict[str, Path]:
        """What ``subject`` says: kind of identifier to the steps of its path."""
        paths = {kind: parse_path(text) for kind, text in self.subject.items()}
        return {kind: path for kind, path in paths.items() if path is not None}

    @property
    def closed(self) -> dict[Path, Protection]:
        """The protections under which a value is not written as it is."""
        found = self.protections
        for path in [path for path, protection in found.items() if protection == "public"]:
            del found[path]
        return found


class Reference(Section):
    """A small table that streams are enriched from: a CSV file beside the pipeline, or inside an installed package."""

    package: str | None = Field(default=None, description="an installed distribution that carries the file")
    file: str
    key: str
    columns: dict[CsvColumn, Literal["string", "int", "long", "double"]]
