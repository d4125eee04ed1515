"""Manually started commands find the installation of their home."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from config.env import SettingMissing, adopt_installation
from local.database.postgres import free_port

ROOT = Path(__file__).resolve().parents[2]
WRITTEN = {"DATABASE_URL": "postgresql://127.0.0.1:5999/drover", "PORT": "8123"}


@pytest.fixture
def note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home's note with its URLs; only the home is set in the environment."""
    for name in (*WRITTEN, "DATABASE_URL_FILE"):
        monkeypatch.setenv(name, "so that it is restored")
        monkeypatch.delenv(name)
    monkeypatch.setenv("DROVER_HOME", str(tmp_path))
    (tmp_path / "run").mkdir()
    return tmp_path / "run" / "addresses.json"


def test_the_addresses_of_the_home_are_taken_where_none_are_given(
    note: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note.write_text(json.dumps(WRITTEN))
    monkeypatch.setenv("PORT", "9000")
    adopt_installation()
    assert (os.environ["DATABASE_URL"], os.environ["PORT"]) == (WRITTEN["DATABASE_URL"], "9000")


def test_another_database_has_nothing_to_do_with_the_home(
    note: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note.write_text(json.dumps(WRITTEN))
    monkeypatch.setenv("DATABASE_URL", "postgresql://db.example.com/drover")
    adopt_installation()
    assert "PORT" not in os.environ


def test_a_damaged_note_is_named(note: Path) -> None:
    note.write_text('{"DATABASE_URL": ')
    with pytest.raises(SettingMissing, match=str(note)):
        adopt_installation()


def test_without_an_installation_a_command_names_the_next_step(note: Path) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "manage.py", "doctor"],
        env={"PATH": os.environ["PATH"], "DROVER_HOME": str(note.parents[1])},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "`make up`" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_database_that_is_not_there_is_one_sentence(note: Path) -> None:
    nowhere = f"postgresql://127.0.0.1:{free_port()}/drover"
    done = subprocess.run(
        [sys.executable, ROOT / "manage.py", "run_pipeline", "any", "--org", "acme"],
        env=dict(os.environ) | {"DATABASE_URL": nowhere},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "Connection refused" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_python_without_the_packages_names_the_right_one() -> None:
    done = subprocess.run(
        [sys.executable, "-S", ROOT / "manage.py", "doctor"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert ".venv/bin/python" in done.stderr


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("help backup", "--keys KEYS"),
        ("restore --help", "--keys KEYS"),
        ("help", "backup, restore"),
    ],
)
def test_help_knows_the_commands_that_are_not_djangos(note: Path, typed: str, told: str) -> None:
    command = [sys.executable, "manage.py", *typed.split()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert told in done.stdout
