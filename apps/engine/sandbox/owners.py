"""Access files with the rights of their owner, because even root may have no access to another user's folders."""

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

    Call this only in a thread that does nothing else, because the change is never undone. If this process lacks
    the privilege, the thread keeps the rights of the process.
    """
    owner = os.lstat(path)
    if owner.st_uid != os.geteuid():
        _libc.setfsgid(owner.st_gid)
        _libc.setfsuid(owner.st_uid)  # On Linux these two calls affect only the calling thread.


def run_as_owner(path: Path, function: Callable[[], Result]) -> Result:
    """Run `function` with the rights of the owner of `path`. Returns its result or raises its exception."""
    if os.lstat(path).st_uid == os.geteuid():
        return function()
    with ThreadPoolExecutor(1, initializer=act_as_owner, initargs=(path,)) as executor:
        return executor.submit(function).result()
