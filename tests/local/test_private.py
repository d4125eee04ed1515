"""Files that an older version left readable are closed at the next start; those that another user needs are not."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from apps.background import private
from local.home import CHECKOUT, Home


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A home as created by older versions, with the usual umask."""
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


def test_an_old_home_is_closed_by_the_next_start(old: Path) -> None:
    assert len(list(private.find_open_files(old))) > 8
    passwd = mode(Path("/etc/passwd"))
    Home(old).make()
    assert list(private.find_open_files(old)) == []
    assert mode(old / "storage/org/run") == 0o700
    assert mode(old / "storage/org/run/part") == mode(old / "mail/1.log") == 0o600
    assert mode(old) == (0o711 if os.geteuid() == 0 else 0o700)
    assert mode(old / "sandbox/root/bin/python") == 0o755
    assert mode(Path("/etc/passwd")) == passwd


@pytest.mark.parametrize(
    "start",
    [
        "import manage; manage.sys.argv = ['manage.py', 'help']; manage.main()",
        "from config import asgi; asgi.build()",
        "import local.__main__ as m; m.main([])",
    ],
)
def test_every_process_makes_private_files(start: str, tmp_path: Path) -> None:
    """Even if the start itself fails: here it lacks its settings."""
    script = f"""
import os
os.umask(0o022)
try:
    {start}
except BaseException:
    pass
open({str(tmp_path / "made")!r}, "w")
"""
    env = {"PATH": os.environ["PATH"], "DROVER_HOME": str(tmp_path)}
    subprocess.run(
        [sys.executable, "-c", script], cwd=CHECKOUT, env=env, check=True, capture_output=True
    )
    assert mode(tmp_path / "made") == 0o600
