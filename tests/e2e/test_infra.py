"""What infra/ ships, held against what reads it: systemd and the Compose Specification (Airflow: test_airflow.py)."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

import headrace
from headrace.embedded.jars import KAFKA
from headrace.errors import GateRefused

REPOSITORY = Path(__file__).parents[2]
INFRA = REPOSITORY / "infra"
UNITS = [INFRA / "systemd" / f"headrace-{job}.{kind}" for job in ("train", "maintain") for kind in ("service", "timer")]


def systemd_analyze(*arguments: object) -> subprocess.CompletedProcess[str]:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.fail("systemd-analyze is missing, which checks the units of infra/systemd: apt-get install systemd")
    command = [program, *map(str, arguments)]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False)


def complaints(*units: Path) -> str:
    """What systemd says against unit files: empty where all is well (an unknown key is told, but is no failure to it)."""
    done = systemd_analyze("verify", *units)
    about = {unit.name for unit in units}
    lines = [line for line in done.stdout.splitlines() if any(name in line for name in about)]
    return "\n".join(lines) or ("" if done.returncode == 0 else done.stdout)


def test_systemd_has_nothing_against_the_units() -> None:
    assert complaints(*UNITS) == ""


@pytest.mark.parametrize(
    ("unit", "right", "wrong"),
    [
        (UNITS[0], "ProtectSystem=strict", "ProtectSystm=strict"),
        (UNITS[0], "ExecStart=/bin/sh", "ExecStart=/bin/no-such-shell"),
        (UNITS[1], "OnCalendar=*-*-*", "OnCalendar=every night at"),
    ],
)
def test_the_check_of_units_finds_a_planted_fault(tmp_path: Path, unit: Path, right: str, wrong: str) -> None:
    for file in UNITS:
        text = file.read_text()
        (tmp_path / file.name).write_text(text.replace(right, wrong) if file == unit else text)
    assert complaints(*(tmp_path / file.name for file in UNITS)) != ""


@pytest.mark.parametrize("unit", [unit for unit in UNITS if unit.suffix == ".service"], ids=lambda unit: unit.stem)
def test_a_unit_is_hardened(unit: Path) -> None:
    done = systemd_analyze("security", "--offline=true", "--threshold=20", unit)  # exposure at most 2.0 of 10
    assert done.returncode == 0, done.stdout


def test_a_refused_gate_is_a_success_of_the_training_unit() -> None:
    assert f"SuccessExitStatus={GateRefused.exit_code}\n" in UNITS[0].read_text()


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((INFRA / "compose.yaml").read_text())


@pytest.fixture(scope="module")
def specification() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads((Path(__file__).parent / "compose-spec.json").read_text()))


def test_the_compose_file_follows_the_specification(
    compose: dict[str, Any], specification: jsonschema.Draft202012Validator
) -> None:
    assert [f"{error.json_path}: {error.message}" for error in specification.iter_errors(compose)] == []


def test_the_specification_refuses_a_planted_fault(
    compose: dict[str, Any], specification: jsonschema.Draft202012Validator
) -> None:
    kafka = {**compose["services"]["kafka"], "heathcheck": {"test": "true"}}
    assert not specification.is_valid({**compose, "services": {**compose["services"], "kafka": kafka}})


def test_every_name_in_the_compose_file_leads_somewhere(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for name, service in services.items():
        assert set(service.get("depends_on", {})) <= set(services), name
        assert {mount.split(":")[0] for mount in service.get("volumes", [])} <= set(compose["volumes"]), name
        words = [*service.get("entrypoint", []), *(c if isinstance(c := service.get("command", []), list) else [])]
        if words[:1] == ["submit"]:
            assert (REPOSITORY / "jobs" / f"{words[1]}.py").is_file(), name
        for waited, how in service.get("depends_on", {}).items():
            assert how["condition"] == "service_healthy", name
            assert "healthcheck" in services[waited], f"{name} waits for the health of {waited}"


def test_images_are_pinned_to_the_versions_that_are_tested(compose: dict[str, Any]) -> None:
    broker = KAFKA.roots[0].version
    assert {service["image"] for service in compose["services"].values()} == {
        f"apache/kafka:{broker}",
        f"headrace:{headrace.__version__}",
    }
    bases = re.findall(r"^FROM (\S+)", (INFRA / "Dockerfile").read_text(), re.MULTILINE)
    assert bases
    assert all(re.search(r":\d+\.\d+\.\d+", base) for base in bases), bases


def test_what_the_image_copies_is_in_the_repository() -> None:
    copied = re.findall(r"^COPY (.+) \S+$", (INFRA / "Dockerfile").read_text(), re.MULTILINE)
    sources = [source for line in copied for source in line.split()]
    assert len(sources) >= 7
    assert [source for source in sources if not (REPOSITORY / source).exists()] == []
    assert os.access(INFRA / "submit", os.X_OK)
