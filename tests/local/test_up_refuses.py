"""If `make up` cannot start, it says in one sentence why and what to do, and leaves nothing running."""

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from local.database.postgres import free_port
from local.home import Home
from local.lock_file import HomeLock
from local.up import require_disk_space

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="drover-up-") as folder:
        yield Path(folder) / "home"


def up(home: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("DATABASE_URL", "PORT") and not name.startswith("DROVER_")
    }
    return subprocess.run(
        [sys.executable, "-m", "local", "up"],
        cwd=ROOT,
        env=environment | {"DROVER_HOME": str(home), "PORT": str(free_port())} | settings,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def refusal(result: subprocess.CompletedProcess[str]) -> str:
    """Return the one sentence, after the checks that apply to every refusal."""
    assert result.returncode == 1
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].endswith(".")
    return lines[0]


@contextmanager
def listening() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


def test_a_port_in_use_is_named_with_a_way_out(home: Path) -> None:
    with listening() as port:
        said = refusal(up(home, PORT=str(port)))
    assert f"Port {port} is in use" in said
    assert "PORT=" in said
    assert not (home / "run" / "lock").exists()


@pytest.mark.parametrize("port", ["0", "eight", "70000", "80 80"])
def test_a_port_that_is_none_is_refused(home: Path, port: str) -> None:
    assert "use a number from 1 to 65535" in refusal(up(home, PORT=port))


@pytest.mark.parametrize(
    ("address", "part"),
    [
        ("mysql://user:secret@127.0.0.1/x", "not an address of a PostgreSQL database"),
        ("postgresql://user:secret@127.0.0.1:1/x", "could not be used"),
    ],
)
def test_a_bad_database_url_is_named_and_its_password_is_not(
    home: Path, address: str, part: str
) -> None:
    said = refusal(up(home, DATABASE_URL=address))
    assert part in said
    assert "secret" not in said


def test_a_home_in_a_place_that_cannot_be_written_is_named(home: Path) -> None:
    home.parent.joinpath("file").write_text("in the way")
    said = refusal(up(home.parent / "file" / "home"))
    assert "cannot be written" in said
    assert "DROVER_HOME" in said


def test_a_home_that_is_in_use_names_the_process_that_uses_it(home: Path) -> None:
    Home(home).make()
    with HomeLock(home / "run" / "lock"):
        said = refusal(up(home))
    assert f"process {os.getpid()}" in said


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


def test_a_full_disk_is_named_before_anything_is_half_written(small_disk: Path) -> None:
    said = refusal(up(small_disk / "home"))
    assert "is full" in said
    assert not (small_disk / "home" / "keys" / "secret_key").exists()


def test_a_disk_with_room_is_fine(home: Path) -> None:
    Home(home).make()
    require_disk_space(Home(home))
