"""Ignore failed changes of the modes and times of files in the work folder.

The kernel rejects these changes in a sandbox, and libraries make them when they copy or unpack files. The work
folder is deleted after the run, so the changes do not matter there. For all other files the error is raised.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from typing import Any

ChangeFunction = Callable[..., None]


def install(folder: str) -> None:
    """Patch the functions of `os`. `folder` is the work folder."""
    work_folder = os.path.realpath(folder) + os.sep
    for name in ("chmod", "utime"):
        setattr(os, name, _ignore_failures(getattr(os, name), work_folder))


def _ignore_failures(change: ChangeFunction, work_folder: str) -> ChangeFunction:
    @wraps(change)
    def tolerant_change(path: Any, *values: Any, **options: Any) -> None:
        try:
            change(path, *values, **options)
        except PermissionError:
            if not _is_below(work_folder, path, options.get("dir_fd")):
                raise

    return tolerant_change


def _is_below(work_folder: str, path: Any, dir_fd: int | None) -> bool:
    """Whether the path is in the folder. Raises FileNotFoundError for a missing file, as the original function does."""
    if isinstance(path, int) or dir_fd is not None:
        return False
    os.lstat(path)
    return os.path.realpath(os.fsdecode(path)).startswith(work_folder)
