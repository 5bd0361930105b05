"""Topics, tables and models as OpenLineage names them. Names and types only: no value of a record gets here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import attr
from openlineage.client.event_v2 import InputDataset, OutputDataset, set_producer
from openlineage.client.generated.base import DatasetFacet, InputDatasetFacet, OutputDatasetFacet
from openlineage.client.generated.dataset_version_dataset import DatasetVersionDatasetFacet
from openlineage.client.generated.output_statistics_output_dataset import OutputStatisticsOutputDatasetFacet
from openlineage.client.generated.schema_dataset import SchemaDatasetFacet, SchemaDatasetFacetFields

from headrace.audit.findings import Ranges

PRODUCER = "urn:headrace:0"
set_producer(PRODUCER)


@attr.define
class KafkaOffsetsInputDatasetFacet(InputDatasetFacet):
    """The offsets of a topic that were read: partition to ranges of the first and the one behind the last."""

    partitions: dict[str, list[list[int]]]

    @staticmethod
    def _get_schema() -> str:
        return "urn:headrace:facets:KafkaOffsetsInputDatasetFacet:1"


@dataclass(frozen=True)
class Dataset:
    """A topic, table or model: its name, and what is known of this use of it."""

    namespace: str
    name: str
    version: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    """Column to its type."""
    offsets: Ranges = field(default_factory=dict)
    rows: int | None = None
    """That were written."""

    def as_input(self) -> InputDataset:
        """What was read of it."""
        offsets = {str(partition): [list(span) for span in spans] for partition, spans in self.offsets.items()}
        told: dict[str, InputDatasetFacet] = {}
        if offsets:
            told["headrace_kafkaOffsets"] = KafkaOffsetsInputDatasetFacet(offsets)
        return InputDataset(self.namespace, self.name, facets=self._facets(), inputFacets=told)

    def as_output(self) -> OutputDataset:
        """What was written to it."""
        told: dict[str, OutputDatasetFacet] = {}
        if self.rows is not None:
            told["outputStatistics"] = OutputStatisticsOutputDatasetFacet(rowCount=self.rows)
        return OutputDataset(self.namespace, self.name, facets=self._facets(), outputFacets=told)

    def _facets(self) -> dict[str, DatasetFacet]:
        found: dict[str, DatasetFacet] = {}
        if self.version is not None:
            found["version"] = DatasetVersionDatasetFacet(self.version)
        if self.fields:
            columns = [SchemaDatasetFacetFields(name, kind) for name, kind in self.fields.items()]
            found["schema"] = SchemaDatasetFacet(columns)
        return found


def topic(bootstrap: str, name: str, *, offsets: Ranges | None = None) -> Dataset:
    """A topic. ``bootstrap``: addresses of brokers, of which the first names it."""
    return Dataset(f"kafka://{bootstrap.partition(',')[0].strip()}", name, offsets=offsets or {})


def table(
    path: str, *, version: int | None = None, fields: Mapping[str, str] | None = None, rows: int | None = None
) -> Dataset:
    """A Delta table, by its path."""
    scheme = re.match(r"([a-z0-9]+)://", path)
    told = str(version) if version is not None else None
    if scheme is None or scheme[1] == "file":
        return Dataset("file", urlsplit(path).path if scheme else path, told, fields or {}, rows=rows)
    place = urlsplit(path.replace("s3a://", "s3://", 1))
    return Dataset(f"{place.scheme}://{place.netloc}", place.path.lstrip("/"), told, fields or {}, rows=rows)


def model(tracking_uri: str, name: str, *, version: int | None = None) -> Dataset:
    """A registered model. Of the store's URI only scheme, host and port are told."""
    place = urlsplit(tracking_uri)
    host = f"{place.hostname or 'local'}{f':{place.port}' if place.port else ''}"
    return Dataset(f"mlflow://{host}", name, str(version) if version is not None else None)
