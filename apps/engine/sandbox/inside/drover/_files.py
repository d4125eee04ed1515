"""Ignore changes of modes and times of the code's own files, which the kernel refuses in a sandbox.

Libraries change them when they copy or unpack files. The files are deleted after the run, so such a change is
skipped there; for all other files the error is raised.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from typing import Any

Changing = Callable[..., None]


def install(folder: str) -> None:
    """Patch the functions of `os`; `folder` is the work folder."""
    own = os.path.realpath(folder) + os.sep
    for name in ("chmod", "utime"):
        setattr(os, name, _lenient(getattr(os, name), own))


def _lenient(change: Changing, own: str) -> Changing:
    @wraps(change)
    def changed(path: Any, *values: Any, **options: Any) -> None:
        try:
            change(path, *values, **options)
        except PermissionError:
            if not _is_below(own, path, options.get("dir_fd")):
                raise

    return changed


def _is_below(own: str, path: Any, dir_fd: int | None) -> bool:
    """Raises FileNotFoundError for a missing file, as the patched function does."""
    if isinstance(path, int) or dir_fd is not None:
        return False
    os.lstat(path)
    return os.path.realpath(os.fsdecode(path)).startswith(own)
