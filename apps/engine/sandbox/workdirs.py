"""The folder a sandboxed process may write to: made, measured, removed, and swept up after a kill."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

MODE = 0o700
BLOCK = 512  # bytes of st_blocks, whatever the file system's own


class Hidden(Exception):
    """The folder holds something that cannot be looked at."""


def create(base: Path, uid: int | None) -> Path:
    """A new empty folder below `base`, of the user `uid` if given. Sweeps what dead processes left."""
    base.mkdir(parents=True, exist_ok=True)
    sweep(base)
    made = base / f"{os.getpid()}-{secrets.token_hex(6)}"
    made.mkdir(mode=MODE)
    if uid is not None:
        os.chown(made, uid, uid)
    return made


def remove(folder: Path) -> None:
    """With everything in it, also what was made unreadable on purpose."""
    for where, names, _ in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                os.chmod(os.path.join(where, name), MODE, follow_symlinks=False)
    shutil.rmtree(folder, ignore_errors=True)


def sweep(base: Path) -> None:
    """Remove the folders of processes that are gone: a process that was killed cannot do it itself."""
    for folder in base.iterdir():
        pid = folder.name.partition("-")[0]
        if pid.isdigit() and not os.path.exists(f"/proc/{pid}"):
            remove(folder)


def size(folder: Path, pid: int) -> int:
    """Bytes on disk below the folder and in files `pid` has deleted but holds open. Raises Hidden."""
    return sum(_below(folder)) + sum(_deleted(pid))


def _below(folder: Path) -> Iterator[int]:
    for where, _, names in os.walk(folder, onerror=_report):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                yield os.lstat(os.path.join(where, name)).st_blocks * BLOCK


def _report(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise Hidden from error


def _deleted(pid: int) -> Iterator[int]:
    try:
        opened = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return  # it ended
    for fd in opened:
        with contextlib.suppress(OSError):
            found = os.stat(f"/proc/{pid}/fd/{fd}")
            if stat.S_ISREG(found.st_mode) and found.st_nlink == 0:
                yield found.st_blocks * BLOCK
