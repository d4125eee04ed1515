"""Access files as the user who owns them: even root may have no access to another user's folders."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")

_libc = ctypes.CDLL(None)


def act_as_owner(path: Path) -> None:
    """Give this thread the rights of the owner of `path`, for files and /proc.

    Only for a thread that does nothing else, because it is never undone. Without the necessary privilege
    nothing changes, and the thread keeps our own rights.
    """
    found = os.lstat(path)
    if found.st_uid != os.geteuid():
        _libc.setfsgid(found.st_gid)
        _libc.setfsuid(found.st_uid)  # On Linux these two calls affect only the calling thread.


def as_owner(path: Path, work: Callable[[], Result]) -> Result:
    """Run `work` with the rights of the owner of `path` and return its result or raise its exception."""
    if os.lstat(path).st_uid == os.geteuid():
        return work()
    with ThreadPoolExecutor(1, initializer=act_as_owner, initargs=(path,)) as one:
        return one.submit(work).result()
