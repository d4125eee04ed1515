"""A folder as a store. Files are written as temporary files, synced and renamed."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import shutil
import uuid
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from polars.exceptions import PolarsError

from apps.engine.failures import DestinationError
from apps.engine.stores import Entry, Store, SwapConflict

NO_SPACE = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the disk quota is used up"}
OS_ERROR = re.compile(r"\(os error (\d+)\)")
_TEMPORARY = ".tmp-"


class LocalStore(Store):
    """Objects as files below `root / prefix`."""

    def __init__(self, root: Path, prefix: str) -> None:
        self._prefix = prefix.strip("/")
        self._base = root / self._prefix

    def full_key(self, key: str) -> str:
        return f"{self._prefix}/{key}" if self._prefix else key

    def path(self, key: str) -> Path:
        """Return the file of a key. Raises ValueError for keys that point outside the store."""
        if ".." in key.split("/") or key.startswith("/") or "\0" in key:
            raise ValueError(f"{key!r} is not a valid key")
        return self._base / key

    @contextlib.contextmanager
    def sink(self, key: str) -> Iterator[BinaryIO]:
        with explained(f"{key} could not be written"), self._replacing(self.path(key)) as file:
            yield file

    def write(self, key: str, data: bytes) -> None:
        with self.sink(key) as file:
            file.write(data)

    def read(self, key: str) -> bytes | None:
        try:
            return self.path(key).read_bytes()
        except FileNotFoundError:
            return None

    def readable(self, key: str) -> Path | bytes:
        return self.path(key)

    def size(self, key: str) -> int | None:
        try:
            return self.path(key).stat().st_size
        except FileNotFoundError:
            return None

    def copy(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Use hard links where the file system supports them, else copies; each folder is synced once."""
        folders: dict[Path, Path] = {}
        for source, target in pairs:
            origin, path = self.path(source), self.path(target)
            if not origin.exists():
                raise FileNotFoundError(source)
            with explained(f"{target} could not be written"):
                folders.setdefault(path.parent, _make_folder(path.parent))
                self._link(origin, path)
        for folder, made in folders.items():
            _sync_folders(folder, made)

    def _link(self, origin: Path, path: Path) -> None:
        draft = _draft(path)
        try:
            os.link(origin, draft)
        except OSError:
            with self._replacing(path) as file, origin.open("rb") as original:
                shutil.copyfileobj(original, file, 1 << 20)
            return
        draft.replace(path)
        draft.unlink(missing_ok=True)  # Renaming onto a link to the same file does nothing.

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            path = self.path(key)
            with explained(f"{key} could not be removed"):
                path.unlink(missing_ok=True)
            self._remove_empty_folders(path.parent)

    def entries(self, prefix: str) -> Iterator[Entry]:
        for folder, _, names in os.walk(self.path(prefix.rstrip("/"))):
            for name in sorted(names):
                path = Path(folder, name)
                with contextlib.suppress(FileNotFoundError):
                    stat = path.stat()
                    key = path.relative_to(self._base).as_posix()
                    yield Entry(key, stat.st_size, datetime.fromtimestamp(stat.st_mtime, UTC))

    def read_version(self, key: str) -> tuple[bytes, str] | None:
        data = self.read(key)
        return None if data is None else (data, hashlib.sha256(data).hexdigest())

    def swap(self, key: str, data: bytes, version: str | None) -> None:
        path = self.path(key)
        with explained(f"{key} could not be replaced"):
            _make_folder(path.parent)
            with path.with_name(f".{path.name}.lock").open("wb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                current = self.read_version(key)
                if (current[1] if current else None) != version:
                    raise SwapConflict(key)
                self.write(key, data)

    @contextlib.contextmanager
    def _replacing(self, path: Path) -> Iterator[BinaryIO]:
        made, draft = _make_folder(path.parent), _draft(path)
        try:
            with _created(draft) as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        _sync_folders(path.parent, made)

    def _remove_empty_folders(self, folder: Path) -> None:
        while folder != self._base and self._base in folder.parents:
            try:
                folder.rmdir()
            except OSError:  # It is not empty, or another process has removed it.
                return
            folder = folder.parent


def _draft(path: Path) -> Path:
    return path.with_name(f".{path.name}{_TEMPORARY}{uuid.uuid4().hex[:12]}")


def _created(draft: Path) -> BinaryIO:
    """Open the draft, creating its folder again if another process removed it because it was empty."""
    try:
        return draft.open("xb")
    except FileNotFoundError:
        _make_folder(draft.parent)
        return draft.open("xb")


def _make_folder(folder: Path) -> Path:
    """Create the folder and its parents. Returns the deepest folder that existed before."""
    existing = folder
    while not existing.exists():
        existing = existing.parent
    folder.mkdir(parents=True, exist_ok=True)
    return existing


def _sync_folders(folder: Path, existing: Path) -> None:
    """Sync the folder, and those parents that were created for it."""
    while True:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        if folder in (existing, folder.parent):
            return
        folder = folder.parent


@contextlib.contextmanager
def explained(what: str) -> Iterator[None]:
    """Convert the operating system's errors to a DestinationError with a reason."""
    try:
        yield
    except OSError as error:
        raise _failure(what, error) from error
    except PolarsError as error:  # Unwrap errors of the operating system.
        found = OS_ERROR.search(str(error))
        if found is None:
            raise
        number = int(found[1])
        raise _failure(what, OSError(number, os.strerror(number))) from error


def _failure(what: str, error: OSError) -> DestinationError:
    why = NO_SPACE.get(error.errno or 0) or error.strerror or str(error)
    number = errno.errorcode.get(error.errno or 0, "OSError")
    return DestinationError(f"{what}: {why}", evidence=(f"{number}: {why}",))
