"""The pipeline file as one frozen value."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from headrace.spec.connections import Kafka, Keys, Lake, Mlflow
from headrace.spec.features import Features, Label
from headrace.spec.lineage import Lineage
from headrace.spec.model import Model, Scoring
from headrace.spec.parameters import SpecParameters
from headrace.spec.schema_file import SchemaFile
from headrace.spec.section import Name, Section
from headrace.spec.stream import Privacy, Reference, Stream


class PipelineFile(Section):
    """What a user writes in ``pipeline.yaml``."""

    pipeline: Name
    description: str = ""
    kafka: Kafka = Kafka()
    lake: Lake = Lake()
    mlflow: Mlflow = Mlflow()
    keys: Keys = Keys()
    privacy: Privacy = Field(
        default="warn",
        description="what a value that looks personal, in a column that is not under protect, does: warn or strict",
    )
    references: dict[Name, Reference] = Field(default={})
    streams: dict[Name, Stream] = Field(min_length=1)
    features: Features | None = None
    label: Label | None = None
    parameters: SpecParameters = SpecParameters()
    model: Model | None = None
    scoring: Scoring | None = None
    lineage: Lineage | None = Field(default=None, description="where OpenLineage events go; off if absent")


@dataclass(frozen=True)
class Pipeline:
    """A pipeline file that was read, checked and found right."""

    file: Path
    spec: PipelineFile
    schemas: dict[str, SchemaFile]
    """Stream name to schema."""
    text: str
    """The file as written (with its references to the environment, so without secrets)."""

    @property
    def name(self) -> str:
        return self.spec.pipeline

    @property
    def folder(self) -> Path:
        return self.file.parent

    @property
    def parameters_topic(self) -> str:
        """The compacted topic on which the model's parameters are published."""
        return f"{self.name}.parameters"

    @property
    def version(self) -> str:
        """First 12 hex digits of a SHA-256 over the file and all schemas and suites that it names."""
        digest = hashlib.sha256(self.text.encode())
        for stream in self.spec.streams.values():
            for name in (stream.schema_file, stream.expectations):
                if name:
                    digest.update((self.folder / name).read_bytes())
        return digest.hexdigest()[:12]

    def strict(self, stream: str) -> bool:
        """Whether a stream quarantines records with a value that looks personal in a column that nobody classified."""
        return (self.spec.streams[stream].privacy or self.spec.privacy) == "strict"

    def suite_file(self, stream: str) -> Path | None:
        """Path of the stream's GX suite."""
        name = self.spec.streams[stream].expectations
        return self.folder / name if name else None
