"""Changing modes and times: the kernel refuses it in a sandbox, also of the code's own files.

Libraries that copy or unpack files do it in passing. The own files end with the run, so there nothing happens
instead; of every other file the refusal stands.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from typing import Any

Changing = Callable[..., None]


def install(folder: str) -> None:
    """Replace what programs call; `folder` is the work folder."""
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
    """Raises FileNotFoundError where there is nothing, as the call itself would."""
    if isinstance(path, int) or dir_fd is not None:
        return False
    os.lstat(path)
    return os.path.realpath(os.fsdecode(path)).startswith(own)
