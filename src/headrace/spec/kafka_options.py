"""The options of Kafka that a pipeline file may set, and what their values may be.

Kafka's clients can be told to load classes and libraries, to run a command (for Kerberos tickets), to ask an address for a token,
and to skip the check of a certificate. So there is a list of what is allowed, not of what is forbidden. All have librdkafka's
names, and each is right for both clients: librdkafka, and the Java client inside Spark.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from headrace.spec.environment import has_reference
from headrace.spec.places import kafka_file

FILE = "file:"
SECRETS = frozenset(["sasl.password", "ssl.keystore.password"])
"""Options whose value is a secret: it comes from the environment or from a file."""
LOCATIONS = frozenset(["ssl.ca.location", "ssl.keystore.location"])
"""Options whose value is the path of a file that Kafka's clients read."""
_NUMBER = r"[0-9]{1,10}"
_TEXT = r"[^\x00-\x1f\x7f]{1,256}"
_VALUES = {
    "security.protocol": "PLAINTEXT|SSL|SASL_PLAINTEXT|SASL_SSL",
    "sasl.mechanism": "PLAIN|SCRAM-SHA-256|SCRAM-SHA-512",
    "sasl.username": _TEXT,
    "sasl.password": r"[^\x00-\x1f\x7f]+",
    "ssl.ca.location": _TEXT,
    "ssl.keystore.location": _TEXT,
    "ssl.keystore.password": r"[^\x00-\x1f\x7f]+",
    "client.id": r"[\w.-]{1,100}",
    "client.rack": r"[\w.-]{1,100}",
    "connections.max.idle.ms": _NUMBER,
    "metadata.max.age.ms": _NUMBER,
    "reconnect.backoff.ms": _NUMBER,
    "reconnect.backoff.max.ms": _NUMBER,
    "retry.backoff.ms": _NUMBER,
    "socket.connection.setup.timeout.ms": _NUMBER,
}
NAMES = tuple(_VALUES)
_INSTEAD = {
    "sasl.mechanisms": "write sasl.mechanism",
    "sasl.jaas.config": "write sasl.username and sasl.password, from which Headrace makes it",
    "ssl.truststore.location": "write ssl.ca.location",
    "enable.ssl.certificate.verification": "the broker's certificate is always verified",
    "ssl.endpoint.identification.algorithm": "the broker's name is always verified",
}


def problems(
    written: Mapping[str, object], options: Mapping[str, str], *, folder: Path, environment: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """What is wrong, as (option, sentence). ``written``: the options before values of the environment were put in."""
    for name, value in options.items():
        as_written = written.get(name)
        what = _problem(name, str(as_written), value, folder, environment)
        if what:
            yield name, f"kafka.options.{name} {what}"


def _problem(name: str, written: str, value: str, folder: Path, environment: Mapping[str, str]) -> str | None:
    if name not in _VALUES:
        return f"is not allowed; {_remedy(name)}"
    if name in SECRETS and not (has_reference(written) or value.startswith(FILE)):
        return "holds a secret in clear; write ${NAME} and set it in the environment, or file:PATH"
    if value.startswith(FILE) and name not in SECRETS:
        return f"can't be read from a file; only {' and '.join(sorted(SECRETS))} can"
    if not re.fullmatch(_VALUES[name], value):
        choice = _VALUES[name].replace("|", ", ") if re.fullmatch(r"[A-Z0-9_|-]+", _VALUES[name]) else ""
        expected = f"expected one of {choice}" if choice else "expected a number" if _VALUES[name] == _NUMBER else ""
        return f"has a value that can't be right; {expected or 'expected a text without control characters'}"
    if name in LOCATIONS or value.startswith(FILE):
        try:
            kafka_file(folder, value.removeprefix(FILE), environment, certificate=name in LOCATIONS)
        except ValueError as error:
            return f"names a file that may not be read: {error}"
    return None


def _remedy(name: str) -> str:
    if name in _INSTEAD:
        return _INSTEAD[name]
    near = difflib.get_close_matches(name, NAMES, n=1, cutoff=0.85)
    return f"did you mean {near[0]}?" if near else f"allowed are {', '.join(NAMES)}"
