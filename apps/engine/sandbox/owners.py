"""Touch files as the user who owns them: another user's folders may be closed to us, even when we are root."""

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
    """From now on this thread reaches files, and /proc, with the rights of the owner of `path`.

    Only for a thread that does nothing else: it is never undone. Without the privilege to do so nothing changes,
    and the thread goes on with our own rights.
    """
    found = os.lstat(path)
    if found.st_uid != os.geteuid():
        _libc.setfsgid(found.st_gid)
        _libc.setfsuid(found.st_uid)  # in Linux these two concern the calling thread alone


def as_owner(path: Path, work: Callable[[], Result]) -> Result:
    """What `work` answers or raises when it is done with the rights of the owner of `path`."""
    if os.lstat(path).st_uid == os.geteuid():
        return work()
    with ThreadPoolExecutor(1, initializer=act_as_owner, initargs=(path,)) as one:
        return one.submit(work).result()
