"""Manually started commands use the installation in their home."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from config.env import SettingInvalid, use_installation
from local.database.postgres import find_free_port

ROOT = Path(__file__).resolve().parents[2]
ADDRESSES = {"DATABASE_URL": "postgresql://127.0.0.1:5999/drover", "PORT": "8123"}


@pytest.fixture
def addresses_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the path of a home's file of addresses. The environment sets only DROVER_HOME."""
    for name in (*ADDRESSES, "DATABASE_URL_FILE"):
        monkeypatch.setenv(name, "restored after the test")
        monkeypatch.delenv(name)
    monkeypatch.setenv("DROVER_HOME", str(tmp_path))
    (tmp_path / "run").mkdir()
    return tmp_path / "run" / "addresses.json"


def test_a_command_uses_the_addresses_of_its_home_unless_the_environment_sets_them(
    addresses_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses_file.write_text(json.dumps(ADDRESSES))
    monkeypatch.setenv("PORT", "9000")
    use_installation()
    assert (os.environ["DATABASE_URL"], os.environ["PORT"]) == (ADDRESSES["DATABASE_URL"], "9000")


def test_the_addresses_of_the_home_are_ignored_if_another_database_is_set(
    addresses_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses_file.write_text(json.dumps(ADDRESSES))
    monkeypatch.setenv("DATABASE_URL", "postgresql://db.example.com/drover")
    use_installation()
    assert "PORT" not in os.environ


def test_the_error_names_a_damaged_addresses_file(addresses_file: Path) -> None:
    addresses_file.write_text('{"DATABASE_URL": ')
    with pytest.raises(SettingInvalid, match=str(addresses_file)):
        use_installation()


def test_a_command_without_an_installation_names_the_next_step(addresses_file: Path) -> None:
    result = subprocess.run(
        [sys.executable, ROOT / "manage.py", "doctor"],
        env={"PATH": os.environ["PATH"], "DROVER_HOME": str(addresses_file.parents[1])},
        capture_output=True,
        text=True,
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert "`make up`" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_command_without_a_reachable_database_prints_no_traceback(addresses_file: Path) -> None:
    unreachable_url = f"postgresql://127.0.0.1:{find_free_port()}/drover"
    result = subprocess.run(
        [sys.executable, ROOT / "manage.py", "run_pipeline", "any", "--org", "acme"],
        env=dict(os.environ) | {"DATABASE_URL": unreachable_url},
        capture_output=True,
        text=True,
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert "Connection refused" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_python_without_the_packages_names_the_python_of_the_installation() -> None:
    result = subprocess.run(
        [sys.executable, "-S", ROOT / "manage.py", "doctor"], capture_output=True, text=True
    )
    assert result.returncode == 2
    assert ".venv/bin/python" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "expected_text"),
    [
        ("help backup", "--keys KEYS"),
        ("restore --help", "--keys KEYS"),
        ("help", "backup, restore"),
    ],
)
def test_help_includes_the_commands_that_are_not_django_commands(
    addresses_file: Path, arguments: str, expected_text: str
) -> None:
    command = [sys.executable, "manage.py", *arguments.split()]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert expected_text in result.stdout


@pytest.mark.parametrize("arguments", [["export_openapi", "--check"], ["print_tools"]])
def test_the_references_are_written_without_an_installation(
    addresses_file: Path, arguments: list[str]
) -> None:
    result = subprocess.run(
        [sys.executable, ROOT / "manage.py", *arguments],
        env={"PATH": os.environ["PATH"], "DROVER_HOME": str(addresses_file.parents[1])},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
