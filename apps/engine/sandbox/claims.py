"""Claims on names in a folder that several processes share. A claim lasts until its owner releases it or dies.

A claim is a file lock, in a folder that sandboxed code cannot access. The kernel releases the lock when the owner
dies. Process ids would not work: they mean nothing in another container.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from pathlib import Path

SUFFIX = ".lock"

_held: dict[Path, int] = {}  # this process's claims, each with the descriptor that holds its lock


def claim(folder: Path, prefix: str) -> Path:
    """Claim a new name in the folder. It is ours before anything can be created under it."""
    while True:
        path = folder / f"{prefix}{secrets.token_hex(8)}"
        if _lock(path, os.O_CREAT | os.O_EXCL):
            return path
        # A sweep locked or removed the file before we locked it: try another name.


def claim_exactly(path: Path) -> bool:
    """Claim this name. Returns whether it was free."""
    return _lock(path, os.O_CREAT)


def take_over(path: Path) -> bool:
    """Claim the name of a dead owner. Returns whether it is ours now."""
    return _lock(path, 0)


def release(path: Path) -> None:
    """Release a claim of ours. Does nothing if there is none."""
    held = _held.pop(path, None)
    if held is not None:
        _lock_file(path).unlink(missing_ok=True)
        os.close(held)


def exists(path: Path) -> bool:
    """Whether somebody has claimed the name, alive or dead."""
    return _lock_file(path).exists()


def _lock(path: Path, flags: int) -> bool:
    file = _lock_file(path)
    try:
        lock = os.open(file, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | flags, 0o600)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(lock), os.stat(file)):
            _held[path] = lock
            return True
    except (BlockingIOError, FileNotFoundError):
        pass  # Another process holds it, or has removed it together with what it protected.
    except BaseException:
        os.close(lock)
        raise
    os.close(lock)
    return False


def _lock_file(path: Path) -> Path:
    return path.with_name(path.name + SUFFIX)
