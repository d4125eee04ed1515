"""The units in deploy/systemd are valid, and start the same programs as the image."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from apps.engine.sandbox.layers import USER_CAPABILITIES
from local import web

FOLDER = Path(__file__).resolve().parents[2] / "deploy/systemd"
UNITS = sorted(file.name for file in FOLDER.glob("*.service"))
INSTALLED_PYTHON = "/opt/drover/.venv/bin/python"


def values_of(unit: str, key: str) -> list[str]:
    lines = (FOLDER / unit).read_text().splitlines()
    return [line.partition("=")[2] for line in lines if line.startswith(f"{key}=")]


def problems_of(unit: str, folder: Path, *extra_lines: str) -> str:
    """Return what systemd says about a unit, which uses this Python instead of the installed one."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("This machine has no systemd-analyze.")
    for name in UNITS:
        text = (FOLDER / name).read_text().replace(INSTALLED_PYTHON, sys.executable)
        lines = extra_lines if name == unit else ()
        (folder / name).write_text("\n".join((text, *lines)))
    result = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", folder / unit.replace("@.", "@1.")],
        capture_output=True,
        text=True,
        check=False,
        env={"SYSTEMD_UNIT_PATH": f"{folder}:"},
    )
    return "\n".join(line for line in result.stderr.splitlines() if "drover" in line)


@pytest.mark.parametrize("unit", UNITS)
def test_each_unit_is_valid(unit: str, tmp_path: Path) -> None:
    assert problems_of(unit, tmp_path) == ""


def test_a_misspelt_key_is_found(tmp_path: Path) -> None:
    assert "Restrat" in problems_of("drover-web.service", tmp_path, "[Service]", "Restrat=always")


def test_the_web_unit_serves_like_the_image() -> None:
    (start,) = values_of("drover-web.service", "ExecStart")
    assert start.split() == [INSTALLED_PYTHON, *web.command(port=8000)[1:]]


def test_the_worker_has_the_capabilities_that_its_sandbox_needs() -> None:
    for key in ("CapabilityBoundingSet", "AmbientCapabilities"):
        (capabilities,) = values_of("drover-worker@.service", key)
        assert {name.removeprefix("CAP_") for name in capabilities.split()} == set(
            USER_CAPABILITIES
        )


@pytest.mark.parametrize("unit", UNITS)
def test_each_unit_runs_as_drover_and_keeps_its_files_private(unit: str) -> None:
    assert values_of(unit, "User") == ["drover"]
    assert values_of(unit, "UMask") == ["0077"]
    assert values_of(unit, "StateDirectoryMode") == ["0700"]
    assert values_of(unit, "NoNewPrivileges") == ["yes"]


def test_only_prepare_reads_the_administrators_settings() -> None:
    readers = [
        unit
        for unit in UNITS
        if "/etc/drover/administrator.env" in values_of(unit, "EnvironmentFile")
    ]
    assert readers == ["drover-prepare.service"]
