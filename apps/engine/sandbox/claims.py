"""Claims on names in a folder that several processes share. A claim ends when its owner releases it or exits.

A claim is a file lock in a folder that sandboxed code cannot access. The kernel releases the lock when the owner
exits. A process id would not work as a claim, because it is not valid in another container.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from pathlib import Path

SUFFIX = ".lock"

_own_locks: dict[Path, int] = {}  # the claims of this process, each with the descriptor of its lock


def claim_new_path(folder: Path, prefix: str) -> Path:
    """Claim a new name in the folder, before a file of that name exists, and return its path."""
    while True:
        path = folder / f"{prefix}{secrets.token_hex(8)}"
        if _lock(path, os.O_CREAT | os.O_EXCL):
            return path
        # Another process, which removes unused folders, locked or removed the lock file. Try another name.


def claim_path(path: Path) -> bool:
    """Claim the name of this path. Returns whether the name was free."""
    return _lock(path, os.O_CREAT)


def take_over(path: Path) -> bool:
    """Claim a name whose owner has exited. Returns whether the claim succeeded."""
    return _lock(path, 0)


def release(path: Path) -> None:
    """Release a claim of this process. Does nothing if this process has no such claim."""
    lock = _own_locks.pop(path, None)
    if lock is not None:
        _lock_file(path).unlink(missing_ok=True)
        os.close(lock)


def exists(path: Path) -> bool:
    """Whether the name has a lock file. The owner may have exited."""
    return _lock_file(path).exists()


def _lock(path: Path, flags: int) -> bool:
    lock_path = _lock_file(path)
    try:
        descriptor = os.open(lock_path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | flags, 0o600)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), os.stat(lock_path)):
            _own_locks[path] = descriptor
            return True
    except (BlockingIOError, FileNotFoundError):
        pass  # Another process has the lock, or has removed the lock file with the claimed folder.
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return False


def _lock_file(path: Path) -> Path:
    return path.with_name(path.name + SUFFIX)
