"""Measure and limit the disk space that sandboxed code uses, during and between calls."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from loguru import logger

from apps.engine.sandbox import owners
from apps.engine.sandbox.removal import FOLDER_FLAGS, PATH_ONLY_FLAGS

BLOCK_BYTES = 512  # the unit of st_blocks, on every file system
MIN_ENTRY_SIZE = 4096  # Even an empty file counts as this many bytes, because a million empty files fill a disk too.
MAX_FOLDER_DEPTH = 64  # levels of nested folders
MEASURING_SECONDS = 5.0  # the longest time of one measurement
MEASURE_EVERY = 0.25  # seconds between measurements; shorter when much of the limit is used
MEASURE_EVERY_WHEN_FULL = 0.05
MAX_INACCESSIBLE_SECONDS = 2.0  # /proc/PID is not accessible while a process exits
MAX_MAPS = 32 << 20  # bytes of /proc/PID/maps
MAX_THREADS = 80  # includes the threads of bubblewrap; a separate user may have only 64
DELETED_SUFFIX = b" (deleted)\n"
HIDDEN_FILES_MESSAGE = "The code hides files it wrote."


class Unmeasurable(Exception):
    """The files of the code cannot be measured. The message is for the author of the code."""


class DiskWatch:
    """Measures the files of a sandboxed process until it ends, and kills it if they exceed `limit` bytes.

    The process sees its work folder as `path_inside`. `work_folder` is None if that folder is a separate file system.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        work_folder: Path | None,
        path_inside: str,
        limit: int,
    ) -> None:
        self.kill_reason = ""  # empty unless the process was killed
        self._process = process
        self._work_folder = work_folder
        self._path_inside = path_inside
        self._limit = limit
        self._incomplete_since: float | None = None
        self._measure_requested = threading.Event()
        self._is_measured = threading.Event()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="disk", daemon=True)

    def start(self) -> None:
        """Start watching. Call it when the process has its final user, and before it runs the code.

        A second call does nothing.
        """
        if self._thread.ident is None:
            self._thread.start()

    def measure_now(self) -> None:
        """Measure now and wait for the result."""
        self._is_measured.clear()
        self._measure_requested.set()
        while self._thread.is_alive() and not self._is_measured.wait(MEASURE_EVERY):
            pass

    def stop(self) -> None:
        """Stop watching. Does nothing if the watch was not started or has stopped."""
        self._stopped = True
        self._measure_requested.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            self._watch()
        except Exception as error:  # Outermost handler: a process that is not watched is killed.
            logger.exception("The files of the code could not be measured")
            self._kill_process(
                f"The files of the code could not be measured ({type(error).__name__})."
            )

    def _watch(self) -> None:
        if self._work_folder is None:
            self._measure_until_exit(None)
            return
        folder = WorkFolder(os.path.realpath(self._work_folder))
        owners.act_as_owner(self._work_folder)
        try:
            self._measure_until_exit(folder)
        finally:
            folder.close()

    def _measure_until_exit(self, folder: WorkFolder | None) -> None:
        pause = MEASURE_EVERY_WHEN_FULL
        while self._process.poll() is None and not self.kill_reason:
            if is_requested := self._measure_requested.wait(pause):
                self._measure_requested.clear()
            if self._stopped:
                return
            pause = self._measure_once(folder)
            if is_requested:
                self._is_measured.set()

    def _measure_once(self, folder: WorkFolder | None) -> float:
        """Measure once and return the seconds until the next measurement."""
        started = time.monotonic()
        try:
            _require_few_threads(self._process.pid)
            used_bytes = self._used_bytes(folder)
        except Unmeasurable as error:
            self._kill_process(str(error))
            return 0
        if used_bytes > self._limit:
            self._kill_process(f"The code wrote more than {self._limit:,} bytes of files.")
        pause = MEASURE_EVERY if used_bytes < self._limit // 4 else MEASURE_EVERY_WHEN_FULL
        return max(pause, time.monotonic() - started)

    def _used_bytes(self, folder: WorkFolder | None) -> int:
        if folder is None:
            return _file_system_usage(self._process.pid, self._path_inside)
        measurement = Measurement(self._process.pid, folder, self._limit)
        measurement.measure()
        now = time.monotonic()
        if not measurement.is_incomplete:
            self._incomplete_since = None
        elif self._incomplete_since is None:
            self._incomplete_since = now
        elif now - self._incomplete_since > MAX_INACCESSIBLE_SECONDS:
            raise Unmeasurable(HIDDEN_FILES_MESSAGE)
        return measurement.bytes

    def _kill_process(self, reason: str) -> None:
        self.kill_reason = reason
        self._process.kill()


class WorkFolder:
    """A work folder, opened with our own rights, because its owner may have no access to the folders above it.

    `path` must not contain links.
    """

    def __init__(self, path: str) -> None:
        self.fd = os.open(path, PATH_ONLY_FLAGS)
        self.path_prefix = os.fsencode(path) + b"/"  # for a comparison with /proc/PID/maps

    def close(self) -> None:
        os.close(self.fd)


class Measurement:
    """The size of a work folder, and of deleted files that the process still has open, in `bytes`.

    Measuring stops above `limit`. `is_incomplete` means that a part of /proc was not accessible.
    """

    def __init__(self, pid: int, folder: WorkFolder, limit: int) -> None:
        self.bytes = 0
        self.is_incomplete = False
        self._tasks = f"/proc/{pid}/task"
        self._folder = folder
        self._limit = limit
        self._deadline = time.monotonic() + MEASURING_SECONDS
        self._counted_inodes: set[int] = set()  # inodes of deleted files that were counted

    def measure(self) -> None:
        """Add up the sizes of all files. Raises Unmeasurable."""
        for size in self._file_sizes():
            self.bytes += size
            if self.bytes > self._limit:
                return
            if time.monotonic() > self._deadline:
                raise Unmeasurable("The code wrote so many files that they cannot be measured.")

    def _file_sizes(self) -> Iterator[int]:
        try:
            for file_stat in _walk(self._folder.fd):
                yield _disk_size(file_stat)
        except PermissionError:
            raise Unmeasurable(HIDDEN_FILES_MESSAGE) from None
        tasks = self._list_folder(self._tasks)
        for task in tasks:  # Each thread may have separate descriptors.
            yield from self._deleted_file_sizes(f"{self._tasks}/{task}/fd")
        self._require_no_hidden_mappings(tasks)

    def _deleted_file_sizes(self, descriptors_folder: str) -> Iterator[int]:
        """Yield the sizes of open files that were deleted."""
        for fd in self._list_folder(descriptors_folder):
            with self._tolerate_inaccessible_files():
                file_stat = os.stat(f"{descriptors_folder}/{fd}")
                if (
                    file_stat.st_nlink
                    or file_stat.st_ino in self._counted_inodes
                    or not _is_file_or_folder(file_stat)
                ):
                    yield 0
                    continue
                self._counted_inodes.add(file_stat.st_ino)
                yield _disk_size(file_stat)

    def _require_no_hidden_mappings(self, tasks: list[str]) -> None:
        """Raise Unmeasurable if a deleted file is mapped but not open, because its size cannot be determined."""
        maps = next(filter(None, map(self._read_maps, tasks)), b"")
        if len(maps) > MAX_MAPS:
            raise Unmeasurable("The code mapped so many files that they cannot be measured.")
        for line in maps.splitlines(keepends=True) if DELETED_SUFFIX in maps else ():
            if line.endswith(DELETED_SUFFIX):
                *_, inode, path = line.split(maxsplit=5)
                if (
                    path.startswith(self._folder.path_prefix)
                    and int(inode) not in self._counted_inodes
                ):
                    raise Unmeasurable(HIDDEN_FILES_MESSAGE)

    def _read_maps(self, task: str) -> bytes:
        """Return the memory mappings of the process, which all threads share. Empty if the thread has ended."""
        with self._tolerate_inaccessible_files(), open(f"{self._tasks}/{task}/maps", "rb") as file:
            return file.read(MAX_MAPS + 1)
        return b""

    def _list_folder(self, folder: str) -> list[str]:
        with self._tolerate_inaccessible_files():
            return os.listdir(folder)
        return []

    @contextlib.contextmanager
    def _tolerate_inaccessible_files(self) -> Iterator[None]:
        """Ignore files that no longer exist, and set `is_incomplete` if a file is not accessible."""
        try:
            yield
        except (FileNotFoundError, ProcessLookupError):
            pass  # The thread has ended, or the file was closed.
        except PermissionError:
            self.is_incomplete = True


def _disk_size(file_stat: os.stat_result) -> int:
    """Return the bytes that count for the file: its apparent size or its allocated size, whichever is larger."""
    return max(file_stat.st_size, file_stat.st_blocks * BLOCK_BYTES, MIN_ENTRY_SIZE)


def _is_file_or_folder(file_stat: os.stat_result) -> bool:
    return stat.S_ISREG(file_stat.st_mode) or stat.S_ISDIR(file_stat.st_mode)


def _walk(folder_fd: int) -> Iterator[os.stat_result]:
    """Yield every file and folder below a folder, even if other processes change it at the same time.

    Opens one descriptor per level of nesting, at most MAX_FOLDER_DEPTH.
    """
    levels: list[tuple[int, list[str]]] = []
    try:
        folder: int | None = os.open(".", FOLDER_FLAGS, dir_fd=folder_fd)
        while folder is not None:
            levels.append((folder, []))
            if len(levels) > MAX_FOLDER_DEPTH:
                raise Unmeasurable(
                    f"The code created more than {MAX_FOLDER_DEPTH} levels of nested folders."
                )
            yield from _list_entries(*levels[-1])
            folder = _next_folder(levels)
    finally:
        for folder, _ in levels:
            os.close(folder)


def _list_entries(folder_fd: int, subfolders: list[str]) -> Iterator[os.stat_result]:
    """Yield the entries of the folder, and add the names of its subfolders to `subfolders`."""
    with os.scandir(folder_fd) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                entry_stat = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(entry_stat.st_mode):
                    subfolders.append(entry.name)
                yield entry_stat


def _next_folder(levels: list[tuple[int, list[str]]]) -> int | None:
    """Open the next folder that was not visited. Closes each level whose subfolders were all visited."""
    while levels:
        folder_fd, names = levels[-1]
        while names:
            try:
                return os.open(names.pop(), FOLDER_FLAGS, dir_fd=folder_fd)
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                    raise  # ENOENT, ENOTDIR and ELOOP mean that the folder was removed or replaced.
        levels.pop()
        os.close(folder_fd)
    return None


def _file_system_usage(pid: int, path_inside: str) -> int:
    """Return the used bytes of the file system of a descendant of `pid`, deleted files included.

    Returns 0 if the file system is not accessible. Its size limits the code in any case.
    """
    for process in _descendants(pid):
        with contextlib.suppress(OSError):
            file_system = os.statvfs(f"/proc/{process}/root{path_inside}")
            files = file_system.f_files - file_system.f_ffree
            return max(
                (file_system.f_blocks - file_system.f_bfree) * file_system.f_frsize,
                files * MIN_ENTRY_SIZE,
            )
    return 0


def _require_few_threads(pid: int) -> None:
    """Raise Unmeasurable for too many threads. The kernel limits them per user, and the code may have our user."""
    threads = 0
    for process in (pid, *_descendants(pid)):
        with contextlib.suppress(OSError):
            subfolders = os.stat(f"/proc/{process}/task").st_nlink - 2  # one for each thread
            threads += subfolders
    if threads > MAX_THREADS:
        raise Unmeasurable(f"The code started more than {MAX_THREADS} threads.")


def _descendants(pid: int) -> Iterator[int]:
    with contextlib.suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            yield int(child)
            yield from _descendants(int(child))
