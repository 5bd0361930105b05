"""A real broker that lets nobody in without a log-in, over TLS, and to nothing that no ACL grants."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from headrace.embedded.jars import KAFKA, fetch
from headrace.embedded.java import find_java
from headrace.embedded.kafka_files import log4j2_xml, server_properties
from headrace.embedded.kafka_process import new_cluster_id
from headrace.embedded.ports import free_ports

ADMIN, ADMIN_PASSWORD = "admin", "admin-pw-5b1f0c"
PASSWORD = 'pw-9d27"e\\41'
"""Of every other user. A quote and a backslash are what a JAAS line trips over."""
_PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule required"
Grant = tuple[str, str, str]
"""Resource (``topic:NAME``, ``topic:PREFIX*``, ``group:NAME``), operation, user."""


@dataclass(frozen=True)
class SecuredBroker:
    """Its address, the certificate to trust, and one that it does not belong to."""

    bootstrap: str
    ca: Path
    other_ca: Path
    process: subprocess.Popen[bytes]

    def settings(self, user: str, password: str = PASSWORD) -> dict[str, Any]:
        """librdkafka's, for a user."""
        return {
            "bootstrap.servers": self.bootstrap, "security.protocol": "SASL_SSL", "ssl.ca.location": str(self.ca),
            "sasl.mechanism": "SCRAM-SHA-256", "sasl.username": user, "sasl.password": password,
            "log_level": 0, "error_cb": lambda _: None,
        }  # fmt: skip

    @property
    def admin(self) -> AdminClient:
        return AdminClient(self.settings(ADMIN, ADMIN_PASSWORD))

    def grant(self, *grants: Grant) -> None:
        """Allow what is named, and return once the broker has taken it up."""
        admin = self.admin
        for made in admin.create_acls([_binding(*grant) for grant in grants], request_timeout=20).values():
            made.result(20)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


def _binding(resource: str, operation: str, user: str) -> AclBinding:
    kind, _, name = resource.partition(":")
    pattern = ResourcePatternType.PREFIXED if name.endswith("*") else ResourcePatternType.LITERAL
    return AclBinding(
        ResourceType[kind.upper()], name.removesuffix("*"), pattern, f"User:{user}", "*", AclOperation[operation.upper()],
        AclPermissionType.ALLOW,
    )  # fmt: skip


def start_secured(folder: Path, users: Sequence[str]) -> SecuredBroker:
    """Start it in an empty folder; it answers when this returns."""
    folder.mkdir(parents=True)
    (folder / "log").mkdir()
    ca, key = _certificate("Headrace tests")
    other, _ = _certificate("Somebody else")
    broker, broker_key = _certificate("localhost", issuer=ca, issuer_key=key)
    (folder / "broker.pem").write_bytes(_key_pem(broker_key) + _pem(broker) + _pem(ca))
    (folder / "ca.pem").write_bytes(_pem(ca))
    (folder / "other.pem").write_bytes(_pem(other))
    port, controller_port, inner_port = free_ports(str(folder), count=3)
    properties = server_properties(port=port, controller_port=controller_port)
    (folder / "server.properties").write_text(_secured(properties, port, controller_port, inner_port))
    (folder / "log4j2.xml").write_text(log4j2_xml())
    java = [
        str(find_java().path),
        "-Xmx512m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-cp",
        f"{fetch(KAFKA)[0].parent}/*",
    ]
    java += ["-Dlog4j2.configurationFile=log4j2.xml"]
    format_it = ["kafka.tools.StorageTool", "format", "-t", new_cluster_id(), "-c", "server.properties"]
    format_it += ["-S", f"SCRAM-SHA-256=[name={ADMIN},password={ADMIN_PASSWORD}]"]
    done = subprocess.run([*java, *format_it], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    log = (folder / "log" / "stdout.log").open("wb")
    process = subprocess.Popen([*java, "kafka.Kafka", "server.properties"], cwd=folder, stdout=log, stderr=log)
    made = SecuredBroker(f"localhost:{port}", folder / "ca.pem", folder / "other.pem", process)
    _await(made)
    salted = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 4096)
    admin = made.admin
    wanted: list[Any] = [UserScramCredentialUpsertion(user, salted, PASSWORD.encode()) for user in users]
    for done_for in admin.alter_user_scram_credentials(wanted, request_timeout=30).values():
        done_for.result(30)
    return made


def _secured(properties: str, port: int, controller_port: int, inner_port: int) -> str:
    """The embedded broker's own settings, with every listener behind a log-in."""
    open_to_all = ("listeners", "advertised.listeners", "listener.security.protocol.map", "inter.broker.listener.name")
    kept = [line for line in properties.splitlines() if line.partition("=")[0] not in open_to_all]
    inner = f'{_PLAIN} username="{ADMIN}" password="{ADMIN_PASSWORD}" user_{ADMIN}="{ADMIN_PASSWORD}";'
    settings: Mapping[str, str] = {
        "listeners": f"SASL_SSL://127.0.0.1:{port},INNER://127.0.0.1:{inner_port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"SASL_SSL://localhost:{port},INNER://127.0.0.1:{inner_port}",
        "listener.security.protocol.map": "SASL_SSL:SASL_SSL,INNER:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT",
        "inter.broker.listener.name": "INNER",
        "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256",
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        "sasl.mechanism.controller.protocol": "PLAIN",
        "listener.name.sasl_ssl.sasl.enabled.mechanisms": "SCRAM-SHA-256",
        "listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config":
            "org.apache.kafka.common.security.scram.ScramLoginModule required;",
        "listener.name.inner.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.inner.plain.sasl.jaas.config": inner,
        "listener.name.controller.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.controller.plain.sasl.jaas.config": inner,
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": "broker.pem",
        "ssl.client.auth": "none",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": f"User:{ADMIN}",
        "allow.everyone.if.no.acl.found": "false",
    }  # fmt: skip
    return "".join(f"{line}\n" for line in [*kept, *(f"{name}={value}" for name, value in settings.items())])


def _await(broker: SecuredBroker) -> None:
    """Return once the admin's log-in is taken."""
    for _ in range(60):
        try:
            broker.admin.list_topics(timeout=1)
        except KafkaException:
            assert broker.process.poll() is None, "the broker ended; see log/"
        else:
            return
    raise AssertionError("the broker does not answer; see log/")


def _certificate(
    name: str, *, issuer: x509.Certificate | None = None, issuer_key: ec.EllipticCurvePrivateKey | None = None
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """A certificate for this machine and its key; an authority's own where no issuer is given."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(names, critical=False)
    )
    return builder.sign(issuer_key or key, hashes.SHA256()), key


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
