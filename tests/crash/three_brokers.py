"""Three brokers, each with a copy of every record: one may go, and another one leads."""

from __future__ import annotations

import re
import time
from pathlib import Path

import psutil
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from headrace.embedded.jars import KAFKA, fetch
from headrace.embedded.java import find_java
from headrace.embedded.kafka_files import log4j2_xml, server_properties
from headrace.embedded.kafka_process import format_data, new_cluster_id, spawn, wait_until_it_answers
from headrace.embedded.ports import free_ports

PATIENCE_S = 90
NODES = (1, 2, 3)


class ThreeBrokers:
    """A cluster whose brokers are controllers too; a write is confirmed once two of them have it."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._java = folder, find_java().path
        self._classpath = f"{fetch(KAFKA)[0].parent}/*"
        ports = free_ports(str(folder), count=6)
        self._ports, self._controllers = (
            dict(zip(NODES, ports[:3], strict=True)),
            dict(zip(NODES, ports[3:], strict=True)),
        )
        self._cluster, self._processes = new_cluster_id(), dict[int, psutil.Process]()
        for node in NODES:
            self._write(node)
        for node in NODES:
            self._spawn(node)
        for node in NODES:
            self._wait(node)

    @property
    def bootstrap(self) -> str:
        return ",".join(f"127.0.0.1:{port}" for port in self._ports.values())

    def leader(self, topic: str, partition: int) -> int:
        """Number of the broker that leads a partition; waits for one that lives."""
        end = time.monotonic() + PATIENCE_S
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0, "error_cb": lambda _: None})
        while time.monotonic() < end:
            try:
                found = admin.list_topics(topic, timeout=5).topics[topic].partitions[partition].leader
            except KafkaException:
                continue
            if found in self._processes:
                return found
            time.sleep(0.1)
        raise AssertionError(f"nobody leads {topic}/{partition}")

    def kill(self, node: int) -> None:
        """Its process ends at once."""
        process = self._processes.pop(node)
        process.kill()
        process.wait(30)

    def start(self, node: int) -> None:
        """Start it again."""
        self._spawn(node)
        self._wait(node)

    def stop(self) -> None:
        for node in list(self._processes):
            self.kill(node)

    def _write(self, node: int) -> None:
        home = self._folder / str(node)
        for part in ("log", "data"):
            (home / part).mkdir(parents=True)
        (home / "log4j2.xml").write_text(log4j2_xml())
        text = server_properties(port=self._ports[node], controller_port=self._controllers[node])
        voters = ",".join(f"{one}@127.0.0.1:{port}" for one, port in self._controllers.items())
        for name, value in {
            "node.id": node,
            "controller.quorum.voters": voters,
            "default.replication.factor": 3,
            "offsets.topic.replication.factor": 3,
        }.items():
            text, changed = re.subn(rf"(?m)^{re.escape(name)}=.*$", f"{name}={value}", text)
            assert changed == 1, name
        (home / "server.properties").write_text(f"{text}min.insync.replicas=2\n")
        format_data(home, java=self._java, classpath=self._classpath, cluster_id=self._cluster)

    def _spawn(self, node: int) -> None:
        process = spawn(
            self._folder / str(node), java=self._java, classpath=self._classpath, mark=f"-Dheadrace.test.node={node}"
        )
        assert process is not None
        self._processes[node] = process

    def _wait(self, node: int) -> None:
        assert wait_until_it_answers(
            self._processes[node], port=self._ports[node], cluster_id=self._cluster, timeout=PATIENCE_S
        )
