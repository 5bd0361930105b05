"""The pipeline file: frozen models, one file per section; reading and checking it without Spark."""

from headrace.spec.load import examine, load
from headrace.spec.pipeline import Pipeline, PipelineFile
from headrace.spec.unclassified import warn_of_unclassified

__all__ = ["Pipeline", "PipelineFile", "examine", "load", "warn_of_unclassified"]
