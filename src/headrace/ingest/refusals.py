"""Why Kafka does not let a client in, in one sentence: a log-in, a certificate, or a right that is missing.

librdkafka tells a caller only that nothing answered; the reason comes by a callback. So where a question failed, somebody else
asks once more and listens.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

LISTEN_S = 5.0
_REMEDY = "docs/operations.md lists what each command needs"
_NO_TLS = "the broker does not speak TLS at this port; correct the port, or kafka.options.security.protocol"
_UNTRUSTED = (
    "the broker's certificate is not trusted; let kafka.options.ssl.ca.location name the certificate of the authority that "
    "signed it, and reach the broker by a name that stands in it"
)
_LOGIN = "Kafka refused the log-in; correct kafka.options.sasl.username, sasl.password and sasl.mechanism"
_TOPIC = (
    "Kafka does not let this user into the topic{topic}; grant it READ and DESCRIBE to read, WRITE and DESCRIBE to write "
    f"({_REMEDY})"
)
_GROUP = f"Kafka lets this user into no consumer group; grant it READ on groups that begin with headrace- ({_REMEDY})"
_CLUSTER = f"Kafka does not let this user do that with the cluster; grant it the right ({_REMEDY})"
_SAID = {
    r"wrong.version.number|record overflow|unsupported protocol": _NO_TLS,
    r"certificate verify failed|certificate_unknown|PKIX path|SSL handshake failed|SslAuthenticationException": _UNTRUSTED,
    r"SASL authentication error|SaslAuthenticationException|SASL_AUTHENTICATION_FAILED|_AUTHENTICATION": _LOGIN,
    r"TopicAuthorizationException|TOPIC_AUTHORIZATION_FAILED|(?i:topic authorization failed)|authorized to access topics": _TOPIC,
    r"GroupAuthorizationException|GROUP_AUTHORIZATION_FAILED|(?i:group authorization failed)": _GROUP,
    r"ClusterAuthorizationException|CLUSTER_AUTHORIZATION_FAILED|(?i:cluster authorization failed)": _CLUSTER,
}
"""Signs in what librdkafka and the Java client say, and the sentence for each."""


def refusal(text: str, *, topic: str | None = None, writing: bool = False) -> str | None:
    """The sentence for what a client of Kafka (librdkafka's or Java's) says, or None where it tells of no refusal.

    ``writing``: of a producer. Before its first record it asks the cluster for an id, which Kafka refuses to a user who may
    write into no topic: what is missing is the right to the topic.
    """
    for sign, sentence in _SAID.items():
        if re.search(sign, text):
            sentence = _TOPIC if writing and sentence is _CLUSTER else sentence
            return sentence.replace("{topic}", f" {topic!r}" if topic else "")
    return None


def told_why(bootstrap: str, options: Mapping[str, str]) -> str | None:
    """The sentence for why the broker lets nobody in, or None where it says nothing of that for 5 s."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    heard: list[str] = []
    settings: dict[str, Any] = {**options, "bootstrap.servers": bootstrap, "log_level": 0}
    settings["error_cb"] = lambda error: heard.append(f"{error.name()} {error.str()}")
    try:
        admin = AdminClient(settings)
    except KafkaException as error:
        return refusal(str(error))
    until = time.monotonic() + LISTEN_S
    while time.monotonic() < until:
        admin.poll(0.2)
        for text in heard:
            found = refusal(text)
            if found:
                return found
    return None
