"""From what a pipeline file says to addresses that answer: ``embedded`` starts (or finds) a server of the home folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from headrace.embedded.kafka import KafkaBroker
from headrace.embedded.mlflow_store import artifact_root, sqlite_uri
from headrace.errors import StorageError
from headrace.spec.connections import EMBEDDED
from headrace.spec.pipeline import Pipeline


@dataclass(frozen=True)
class Broker:
    """Where Kafka is, and how to talk to it (librdkafka settings). Its text form shows no setting's value."""

    bootstrap: str
    options: dict[str, str]

    def __repr__(self) -> str:
        return f"Broker({self.bootstrap!r}, options={sorted(self.options)})"


@dataclass(frozen=True)
class Tracking:
    """An MLflow store: its URI, the experiment, and where new experiments keep artifacts (None: the server decides)."""

    uri: str
    experiment: str
    artifacts: str | None


def home_folder() -> Path:
    """The folder of everything embedded: ``$HEADRACE_HOME``, or ``.headrace`` where the command runs."""
    return Path(os.environ.get("HEADRACE_HOME", ".headrace")).absolute()


def connect_broker(pipeline: Pipeline, *, home: Path, notify: Callable[[str], None] | None = None) -> Broker:
    """The pipeline's broker; the embedded one is started if it does not run. Raises what starting it raises."""
    kafka = pipeline.spec.kafka
    try:
        options = kafka.client_options(pipeline.folder)
    except ValueError as error:
        raise StorageError(str(error)) from None
    except OSError as error:
        raise StorageError(
            f"kafka.options: can't read {error.filename} ({error.strerror}); correct the path after file:"
        ) from None
    if not kafka.embedded:
        return Broker(kafka.bootstrap_servers, options)
    return Broker(KafkaBroker(home / "kafka").start(notify=notify).bootstrap, options)


def find_broker(pipeline: Pipeline, *, home: Path) -> Broker | None:
    """As :func:`connect_broker`, but the embedded broker is not started: None where it does not run."""
    if pipeline.spec.kafka.embedded and KafkaBroker(home / "kafka").find() is None:
        return None
    return connect_broker(pipeline, home=home)


def connect_tracking(pipeline: Pipeline, *, home: Path) -> Tracking:
    """The pipeline's MLflow store; the embedded one is a SQLite file that is made when it is first used."""
    mlflow = pipeline.spec.mlflow
    experiment = mlflow.experiment or pipeline.name
    if mlflow.tracking_uri == EMBEDDED:
        return Tracking(sqlite_uri(home), experiment, artifact_root(home))
    return Tracking(mlflow.tracking_uri, experiment, None)
