"""Measure and limit the disk space that sandboxed code uses, also between questions."""

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
from apps.engine.sandbox.removal import FOLDER, PLACE

BLOCK = 512  # bytes per unit of st_blocks, whatever the file system's block size
ENTRY = (
    4096  # bytes counted at least per file or folder, because a million empty ones fill a disk too
)
MAX_NESTED = 64  # levels of nested folders
MEASURING_SECONDS = 5.0
LOOK_EVERY = 0.25  # seconds between measurements; shorter when much of the limit is used
LOOK_CLOSELY = 0.05
UNSEEN_SECONDS = 2.0  # /proc/PID is closed while a process exits
MAX_MAPS = 32 << 20  # bytes of /proc/PID/maps
MAX_THREADS = 80  # bubblewrap's own are among them; for a separate user the kernel stops at 64
DELETED = b" (deleted)\n"


class Unmeasurable(Exception):
    """The code's files cannot be measured. The message tells the author of the code why."""


class Watch:
    """Measures the files of a sandboxed process until it ends, and kills it above `limit` bytes.

    `work` is None if the folder, which the process sees as `inside`, is a file system of its own.
    """

    def __init__(
        self, process: subprocess.Popen[bytes], work: Path | None, inside: str, limit: int
    ) -> None:
        self.over = ""  # why the process was killed
        self._process = process
        self._work = work
        self._inside = inside
        self._limit = limit
        self._unseen_since: float | None = None
        self._wanted = threading.Event()
        self._looked = threading.Event()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="disk", daemon=True)

    def start(self) -> None:
        """Start watching, once the process has its final user and before it runs the code. Safe to call twice."""
        if self._thread.ident is None:
            self._thread.start()

    def look(self) -> None:
        """Measure now and wait for the result."""
        self._looked.clear()
        self._wanted.set()
        while self._thread.is_alive() and not self._looked.wait(LOOK_EVERY):
            pass

    def stop(self) -> None:
        """Stop watching. Safe to call twice, and without a start."""
        self._stopped = True
        self._wanted.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            self._watch()
        except (
            Exception
        ) as error:  # outermost handler of a thread: an unwatched process must not continue
            logger.exception("The code's files could not be measured")
            self._end(f"The files of the code could not be measured ({type(error).__name__}).")

    def _watch(self) -> None:
        if self._work is None:
            self._look_until_the_end(None)
            return
        place = WorkFolder(os.path.realpath(self._work))
        owners.act_as_owner(self._work)
        try:
            self._look_until_the_end(place)
        finally:
            place.close()

    def _look_until_the_end(self, place: WorkFolder | None) -> None:
        pause = LOOK_CLOSELY
        while self._process.poll() is None and not self.over:
            if wanted := self._wanted.wait(pause):
                self._wanted.clear()
            if self._stopped:
                return
            pause = self._look(place)
            if wanted:
                self._looked.set()

    def _look(self, place: WorkFolder | None) -> float:
        """Measure once. Returns the seconds until the next measurement."""
        started = time.monotonic()
        try:
            _require_few_threads(self._process.pid)
            used = self._used(place)
        except Unmeasurable as error:
            self._end(str(error))
            return 0
        if used > self._limit:
            self._end(f"The code wrote more than {self._limit:,} bytes of files.")
        pause = LOOK_EVERY if used < self._limit // 4 else LOOK_CLOSELY
        return max(pause, time.monotonic() - started)

    def _used(self, place: WorkFolder | None) -> int:
        if place is None:
            return _on_file_system(self._process.pid, self._inside)
        found = Measurement(self._process.pid, place, self._limit)
        found.take()
        now = time.monotonic()
        if not found.unseen:
            self._unseen_since = None
        elif self._unseen_since is None:
            self._unseen_since = now
        elif now - self._unseen_since > UNSEEN_SECONDS:
            raise Unmeasurable("The code hides files it wrote.")
        return found.bytes

    def _end(self, why: str) -> None:
        self.over = why
        self._process.kill()


class WorkFolder:
    """A work folder, opened as ourselves, because its owner may not have access to the folders above it.

    `path` has no links.
    """

    def __init__(self, path: str) -> None:
        self.fd = os.open(path, PLACE)
        self.start = os.fsencode(path) + b"/"  # device of the path's file system

    def close(self) -> None:
        os.close(self.fd)


class Measurement:
    """The `bytes` in a work folder and in deleted files that the process still has open.

    Counting stops at `limit`. `unseen` means that a part of /proc was not accessible.
    """

    def __init__(self, pid: int, place: WorkFolder, limit: int) -> None:
        self.bytes = 0
        self.unseen = False
        self._tasks = f"/proc/{pid}/task"
        self._place = place
        self._limit = limit
        self._until = time.monotonic() + MEASURING_SECONDS
        self._kept: set[int] = set()  # inodes that have no name any more

    def take(self) -> None:
        """Measure. Raises Unmeasurable."""
        for weight in self._weights():
            self.bytes += weight
            if self.bytes > self._limit:
                return
            if time.monotonic() > self._until:
                raise Unmeasurable("The code wrote so many files that they cannot be measured.")

    def _weights(self) -> Iterator[int]:
        try:
            for found in _below(self._place.fd):
                yield _weight(found)
        except PermissionError:
            raise Unmeasurable("The code hides files it wrote.") from None
        tasks = self._listed(self._tasks)
        for task in tasks:  # A thread may have its own descriptors.
            yield from self._deleted(f"{self._tasks}/{task}/fd")
        self._require_nothing_mapped(tasks)

    def _deleted(self, folder: str) -> Iterator[int]:
        """Return the sizes of open files that were deleted."""
        for fd in self._listed(folder):
            with self._noting_closed_parts():
                found = os.stat(f"{folder}/{fd}")
                if found.st_nlink or found.st_ino in self._kept or not _is_stored(found):
                    yield 0
                    continue
                self._kept.add(found.st_ino)
                yield _weight(found)

    def _require_nothing_mapped(self, tasks: list[str]) -> None:
        """Raise Unmeasurable if a deleted file is mapped but not open, because its size cannot be determined."""
        maps = next(filter(None, map(self._maps, tasks)), b"")
        if len(maps) > MAX_MAPS:
            raise Unmeasurable("The code mapped so many files that they cannot be measured.")
        for line in maps.splitlines(keepends=True) if DELETED in maps else ():
            if line.endswith(DELETED):
                *_, inode, path = line.split(maxsplit=5)
                if path.startswith(self._place.start) and int(inode) not in self._kept:
                    raise Unmeasurable("The code hides files it wrote.")

    def _maps(self, task: str) -> bytes:
        """Return the mappings of a process, the same for all its threads. Empty if it has ended."""
        with self._noting_closed_parts(), open(f"{self._tasks}/{task}/maps", "rb") as file:
            return file.read(MAX_MAPS + 1)
        return b""

    def _listed(self, folder: str) -> list[str]:
        with self._noting_closed_parts():
            return os.listdir(folder)
        return []

    @contextlib.contextmanager
    def _noting_closed_parts(self) -> Iterator[None]:
        try:
            yield
        except (FileNotFoundError, ProcessLookupError):
            pass  # It has ended.
        except PermissionError:
            self.unseen = True


def _weight(found: os.stat_result) -> int:
    """Return the larger of a file's apparent size and its allocated size."""
    return max(found.st_size, found.st_blocks * BLOCK, ENTRY)


def _is_stored(found: os.stat_result) -> bool:
    return stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)


def _below(place: int) -> Iterator[os.stat_result]:
    """Yield everything in a folder, even if it changes meanwhile.

    Uses one descriptor per level, of which there are few.
    """
    levels: list[tuple[int, list[str]]] = []
    try:
        folder: int | None = os.open(".", FOLDER, dir_fd=place)
        while folder is not None:
            levels.append((folder, []))
            if len(levels) > MAX_NESTED:
                raise Unmeasurable(
                    f"The code created more than {MAX_NESTED} levels of nested folders."
                )
            yield from _entries(*levels[-1])
            folder = _next_folder(levels)
    finally:
        for folder, _ in levels:
            os.close(folder)


def _entries(folder: int, folders: list[str]) -> Iterator[os.stat_result]:
    """Yield the folder's entries; names of subfolders are added to `folders`."""
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                found = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(found.st_mode):
                    folders.append(entry.name)
                yield found


def _next_folder(levels: list[tuple[int, list[str]]]) -> int | None:
    """Open the next folder that was not visited. Closes the levels that have none left."""
    while levels:
        folder, names = levels[-1]
        while names:
            try:
                return os.open(names.pop(), FOLDER, dir_fd=folder)
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                    raise  # Otherwise it was removed or replaced meanwhile.
        levels.pop()
        os.close(folder)
    return None


def _on_file_system(pid: int, inside: str) -> int:
    """Return the used bytes of the file system of a process below `pid`, deleted files included.

    Returns 0 if it is not accessible: the file system's own size limits it in any case.
    """
    for process in _processes_below(pid):
        with contextlib.suppress(OSError):
            found = os.statvfs(f"/proc/{process}/root{inside}")
            files = found.f_files - found.f_ffree
            return max((found.f_blocks - found.f_bfree) * found.f_frsize, files * ENTRY)
    return 0


def _require_few_threads(pid: int) -> None:
    """Raise Unmeasurable for too many threads. The kernel's limit is per user, and the code may share ours."""
    found = 0
    for process in (pid, *_processes_below(pid)):
        with contextlib.suppress(OSError):
            found += os.stat(f"/proc/{process}/task").st_nlink - 2  # a folder per thread
    if found > MAX_THREADS:
        raise Unmeasurable(f"The code started more than {MAX_THREADS} threads.")


def _processes_below(pid: int) -> Iterator[int]:
    with contextlib.suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            yield int(child)
            yield from _processes_below(int(child))
