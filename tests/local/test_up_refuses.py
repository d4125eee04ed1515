"""If `make up` cannot start, it prints one line with the reason and the next step."""

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from local.database.postgres import find_free_port
from local.home import Home
from local.lock_file import HomeLock
from local.up import require_disk_space

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="drover-up-") as folder:
        yield Path(folder) / "home"


def run_up(home: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("DATABASE_URL", "PORT") and not name.startswith("DROVER_")
    }
    return subprocess.run(
        [sys.executable, "-m", "local", "up"],
        cwd=ROOT,
        env=environment | {"DROVER_HOME": str(home), "PORT": str(find_free_port())} | settings,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def read_error(result: subprocess.CompletedProcess[str]) -> str:
    """Return the error of `make up`. Fails if the error has several lines."""
    assert result.returncode == 1
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].endswith(".")
    return lines[0]


@contextmanager
def listen_on_port() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


def test_the_error_names_a_port_in_use_and_the_next_step(home: Path) -> None:
    with listen_on_port() as port:
        error = read_error(run_up(home, PORT=str(port)))
    assert f"Port {port} is in use" in error
    assert "PORT=" in error
    assert not (home / "run" / "lock").exists()


@pytest.mark.parametrize("port", ["0", "eight", "70000", "80 80"])
def test_an_invalid_port_is_refused(home: Path, port: str) -> None:
    assert "use a number from 1 to 65535" in read_error(run_up(home, PORT=port))


@pytest.mark.parametrize(
    ("address", "expected_text"),
    [
        ("mysql://user:secret@127.0.0.1/x", "not an address of a PostgreSQL database"),
        ("postgresql://user:secret@127.0.0.1:1/x", "could not be used"),
    ],
)
def test_an_invalid_database_url_is_reported_without_its_password(
    home: Path, address: str, expected_text: str
) -> None:
    error = read_error(run_up(home, DATABASE_URL=address))
    assert expected_text in error
    assert "secret" not in error


def test_a_home_that_cannot_be_written_is_reported(home: Path) -> None:
    home.parent.joinpath("file").write_text("in the way")
    error = read_error(run_up(home.parent / "file" / "home"))
    assert "cannot be written" in error
    assert "DROVER_HOME" in error


def test_the_error_for_a_home_in_use_names_the_process(home: Path) -> None:
    Home(home).create_folders()
    with HomeLock(home / "run" / "lock"):
        error = read_error(run_up(home))
    assert f"process {os.getpid()}" in error


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("mounting a small disk needs root and its capabilities")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_full_disk_is_reported_before_keys_are_written(small_disk: Path) -> None:
    error = read_error(run_up(small_disk / "home"))
    assert "1 GB is needed" in error
    assert not (small_disk / "home" / "keys" / "secret_key").exists()


def test_a_disk_with_free_space_is_accepted(home: Path) -> None:
    Home(home).create_folders()
    require_disk_space(Home(home))
