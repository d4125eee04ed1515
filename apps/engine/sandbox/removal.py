"""Remove a folder with contents from hostile code, in bounded time, whatever its depth, names, modes and links.

There is no recursion and no long path: a nested folder is moved to the top of the tree, so that only two levels
are ever visited. Links are removed, never followed.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from apps.engine.sandbox import owners

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
PLACE = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
OPEN_TO_ITS_OWNER = 0o700


class OutOfTime(Exception):
    """Not everything is removed yet; calling again continues."""


def remove(tree: Path, *, seconds: float) -> None:
    """Remove a folder, link or file, with the rights of its owner or else ours. A missing path is not an error.

    Raises OutOfTime, or OSError for what cannot be removed, after everything else was removed.
    """
    until = time.monotonic() + seconds
    try:
        if stat.S_ISDIR(os.lstat(tree).st_mode):
            _empty(tree, until)
            os.rmdir(tree)
        else:
            os.unlink(tree)
    except FileNotFoundError:
        return  # Another process removes it too.


def _empty(tree: Path, until: float) -> None:
    found = os.open(
        tree, PLACE
    )  # Opened by us: its owner may not have access to the folders above it.
    try:
        owners.as_owner(tree, lambda: _Emptying(found, until).run())
    except PermissionError:
        _Emptying(found, until).run()  # Some of its contents may belong to other users.
    finally:
        os.close(found)


def _opened(name: str, folder: int) -> int:
    """Open the subfolder of that name."""
    found = os.open(name, PLACE, dir_fd=folder)
    try:
        return _usable(found)
    finally:
        os.close(found)


def _usable(place: int) -> int:
    """Open the folder and give its owner access, which the owner may have removed."""
    if stat.S_IMODE(os.fstat(place).st_mode) & OPEN_TO_ITS_OWNER != OPEN_TO_ITS_OWNER:
        os.chmod(f"/proc/self/fd/{place}", OPEN_TO_ITS_OWNER)
    return os.open(".", FOLDER, dir_fd=place)


class _Emptying:
    """Empties one folder. Other processes may do so at the same time."""

    def __init__(self, place: int, until: float) -> None:
        self._top = _usable(place)
        self._until = until
        self._names = (f"{secrets.token_hex(8)}-{number}" for number in count())
        self._removed = 0
        self._error: OSError | None = None

    def run(self) -> None:
        try:
            self._empty()
        finally:
            os.close(self._top)

    def _empty(self) -> None:
        """Repeat until empty, since each pass moves up folders that it does not visit itself."""
        while True:
            before, self._error, found = self._removed, None, False
            for entry in self._entries(self._top):
                found = True
                with self._collecting_errors():
                    self._remove(entry)
            if not found:
                return
            if self._removed == before:
                raise self._error or OSError(
                    "The contents of the folder change while it is being removed."
                )

    def _entries(self, folder: int) -> Iterator[os.DirEntry[str]]:
        with os.scandir(folder) as entries:
            for entry in entries:
                if time.monotonic() > self._until:
                    raise OutOfTime
                yield entry

    def _remove(self, entry: os.DirEntry[str]) -> None:
        if not entry.is_dir(follow_symlinks=False):
            self._unlink(entry.name, self._top)
            return
        folder = _opened(entry.name, self._top)
        try:
            for inner in self._entries(folder):
                with self._collecting_errors():
                    self._remove_inner(inner, folder)
        finally:
            os.close(folder)
        self._rmdir(entry.name, self._top)

    def _remove_inner(self, entry: os.DirEntry[str], folder: int) -> None:
        if not entry.is_dir(follow_symlinks=False):
            self._unlink(entry.name, folder)
            return
        try:
            self._rmdir(entry.name, folder)  # Most are empty, or will be by the next pass.
        except OSError:
            self._move_up(entry.name, folder)

    def _move_up(self, name: str, folder: int) -> None:
        os.close(_opened(name, folder))  # Only a folder that its owner may write to can be moved.
        os.rename(name, next(self._names), src_dir_fd=folder, dst_dir_fd=self._top)
        self._removed += 1  # Remove it from its old position.

    def _unlink(self, name: str, folder: int) -> None:
        os.unlink(name, dir_fd=folder)
        self._removed += 1

    def _rmdir(self, name: str, folder: int) -> None:
        os.rmdir(name, dir_fd=folder)
        self._removed += 1

    @contextlib.contextmanager
    def _collecting_errors(self) -> Iterator[None]:
        """Continue with the rest if one entry cannot be removed."""
        try:
            yield
        except FileNotFoundError:
            self._removed += 1  # Another process has removed it.
        except OSError as error:
            self._error = self._error or error
