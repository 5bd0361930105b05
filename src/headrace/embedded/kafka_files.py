"""What the embedded broker reads (server.properties, log4j2.xml), and what its log says."""

from __future__ import annotations

import re
from pathlib import Path

from headrace.embedded.ports import LOCALHOST

# 16 MiB: the largest record that Headrace promises to carry
_LARGEST = 16 * 1024 * 1024
_FAULT = re.compile(r"^(?:Caused by: |Exception in thread \S+ )?[\w.$]+(?:Exception|Error)\b")


def server_properties(*, port: int, controller_port: int) -> str:
    """The configuration of a broker that is its own controller. Paths are relative to the folder it starts in."""
    settings = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@{LOCALHOST}:{controller_port}",
        "listeners": f"PLAINTEXT://{LOCALHOST}:{port},CONTROLLER://{LOCALHOST}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{LOCALHOST}:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": "data",
        # one broker: one copy of everything, and few partitions of its own topics
        "default.replication.factor": 1,
        "num.partitions": 1,
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 2,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 2,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "share.coordinator.state.topic.num.partitions": 1,
        "group.initial.rebalance.delay.ms": 0,
        # how long a broker that was killed keeps its successor waiting (9 s by default)
        "broker.heartbeat.interval.ms": 1000,
        "broker.session.timeout.ms": 4000,
        # a topic exists because somebody made it, and keeps what it was given (replayed records carry old times)
        "auto.create.topics.enable": "false",
        "log.retention.ms": -1,
        "message.max.bytes": _LARGEST,
        "replica.fetch.max.bytes": _LARGEST,
        "replica.fetch.response.max.bytes": 2 * _LARGEST,
        # a laptop's share of threads and memory
        "num.network.threads": 2,
        "num.io.threads": 4,
        "log.cleaner.dedupe.buffer.size": 32 * 1024 * 1024,
    }
    return "".join(f"{key}={value}\n" for key, value in settings.items())


def ports_in(properties: str) -> tuple[int, int] | None:
    """Port and controller port in the text of a server.properties that was written here; None if it isn't one."""
    found = re.search(r"^listeners=PLAINTEXT://[\d.]+:(\d+),CONTROLLER://[\d.]+:(\d+)$", properties, re.MULTILINE)
    return None if found is None else (int(found.group(1)), int(found.group(2)))


def log4j2_xml() -> str:
    """Logging at WARN into ``log/broker.log``, at most four files of 5 MB."""
    return """<?xml version="1.0" encoding="UTF-8"?>
<Configuration status="ERROR">
  <Appenders>
    <RollingFile name="file" fileName="log/broker.log" filePattern="log/broker.%i.log">
      <PatternLayout pattern="[%d] %p %m (%c{1})%n"/>
      <Policies><SizeBasedTriggeringPolicy size="5MB"/></Policies>
      <DefaultRolloverStrategy max="3"/>
    </RollingFile>
  </Appenders>
  <Loggers>
    <Root level="WARN"><AppenderRef ref="file"/></Root>
  </Loggers>
</Configuration>
"""


def last_fault(*logs: str) -> str:
    """The last line of the texts that names a fault: the innermost exception, else an ERROR, else the last line.

    An earlier text is preferred to a later one. Stack frames are never taken.
    """
    plain: list[str] = []
    for log in logs:
        lines = [line.strip() for line in log.splitlines() if line.strip() and not line.startswith(("\t", "    at "))]
        faults = [line for line in lines if _FAULT.match(line)]
        errors = [line for line in lines if re.search(r"\b(ERROR|FATAL)\b", line)]
        if faults or errors:
            return (faults or errors)[-1]
        plain += lines
    return plain[-1] if plain else "it wrote no log"


def read_from(path: Path, *, offset: int = 0) -> str:
    """The text of a log file from byte ``offset`` on; empty if it doesn't exist."""
    try:
        with path.open("rb") as log:
            log.seek(offset if path.stat().st_size >= offset else 0)
            return log.read().decode("utf-8", "replace")
    except OSError:
        return ""
