"""Where things are: Kafka, the lake, MLflow, the key ring."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from headrace.spec.kafka_options import FILE, LOCATIONS
from headrace.spec.section import Days, Section, seconds

EMBEDDED: Literal["embedded"] = "embedded"
_LARGEST_SECRET = 64 * 1024
_BROKERS = r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?"
_LAKES = (
    "file",
    "hdfs",
    "viewfs",
    "s3",
    "s3a",
    "gs",
    "abfs",
    "abfss",
    "wasb",
    "wasbs",
    "adl",
    "oci",
    "oss",
    "cosn",
    "ofs",
    "dbfs",
)
_STORES = r"(https?|sqlite|postgresql|mysql|mssql|databricks)(\+[a-z0-9]+)?"


class Kafka(Section):
    """The broker. ``embedded`` is a real single-node broker that ``headrace up`` starts on this machine."""

    bootstrap_servers: str = Field(default=EMBEDDED, description="host:port[,host:port...] or 'embedded'")
    options: dict[str, str] = Field(
        default={}, description="librdkafka settings of a fixed list; secrets only as ${NAME} or file:PATH"
    )

    @property
    def embedded(self) -> bool:
        return self.bootstrap_servers == EMBEDDED

    @field_validator("bootstrap_servers")
    @classmethod
    def _addresses(cls, servers: str) -> str:
        if not re.fullmatch(rf"{_BROKERS}(\s*,\s*{_BROKERS})*", servers):
            raise ValueError("expected host:port[,host:port...] or 'embedded'")
        return servers

    def client_options(self, folder: Path) -> dict[str, str]:
        """The options with ``file:PATH`` values read and paths made absolute; relative ones start at ``folder``.

        Raises OSError where a file can't be read, ValueError where it holds no secret.
        """
        made = {name: str((folder / self.options[name]).resolve()) for name in LOCATIONS & self.options.keys()}
        for name, value in self.options.items():
            if value.startswith(FILE):
                made[name] = _secret(folder / value.removeprefix(FILE), name)
        return {**self.options, **made}

    def __repr__(self) -> str:
        return f"Kafka(bootstrap_servers={self.bootstrap_servers!r}, options={sorted(self.options)})"

    __str__ = __repr__


def _secret(file: Path, name: str) -> str:
    with file.open("rb") as content:
        secret = content.read(_LARGEST_SECRET).decode("utf-8", "replace").strip()
    if not secret or not secret.isprintable():
        raise ValueError(f"kafka.options.{name}: the file {file} holds no secret (one line of text); correct it")
    return secret


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
        scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", path)
        if scheme and scheme[1].lower() not in _LAKES:
            raise ValueError(
                f"no lake can be at {scheme[1]}: addresses; expected a folder, or one of {', '.join(_LAKES)}"
            )
        if not path or not path.isprintable() or re.search(r"://[^/]*:[^/]*@", path):
            raise ValueError("expected a folder or a URI, without a password in it")
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
    experiment: str = Field(
        default="",
        pattern=r"^[^\x00-\x1f\x7f]{0,200}$",
        description="name of the experiment; the pipeline's name if empty",
    )

    @field_validator("tracking_uri")
    @classmethod
    def _a_store(cls, uri: str) -> str:
        """No driver of a database is given parameters: some of them name files, or code."""
        if uri != EMBEDDED and not re.fullmatch(rf"{_STORES}://[^?#\s]*|databricks", uri):
            raise ValueError("expected 'embedded', http(s)://HOST, or a database's URI without parameters (?...)")
        return uri


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
        if ring.startswith("vault:") and not re.fullmatch(r"vault:\w[\w.-]*(/\w[\w.-]*)+", ring, re.ASCII):
            raise ValueError("expected vault:MOUNT/PATH, such as vault:secret/headrace/payments")
        return ring
