"""A key ring in a real Vault (or OpenBao) server: ``VAULT_ADDR`` and ``VAULT_TOKEN`` say where, with a KV version 2 engine at
``secret``; without them, ``vault`` or ``bao`` on the path is started for these tests.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import hvac
import pytest
from requests.exceptions import RequestException

from headrace.embedded.ports import LOCALHOST, free_ports
from headrace.errors import KeyRingError
from headrace.privacy.keys import SEAL, ensure_keys, open_ring, worker_chain, worker_key
from headrace.privacy.rotation import listed, retire, rotate

NAME = "pseudonym/people"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    if "VAULT_ADDR" in os.environ and "VAULT_TOKEN" in os.environ:
        yield {name: os.environ[name] for name in ("VAULT_ADDR", "VAULT_TOKEN")}
        return
    program = shutil.which("vault") or shutil.which("bao")
    if program is None:
        pytest.skip("there is no secret store: set VAULT_ADDR and VAULT_TOKEN, or install Vault or OpenBao")
    (port,) = free_ports(str(tmp_path_factory.mktemp("vault")), count=1)
    told = {"VAULT_ADDR": f"http://{LOCALHOST}:{port}", "VAULT_TOKEN": "root"}
    command = [program, "server", "-dev", "-dev-root-token-id=root", f"-dev-listen-address={LOCALHOST}:{port}"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        client = hvac.Client(url=told["VAULT_ADDR"], token="root")
        for _ in range(100):
            try:
                if client.sys.is_initialized():
                    break
            except RequestException:
                time.sleep(0.1)
        yield told
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def reference(server: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """A ring of its own for each test."""
    for name, value in server.items():
        monkeypatch.setenv(name, value)
    return f"vault:secret/headrace/{uuid.uuid4().hex}"


def test_keys_are_made_kept_and_read(reference: str) -> None:
    with pytest.raises(KeyRingError, match=f"no key ring at {reference}"):
        open_ring(reference)
    assert ensure_keys(reference, [SEAL, NAME]) == [SEAL, NAME]
    assert ensure_keys(reference, [SEAL, NAME]) == []
    ring = open_ring(reference)
    assert ring.path == reference
    assert worker_key(reference, SEAL, 1) == ring.key(SEAL, 1)


def test_a_rotation_is_seen_by_the_next_reader(reference: str) -> None:
    ensure_keys(reference, [SEAL, NAME])
    first = open_ring(reference)
    rotate(reference, [NAME], fresh=False)
    second = open_ring(reference)
    assert (first.current(NAME), second.current(NAME)) == (1, 2)
    assert worker_chain(reference, NAME, 2) == ((1, first.key(NAME, 1)), (2, second.key(NAME, 2)))


def test_changes_at_once_lose_none(reference: str) -> None:
    ensure_keys(reference, [NAME])
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: rotate(reference, [NAME], fresh=False), range(3)))
    assert sorted(open_ring(reference).keys[NAME]) == [1, 2, 3, 4]


def test_a_retired_secret_is_in_no_version_that_the_store_keeps(reference: str) -> None:
    ensure_keys(reference, [SEAL])
    secret = open_ring(reference).key(SEAL, 1).hex()
    rotate(reference, [SEAL], fresh=False)
    retire(reference, SEAL, 1)
    assert [(entry.version, entry.state) for entry in listed(open_ring(reference))] == [(1, "retired"), (2, "current")]
    kv, path = hvac.Client().secrets.kv.v2, reference.removeprefix("vault:secret/")
    versions = kv.read_secret_metadata(path, mount_point="secret")["data"]["versions"]
    assert [version["destroyed"] for _, version in sorted(versions.items())] == [True, True, False]
    assert secret not in str(kv.read_secret_version(path, mount_point="secret", raise_on_deleted_version=True))


@pytest.mark.parametrize(
    ("variable", "value", "kind"),
    [("VAULT_TOKEN", "hvs.hunter2", "Forbidden"), ("VAULT_ADDR", f"http://{LOCALHOST}:1", "ConnectionError")],
)
def test_a_store_that_does_not_answer_is_one_sentence(
    reference: str, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, kind: str
) -> None:
    monkeypatch.setenv(variable, value)
    for use in (open_ring, lambda where: ensure_keys(where, [SEAL])):
        with pytest.raises(KeyRingError) as error:
            use(reference)
        assert str(error.value).endswith(f"({kind}); check the address, the token and its policy")
        assert "hunter2" not in str(error.value)
        assert error.value.__cause__ is None


def test_without_an_address_the_variables_are_named(reference: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VAULT_ADDR")
    with pytest.raises(KeyRingError, match="needs VAULT_ADDR and VAULT_TOKEN in the environment; set them"):
        open_ring(reference)


def test_an_engine_that_is_not_there_is_refused_on_writing(reference: str) -> None:
    with pytest.raises(KeyRingError, match=r"\(InvalidPath\)"):
        ensure_keys(reference.replace("vault:secret/", "vault:nothing/"), [SEAL])


def test_the_ring_can_be_copied_from_a_file(reference: str, tmp_path: Path) -> None:
    ensure_keys(tmp_path / "keys.json", [SEAL])
    hvac.Client().secrets.kv.v2.create_or_update_secret(
        reference.removeprefix("vault:secret/"),
        secret={"ring": (tmp_path / "keys.json").read_text()},
        mount_point="secret",
    )
    assert open_ring(reference).keys == open_ring(tmp_path / "keys.json").keys
