"""Make an installation's files private: no other user of the machine may read keys, mail, outputs or logs.

Every process calls `restrict_umask` at its start. The umask protects the files that the process and its children
create. `make_private` corrects files of older versions. This module does not import Django, because commands without
Django use it too.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

UMASK = 0o077
ACCESS_OF_OTHERS = 0o077
# Folders below the home whose modes are not changed, with the reasons.
SKIPPED_FOLDERS = {
    "pg": "PostgreSQL refuses to start if others may read its data; if we are root, the data belongs to another user",
    "sandbox": "the sandbox's user reads the copies of Python and its packages; work folders have their own modes",
}
# With this mode, other users cannot list the home, but they can enter it. If we are root, PostgreSQL runs as another
# user, which must enter the home.
ENTER_ONLY_MODE = 0o711


def restrict_umask() -> None:
    """Make files and folders that this process and its children create accessible to their owner only."""
    os.umask(UMASK)


def make_private(home: Path) -> None:
    """Remove the access of others to the home and to the files in it. Raises OSError."""
    if home.lstat().st_uid == os.geteuid():
        can_be_entered = os.geteuid() == 0 and not (home / "pg").is_symlink()
        home.chmod(ENTER_ONLY_MODE if can_be_entered else 0o700)
    for path in home.iterdir():
        if path.name not in SKIPPED_FOLDERS and _is_open(path):
            _remove_access(path)
            for inner in _paths_below(path):
                if _is_open(inner):
                    _remove_access(inner)


def find_open_files(home: Path) -> Iterator[str]:
    """Yield the path and mode of each file and folder to which others have access. Others may only enter the home."""
    if home.lstat().st_mode & ACCESS_OF_OTHERS & ~(ENTER_ONLY_MODE & ACCESS_OF_OTHERS):
        yield _path_with_mode(home)
    for path in home.iterdir():
        if path.name in SKIPPED_FOLDERS:
            continue
        for inner in (path, *_paths_below(path)):
            if _is_open(inner):
                yield _path_with_mode(inner)


def _paths_below(folder: Path) -> Iterator[Path]:
    """Yield all files and folders below a folder that is no link. Those that a run removes meanwhile may be missing."""
    if folder.is_symlink():
        return
    for parent, folders, files in os.walk(folder):
        yield from (Path(parent, name) for name in (*folders, *files))


def _is_open(path: Path) -> bool:
    """Whether this file or folder belongs to our user and others have access to it.

    Links and sockets are skipped: the mode of a link has no effect, and a socket is protected by its folder. A file that
    a run has just removed is not open.
    """
    try:
        status = path.lstat()
    except FileNotFoundError:
        return False
    is_file_or_folder = stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)
    return (
        is_file_or_folder
        and bool(status.st_mode & ACCESS_OF_OTHERS)
        and status.st_uid == os.geteuid()
    )


def _remove_access(path: Path) -> None:
    path.chmod(stat.S_IMODE(path.lstat().st_mode) & ~ACCESS_OF_OTHERS)


def _path_with_mode(path: Path) -> str:
    return f"{path} ({stat.S_IMODE(path.lstat().st_mode):04o})"
