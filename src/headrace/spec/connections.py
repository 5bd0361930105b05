"""Where things are: Kafka, the lake, MLflow, the key ring."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from headrace.spec.section import Days, Section, seconds

EMBEDDED: Literal["embedded"] = "embedded"
SECRET_WORDS = ("password", "jaas", "secret", "token", "keystore.key", "key.pem", "access_key", "api_key", "private")
"""An option whose name contains one of these holds a secret and must come from the environment or a file."""


class Kafka(Section):
    """The broker. ``embedded`` is a real single-node broker that ``headrace up`` starts on this machine."""

    bootstrap_servers: str = Field(default=EMBEDDED, description="host:port[,host:port...] or 'embedded'")
    options: dict[str, str] = Field(default={}, description="librdkafka settings; secrets only as ${NAME} or file:PATH")

    @property
    def embedded(self) -> bool:
        return self.bootstrap_servers == EMBEDDED

    def client_options(self) -> dict[str, str]:
        """The options with ``file:PATH`` values read. Raises OSError where a file can't be read."""
        return {
            name: Path(value.removeprefix("file:")).read_text(encoding="utf-8").strip()
            if value.startswith("file:")
            else value
            for name, value in self.options.items()
        }

    def __repr__(self) -> str:
        return f"Kafka(bootstrap_servers={self.bootstrap_servers!r}, options={sorted(self.options)})"

    __str__ = __repr__


class Lake(Section):
    """The root of all Delta tables and checkpoints: a folder, or a URI that Spark can write (``s3a://...``)."""

    path: str = Field(default=".headrace/lake")
    keep_versions: Days = Field(
        default="7d",
        description="how long an older version of a table can still be read; headrace maintain removes the rest",
    )

    @field_validator("path")
    @classmethod
    def _no_trailing_slash(cls, path: str) -> str:
        return path.rstrip("/") or "/"

    @property
    def root(self) -> str:
        """The URI as it is, or the folder as an absolute path."""
        return self.path if "://" in self.path else str(Path(self.path).absolute())

    @property
    def versions_kept(self) -> timedelta:
        """``keep_versions`` as a time."""
        return timedelta(seconds=seconds(self.keep_versions))


class Mlflow(Section):
    """``embedded`` is a SQLite store under the home folder; anything else is an MLflow tracking URI."""

    tracking_uri: str = EMBEDDED
    experiment: str = Field(default="", description="name of the experiment; the pipeline's name if empty")


class Keys(Section):
    """The key ring for pseudonyms, encrypted columns and the quarantine's payloads."""

    ring: str = Field(
        default=".headrace/keys.json",
        description="a file of mode 0600; env:NAME, a variable that holds such a file's content; or vault:MOUNT/PATH",
    )

    @field_validator("ring")
    @classmethod
    def _a_place(cls, ring: str) -> str:
        if ring.startswith("env:") and not re.fullmatch(r"env:[A-Za-z_]\w*", ring, re.ASCII):
            raise ValueError("expected env:NAME, the name of an environment variable")
        if ring.startswith("vault:") and not re.fullmatch(r"vault:[\w.-]+(/[\w.-]+)+", ring, re.ASCII):
            raise ValueError("expected vault:MOUNT/PATH, such as vault:secret/headrace/payments")
        return ring
