"""The folder of a stranger, in which every case of the corpus plants one thing, and what watches over the check of it."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headrace.errors import SpecError
from headrace.spec import examine

LOOT = "loot-4c1d0b7e"
"""What stands in files and variables that are none of the stranger's business. It must show up nowhere."""
ENVIRONMENT = {
    "AWS_SECRET_ACCESS_KEY": LOOT,
    "GITHUB_TOKEN": LOOT,
    "HOME": "/home/" + LOOT,
    "KAFKA_PASSWORD": LOOT,
    "HEADRACE_KAFKA": "broker:9092",
    "HEADRACE_SQL": "amount",
}
FIELDS = [("id", "string"), ("at", "timestamp"), ("amount", "double"), ("kind", "string")]
SCHEMA: dict[str, Any] = {
    "type": "struct",
    "fields": [{"name": name, "type": kind, "nullable": True, "metadata": {}} for name, kind in FIELDS],
}
RULE: dict[str, Any] = {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "id"}}
_HARMFUL = (
    "subprocess.",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.system",
    "socket.",
    "pickle.",
    "ctypes.dlopen",
    "shutil.",
)
_CHANGING = (
    "os.remove",
    "os.rename",
    "os.mkdir",
    "os.rmdir",
    "os.link",
    "os.symlink",
    "os.truncate",
    "os.chmod",
    "os.putenv",
)


@dataclass
class Seen:
    """What the interpreter did while the hook listened: files that it opened outside, and everything that has an effect."""

    folder: Path
    deeds: list[str] = field(default_factory=list)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event.startswith(_HARMFUL) or event in _CHANGING:
            self.deeds.append(f"{event}{arguments!r}")
        elif event == "open" and isinstance(arguments[0], (str, bytes)):
            path, mode = str(arguments[0]), str(arguments[1])
            ours = path.startswith(
                (sys.prefix, sys.base_prefix, str(Path(__file__).parents[3] / "src"), str(self.folder))
            )
            if not ours or any(letter in mode for letter in "wax+"):
                self.deeds.append(f"open {path} {mode}")


_listening: list[Seen] = []
_hooked: list[bool] = []


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    for seen in _listening:
        seen(event, arguments)


@contextmanager
def watched(folder: Path) -> Generator[Seen]:
    """Hear everything that this process does for as long as this is held, by the interpreter's own audit events."""
    if not _hooked:
        sys.addaudithook(_hook)
        _hooked.append(True)
    seen = Seen(folder)
    _listening.append(seen)
    try:
        yield seen
    finally:
        _listening.remove(seen)


@dataclass(frozen=True)
class Trap:
    """A real listener that nobody must talk to, and a file beside the stranger's folder that nobody must read or make."""

    listener: socket.socket
    outside: Path

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.listener.getsockname()[1]}"

    @property
    def called(self) -> bool:
        try:
            self.listener.accept()
        except BlockingIOError:
            return False
        return True


@contextmanager
def trap(outside: Path) -> Generator[Trap]:
    outside.mkdir()
    (outside / "loot.json").write_text(json.dumps(LOOT))
    (outside / "loot.csv").write_text(f"key,value\n{LOOT},{LOOT}\n")
    (outside / "loot.txt").write_text(LOOT)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield Trap(listener, outside)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A stranger's folder. In texts ``OUTSIDE`` stands for the folder beside it, ``TRAP`` for the listener's address.

    ``says``: what one of the sentences must hold; None where the file is right, since what it holds means nothing.
    """

    says: str | None
    top: str = ""
    """Lines of YAML at the top level."""
    stream: str = ""
    """Lines of YAML of the stream."""
    schema: str = "schema.json"
    suite: str = "suite.json"
    rules: Sequence[object] = (RULE,)
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    """Whole files; an empty text takes one away."""
    links: Mapping[str, str] = field(default_factory=dict)
    pipeline: str | bytes | None = None
    """The whole pipeline file."""


def lay_out(case: Case, folder: Path, trap: Trap) -> None:
    """Write the stranger's folder."""
    folder.mkdir()

    def put(name: str, content: str | bytes) -> None:
        text = content.encode() if isinstance(content, str) else content
        text = text.replace(b"OUTSIDE", str(trap.outside).encode()).replace(b"TRAP", trap.address.encode())
        (folder / name).write_bytes(text)

    put("schema.json", json.dumps(SCHEMA))
    put("suite.json", json.dumps({"name": "s", "expectations": list(case.rules)}))
    put("table.csv", "key,value\na,1\n")
    for name, content in case.files.items():
        put(name, content)
    for name, target in case.links.items():
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(target.replace("OUTSIDE", str(trap.outside)))
    put("pipeline.yaml", pipeline_text(case) if case.pipeline is None else case.pipeline)


def pipeline_text(case: Case) -> str:
    stream = "".join(f"    {line}\n" for line in case.stream.splitlines())
    return (
        f"pipeline: meters\n{case.top}\nstreams:\n  readings:\n    topic: meters\n    schema: {case.schema}\n"
        f"    event_time: at\n    known_at: at\n    expectations: {case.suite}\n{stream}"
    )


def sentences(folder: Path) -> list[str]:
    """What ``headrace check`` says of it; empty where it is right."""
    try:
        _, problems = examine(folder, ENVIRONMENT)
    except SpecError as error:
        return [str(error)]
    return [str(problem) for problem in problems]
