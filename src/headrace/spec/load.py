"""Reading a pipeline file: everything that is wrong is reported at once, each with its line."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast, get_args, get_origin

from pydantic import BaseModel, Tag, ValidationError

from headrace.errors import SpecError
from headrace.located import Document, Problem, read
from headrace.spec.check import check_meaning
from headrace.spec.environment import substitute
from headrace.spec.pipeline import Pipeline, PipelineFile
from headrace.spec.places import beside
from headrace.spec.schema_file import SchemaFile, read_schema

_LOGIN = re.compile(r"://[^/@\s]*@")


def load(path: str | Path, environment: Mapping[str, str] | None = None) -> Pipeline:
    """The checked pipeline in a folder (its ``pipeline.yaml``) or file.

    Raises SpecError whose message lists every problem, one ``file:line: what`` per line.
    """
    pipeline, problems = examine(path, environment)
    if pipeline is None or problems:
        raise SpecError("\n".join(str(problem) for problem in problems))
    return pipeline


def examine(path: str | Path, environment: Mapping[str, str] | None = None) -> tuple[Pipeline | None, list[Problem]]:
    """The pipeline (None where the file is too wrong to build one) and all problems found, in the order of their lines."""
    file = Path(path)
    if file.is_dir():
        file = file / "pipeline.yaml"
    document = read(file)
    if not isinstance(document.data, dict):
        return None, [document.problem("expected a mapping with the keys 'pipeline' and 'streams'")]
    environment = os.environ if environment is None else environment
    data, problems = substitute(document, environment)
    try:
        spec = PipelineFile.model_validate(data)
    except ValidationError as error:
        return None, sorted({*problems, *_problems(document, error)}, key=lambda p: (str(p.file), p.line, p.message))
    schemas: dict[str, SchemaFile] = {}
    for name, stream in spec.streams.items():
        where = ("streams", name, "schema")
        try:
            schema, found = read_schema(beside(file.parent, stream.schema_file))
        except (SpecError, ValueError) as error:
            problems.append(document.problem(f"schema: {error}", *where))
            continue
        problems += found
        if schema:
            schemas[name] = schema
    pipeline = Pipeline(file, spec, schemas, file.read_text(encoding="utf-8"))
    problems += check_meaning(pipeline, document, environment)
    return pipeline, sorted(set(problems), key=lambda p: (str(p.file), p.line, p.message))


def _problems(document: Document, error: ValidationError) -> list[Problem]:
    problems: list[Problem] = []
    for detail in error.errors():
        written = _written(document.data, detail["loc"])
        where = ".".join(str(part) for part in written)
        if detail["type"] == "extra_forbidden":
            message = f"unknown key {where!r}{_nearest(detail['loc'])}"
        elif detail["type"] == "missing":
            missing = str(detail["loc"][-1])
            message = f"{where or 'the file'} lacks the key {missing!r}"
        else:
            text = detail["msg"].removeprefix("Value error, ")
            got = _as_written(document.data, written)  # not what it was replaced by: that may be a secret
            shown = (
                f", got {_LOGIN.sub('://...@', repr(got))}"
                if isinstance(got, (str, int, float, bool)) and repr(got) not in text
                else ""
            )
            message = f"{where}: {text[0].lower()}{text[1:]}{shown}"
        problems.append(document.problem(message, *written))
    return problems


def _written(data: Any, location: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """The part of pydantic's location that exists in the file (it also names union members)."""
    path: list[int | str] = []
    for part in location:
        if (isinstance(data, dict) and part in data) or (
            isinstance(data, list) and isinstance(part, int) and part < len(data)
        ):
            data = cast(dict[Any, Any], data)[part]
        else:
            continue
        path.append(part)
    return tuple(path)


def _as_written(data: Any, location: tuple[int | str, ...]) -> Any:
    for part in location:
        data = data[part]
    return data


def _nearest(location: tuple[int | str, ...]) -> str:
    keys = _keys_at(location[:-1])
    near = difflib.get_close_matches(str(location[-1]), keys, n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; expected one of {', '.join(keys)}" if keys else ""


def _keys_at(location: tuple[int | str, ...]) -> list[str]:
    """The keys that the section at a location knows."""
    kind: Any = PipelineFile
    for part in location:
        kind = _below(kind, part)
    section = _model_in(kind)
    return [field.alias or name for name, field in section.model_fields.items()] if section else []


def _below(annotation: Any, part: int | str) -> Any:
    """The annotation of what stands under ``part``: a section's key, a mapping's or list's any, or a union's member by name."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {field.alias or name: field.annotation for name, field in annotation.model_fields.items()}.get(str(part))
    arguments = get_args(annotation)
    if get_origin(annotation) in (dict, tuple):
        return arguments[1] if get_origin(annotation) is dict else arguments[0]
    for argument in arguments:
        named = getattr(argument, "__name__", None) == part or Tag(str(part)) in get_args(argument)
        found = argument if named else _below(argument, part)
        if found is not None:
            return found
    return None


def _model_in(annotation: Any) -> Any:
    """The section inside an annotation such as ``dict[str, Stream]``, ``tuple[Last, ...]`` or ``Model | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in get_args(annotation):
        found = _model_in(argument)
        if found is not None:
            return found
    return None
