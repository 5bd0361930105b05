"""Where lineage events go."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from headrace.spec.section import Duration, Section

EventsFile = Annotated[str, StringConstraints(pattern=r"^(/?[^\x00-\x1f\x7f:]{1,1000}\.(jsonl|ndjson))?$")]
"""A local path whose name says that it holds JSON lines: no other file is ever appended to."""
ServerUrl = Annotated[
    str, StringConstraints(pattern=r"^(https?://[^/?#@\s\x00-\x1f\x7f]+(/[^?#@\s\x00-\x1f\x7f]*)?)?$", max_length=1000)
]
"""Without a log-in, and without parameters."""


class Lineage(Section):
    """OpenLineage events of each job, to a file or to a server."""

    transport: Literal["file", "http"]
    path: EventsFile = Field(default="", description="of the file, which ends in .jsonl or .ndjson")
    url: ServerUrl = Field(default="", description="of a server that speaks OpenLineage, such as Marquez")
    endpoint: str = Field(default="api/v1/lineage", pattern=r"^[A-Za-z0-9._~/-]{1,200}$", description="below the url")
    api_key: str = Field(default="", repr=False, description="sent as a bearer token; only as ${NAME}")
    every: Duration = Field(default="60s", description="at most one event of a running job in this time")

    @model_validator(mode="after")
    def _one_place(self) -> Lineage:
        if self.transport == "file" and (not self.path or self.url or self.api_key):
            raise ValueError("transport: file needs a path, and no url or api_key")
        if self.transport == "http" and (not self.url or self.path):
            raise ValueError("transport: http needs a url, and no path")
        return self
