"""Keep an installation's files private: no other user of the machine may read keys, mail, outputs or logs.

Every process starts with `restrict_umask`, which covers files that it and its children create; `tighten` fixes files
of older versions. This is plain Python, because commands without Django use it too.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

UMASK = 0o077
OTHERS = 0o077
# Folders below the home whose modes are not changed here, and why.
LEFT_OPEN = {
    "pg": "PostgreSQL's data: PostgreSQL itself refuses to start if others may read it; as root it belongs to another user",
    "sandbox": "copies of Python and its packages, which the sandbox's user reads; work folders have modes of their own",
}
# Other users cannot list this folder but can enter it, as PostgreSQL's user must if we are root.
PASSED = 0o711


def restrict_umask() -> None:
    """Make files and folders that this process and its children create accessible to their owner only."""
    os.umask(UMASK)


def tighten(home: Path) -> None:
    """Remove the access of others to the home and to the files in it. Raises OSError."""
    if home.lstat().st_uid == os.geteuid():
        passed = os.geteuid() == 0 and not (home / "pg").is_symlink()
        home.chmod(PASSED if passed else 0o700)
    for path in home.iterdir():
        if path.name not in LEFT_OPEN and _is_open(path):
            _close(path)
            for inner in path.rglob("*") if path.is_dir() else ():
                if _is_open(inner):
                    _close(inner)


def open_to_others(home: Path) -> Iterator[str]:
    """Return files and folders below the home that others may read, write or list, with their modes."""
    if home.lstat().st_mode & OTHERS & ~(PASSED & OTHERS):
        yield _shown(home)
    for path in home.iterdir():
        if path.name in LEFT_OPEN:
            continue
        for each in (path, *(path.rglob("*") if path.is_dir() and not path.is_symlink() else ())):
            if _is_open(each):
                yield _shown(each)


def _is_open(path: Path) -> bool:
    """Return whether others have access to this file or folder of ours.

    Links and sockets are skipped: the mode of a link has no effect, and a socket is protected by its folder.
    """
    mode = path.lstat().st_mode
    plain = stat.S_ISREG(mode) or stat.S_ISDIR(mode)
    return plain and bool(mode & OTHERS) and path.lstat().st_uid == os.geteuid()


def _close(path: Path) -> None:
    path.chmod(stat.S_IMODE(path.lstat().st_mode) & ~OTHERS)


def _shown(path: Path) -> str:
    return f"{path} ({stat.S_IMODE(path.lstat().st_mode):04o})"
