"""The JSON Schema of the pipeline file."""

from __future__ import annotations

import json

from headrace.spec.pipeline import PipelineFile


def pipeline_json_schema() -> str:
    """JSON Schema (2020-12) text; ``conf/pipeline.schema.json`` is this."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **PipelineFile.model_json_schema(by_alias=True),
        "title": "Headrace pipeline file",
    }
    return json.dumps(schema, indent=2) + "\n"
