"""Remove a folder that hostile code has filled, in limited time, whatever its depth, names, modes and links.

There is no recursion and no long path. A nested folder is moved to the top of the tree, so that only two levels
are visited. Links are removed and never followed.
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

FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
PATH_ONLY_FLAGS = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
OWNER_ACCESS = 0o700


class OutOfTime(Exception):
    """The time limit was reached before everything was removed. Another call continues the removal."""


def remove(path: Path, *, seconds: float) -> None:
    """Remove a folder, link or file, with the rights of its owner or of this process. The path may be missing.

    Raises OutOfTime. Raises OSError if an entry cannot be removed, after all other entries were removed.
    """
    deadline = time.monotonic() + seconds
    try:
        if stat.S_ISDIR(os.lstat(path).st_mode):
            _remove_contents(path, deadline)
            os.rmdir(path)
        else:
            os.unlink(path)
    except FileNotFoundError:
        return  # Another process has removed the path.


def _remove_contents(folder: Path, deadline: float) -> None:
    # Open the folder with our rights, because its owner may have no access to the folders above it.
    folder_fd = os.open(folder, PATH_ONLY_FLAGS)
    try:
        owners.run_as_owner(folder, lambda: _FolderEmptier(folder_fd, deadline).run())
    except PermissionError:
        _FolderEmptier(folder_fd, deadline).run()  # Some of the entries may belong to other users.
    finally:
        os.close(folder_fd)


def _open_subfolder(name: str, folder_fd: int) -> int:
    path_fd = os.open(name, PATH_ONLY_FLAGS, dir_fd=folder_fd)
    try:
        return _open_with_owner_access(path_fd)
    finally:
        os.close(path_fd)


def _open_with_owner_access(path_fd: int) -> int:
    """Open the folder. If its owner has no access, give the owner access first."""
    if stat.S_IMODE(os.fstat(path_fd).st_mode) & OWNER_ACCESS != OWNER_ACCESS:
        os.chmod(f"/proc/self/fd/{path_fd}", OWNER_ACCESS)
    return os.open(".", FOLDER_FLAGS, dir_fd=path_fd)


class _FolderEmptier:
    """Empties one folder. Other processes may empty the same folder at the same time."""

    def __init__(self, path_fd: int, deadline: float) -> None:
        self._top_fd = _open_with_owner_access(path_fd)
        self._deadline = deadline
        self._new_names = (f"{secrets.token_hex(8)}-{number}" for number in count())
        self._removed_count = 0
        self._first_error: OSError | None = None

    def run(self) -> None:
        try:
            self._empty_folder()
        finally:
            os.close(self._top_fd)

    def _empty_folder(self) -> None:
        """Repeat until the folder is empty, because each pass moves nested folders to the top for the next pass."""
        while True:
            removed_before, self._first_error, has_entries = self._removed_count, None, False
            for entry in self._list_entries(self._top_fd):
                has_entries = True
                with self._collecting_errors():
                    self._remove_entry(entry)
            if not has_entries:
                return
            if self._removed_count == removed_before:
                raise self._first_error or OSError(
                    "The contents of the folder change while it is being removed."
                )

    def _list_entries(self, folder_fd: int) -> Iterator[os.DirEntry[str]]:
        with os.scandir(folder_fd) as entries:
            for entry in entries:
                if time.monotonic() > self._deadline:
                    raise OutOfTime
                yield entry

    def _remove_entry(self, entry: os.DirEntry[str]) -> None:
        if not entry.is_dir(follow_symlinks=False):
            self._unlink(entry.name, self._top_fd)
            return
        folder_fd = _open_subfolder(entry.name, self._top_fd)
        try:
            for inner in self._list_entries(folder_fd):
                with self._collecting_errors():
                    self._remove_inner_entry(inner, folder_fd)
        finally:
            os.close(folder_fd)
        self._rmdir(entry.name, self._top_fd)

    def _remove_inner_entry(self, entry: os.DirEntry[str], folder_fd: int) -> None:
        if not entry.is_dir(follow_symlinks=False):
            self._unlink(entry.name, folder_fd)
            return
        try:
            self._rmdir(entry.name, folder_fd)
        except OSError:  # The folder is not empty.
            self._move_up(entry.name, folder_fd)

    def _move_up(self, name: str, folder_fd: int) -> None:
        # A folder can be moved only if its owner has write access, so open it to give the owner access.
        os.close(_open_subfolder(name, folder_fd))
        os.rename(name, next(self._new_names), src_dir_fd=folder_fd, dst_dir_fd=self._top_fd)
        self._removed_count += 1  # The folder is no longer in its old position.

    def _unlink(self, name: str, folder_fd: int) -> None:
        os.unlink(name, dir_fd=folder_fd)
        self._removed_count += 1

    def _rmdir(self, name: str, folder_fd: int) -> None:
        os.rmdir(name, dir_fd=folder_fd)
        self._removed_count += 1

    @contextlib.contextmanager
    def _collecting_errors(self) -> Iterator[None]:
        """Continue with the next entry if one cannot be removed, and store the first error."""
        try:
            yield
        except FileNotFoundError:
            self._removed_count += 1  # Another process has removed the entry.
        except OSError as error:
            self._first_error = self._first_error or error
