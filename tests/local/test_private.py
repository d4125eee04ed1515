"""Files in the home are private. Files of older versions become private at the next start."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.background import private
from local.home import CHECKOUT, Home


def permission_bits(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def old_home(tmp_path: Path) -> Path:
    """Return a home as older versions created it: other users can read its files."""
    home = tmp_path / "home"
    for folder in ("mail", "storage/org/run", "logs", "keys", "pg", "sandbox/root/bin"):
        (home / folder).mkdir(parents=True)
    for file in (
        "mail/1.log",
        "storage/org/run/part",
        "logs/web.log",
        "keys/secret_key",
        "demo.json",
    ):
        (home / file).write_text("x")
    (home / "sandbox/root/bin/python").touch(mode=0o755)
    (home / "mail/link").symlink_to("/etc/passwd")
    for path in (home, *home.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.name == "python" else 0o644)
    return home


def test_the_next_start_removes_other_users_access_to_an_old_home(old_home: Path) -> None:
    assert len(list(private.find_open_files(old_home))) > 8
    passwd = permission_bits(Path("/etc/passwd"))
    Home(old_home).create_folders()
    assert list(private.find_open_files(old_home)) == []
    assert permission_bits(old_home / "storage/org/run") == 0o700
    assert (
        permission_bits(old_home / "storage/org/run/part")
        == permission_bits(old_home / "mail/1.log")
        == 0o600
    )
    assert permission_bits(old_home) == (0o711 if os.geteuid() == 0 else 0o700)
    assert permission_bits(old_home / "sandbox/root/bin/python") == 0o755
    assert permission_bits(Path("/etc/passwd")) == passwd


@pytest.mark.parametrize(
    "start",
    [
        "import manage; manage.sys.argv = ['manage.py', 'help']; manage.main()",
        "from config import asgi; asgi.build()",
        "import local.__main__ as m; m.main([])",
    ],
)
def test_every_process_creates_private_files(start: str, tmp_path: Path) -> None:
    """The process sets its umask even if its start fails. Here it fails because settings are missing."""
    script = f"""
import os
os.umask(0o022)
try:
    {start}
except BaseException:
    pass
open({str(tmp_path / "file")!r}, "w")
"""
    env = {"PATH": os.environ["PATH"], "DROVER_HOME": str(tmp_path)}
    subprocess.run(
        [sys.executable, "-c", script], cwd=CHECKOUT, env=env, check=True, capture_output=True
    )
    assert permission_bits(tmp_path / "file") == 0o600


def test_a_file_that_a_run_removes_meanwhile_is_not_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run removes its files at any time, also between the listing of a folder and the look at its files."""
    for name in ("gone", "open"):
        (tmp_path / "storage" / name).mkdir(parents=True)
        (tmp_path / "storage" / name / "part").touch(mode=0o644)
        (tmp_path / "storage" / name / "part").chmod(0o644)
    walk = os.walk

    def walk_and_remove(folder: Path) -> Iterator[tuple[str, list[str], list[str]]]:
        for parent, folders, files in walk(folder):
            if parent.endswith("gone"):
                Path(parent, "part").unlink()
            yield parent, folders, files

    monkeypatch.setattr(os, "walk", walk_and_remove)
    found = [path for path in private.find_open_files(tmp_path) if "part" in path]
    assert found == [f"{tmp_path}/storage/open/part (0644)"]
