"""A folder as a store. Files are written as temporary files (drafts), synced and renamed."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import shutil
import stat
import sys
import uuid
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from apps.engine.failures import DestinationError
from apps.engine.stores import Draft, Entry, Store, SwapConflict

NO_SPACE_REASONS = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the disk quota is used up"}
OS_ERROR_NUMBER = re.compile(r"\(os error (\d+)\)")
_DRAFT_INFIX = ".tmp-"
# Bytes of a draft after which they are synced, so that the last sync is quick.
_SYNC_BYTES = 64 << 20


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
        with (
            converting_errors(f"{key} could not be written"),
            self._open_replacement(self.path(key)) as file,
        ):
            yield file

    def write(self, key: str, data: bytes) -> None:
        with self.sink(key) as file:
            file.write(data)

    def read(self, key: str) -> bytes | None:
        try:
            return self.path(key).read_bytes()
        except FileNotFoundError:
            return None

    @property
    def is_local(self) -> bool:
        return True

    def path_or_bytes(self, key: str) -> Path | bytes:
        return self.path(key)

    def size(self, key: str) -> int | None:
        try:
            status = self.path(key).stat()
        except FileNotFoundError:
            return None
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    def copy(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Use hard links where the file system supports them, else copies; each folder is synced once."""
        existing_parents: dict[Path, Path] = {}  # by folder, the deepest parent that existed before
        for source, target in pairs:
            source_path, target_path = self.path(source), self.path(target)
            if not source_path.exists():
                raise FileNotFoundError(source)
            with converting_errors(f"{target} could not be written"):
                folder = target_path.parent
                existing_parents.setdefault(folder, _make_folder(folder))
                self._link_or_copy(source_path, target_path)
        for folder, existing_parent in existing_parents.items():
            _sync_folders(folder, existing_parent)

    def _link_or_copy(self, source_path: Path, target_path: Path) -> None:
        draft = _draft_path(target_path)
        try:
            os.link(source_path, draft)
        except OSError:
            with (
                self._open_replacement(target_path) as file,
                source_path.open("rb") as source_file,
            ):
                shutil.copyfileobj(source_file, file, 1 << 20)
            return
        draft.replace(target_path)
        # Renaming does nothing if both paths are links to the same file.
        draft.unlink(missing_ok=True)

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            path = self.path(key)
            with converting_errors(f"{key} could not be removed"):
                path.unlink(missing_ok=True)
            self._remove_empty_folders(path.parent)

    def entries(self, prefix: str) -> Iterator[Entry]:
        for folder, _, names in os.walk(self.path(prefix.rstrip("/"))):
            for name in sorted(names):
                path = Path(folder, name)
                with contextlib.suppress(FileNotFoundError):
                    status = path.stat()
                    key = path.relative_to(self._base).as_posix()
                    yield Entry(key, status.st_size, datetime.fromtimestamp(status.st_mtime, UTC))

    def read_version(self, key: str) -> tuple[bytes, str] | None:
        data = self.read(key)
        return None if data is None else (data, hashlib.sha256(data).hexdigest())

    def swap(self, key: str, data: bytes, version: str | None) -> None:
        path = self.path(key)
        with converting_errors(f"{key} could not be replaced"):
            _make_folder(path.parent)
            with path.with_name(f".{path.name}.lock").open("wb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                current = self.read_version(key)
                if (current[1] if current else None) != version:
                    raise SwapConflict(key)
                self.write(key, data)

    def draft(self, key: str, scratch_key: str) -> Draft:
        return _LocalDraft(self, key, scratch_key)

    def discard_drafts(self, prefix: str, scratch_prefix: str, *, before: datetime) -> None:
        self.delete(
            [entry.key for entry in self.entries(scratch_prefix) if entry.modified < before]
        )

    @contextlib.contextmanager
    def _open_replacement(self, path: Path) -> Iterator[BinaryIO]:
        existing_parent, draft = _make_folder(path.parent), _draft_path(path)
        try:
            with _create_draft(draft) as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        _sync_folders(path.parent, existing_parent)

    def _remove_empty_folders(self, folder: Path) -> None:
        while folder != self._base and self._base in folder.parents:
            try:
                folder.rmdir()
            except OSError:  # It is not empty, or another process has removed it.
                return
            folder = folder.parent


class _LocalDraft(Draft):
    """A file that is renamed when it is complete."""

    def __init__(self, store: LocalStore, key: str, scratch_key: str) -> None:
        self._store, self._key, self._scratch_key = store, key, scratch_key
        self._unsynced = 0
        scratch_path = store.path(scratch_key)
        with self._converting_errors():
            _make_folder(scratch_path.parent)
            self._file = _create_draft(scratch_path)

    def write(self, data: bytes) -> None:
        with self._converting_errors():
            self._file.write(data)
            self._unsynced += len(data)
            if self._unsynced >= _SYNC_BYTES:
                self._sync()

    def flush(self) -> None:
        with self._converting_errors():
            self._sync()

    def commit(self) -> None:
        path, scratch_path = self._store.path(self._key), self._store.path(self._scratch_key)
        with self._converting_errors():
            self._sync()
            self._file.close()
            existing_parent = _make_folder(path.parent)
            try:
                scratch_path.replace(path)
            except FileNotFoundError:  # Another process removed the folder because it was empty.
                _make_folder(path.parent)
                scratch_path.replace(path)
            _sync_folders(path.parent, existing_parent)

    def discard(self) -> None:
        # Closing writes what is buffered, for which there may be no space.
        with contextlib.suppress(OSError):
            self._file.close()
        self._store.delete([self._scratch_key])

    def _sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._unsynced = 0

    def _converting_errors(self) -> contextlib.AbstractContextManager[None]:
        return converting_errors(f"{self._key} could not be written")


def _draft_path(path: Path) -> Path:
    return path.with_name(f".{path.name}{_DRAFT_INFIX}{uuid.uuid4().hex[:12]}")


def _create_draft(draft: Path) -> BinaryIO:
    """Open the draft, creating its folder again if another process removed it because it was empty."""
    try:
        return draft.open("xb")
    except FileNotFoundError:
        _make_folder(draft.parent)
        return draft.open("xb")


def _make_folder(folder: Path) -> Path:
    """Create the folder and its parents. Returns the deepest folder that existed before."""
    existing_parent = folder
    while not existing_parent.exists():
        existing_parent = existing_parent.parent
    folder.mkdir(parents=True, exist_ok=True)
    return existing_parent


def _sync_folders(folder: Path, existing_parent: Path) -> None:
    """Sync the folder, and its parents up to `existing_parent`."""
    while True:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        if folder in (existing_parent, folder.parent):
            return
        folder = folder.parent


@contextlib.contextmanager
def converting_errors(problem: str) -> Iterator[None]:
    """Convert errors of the operating system to DestinationError."""
    try:
        yield
    except OSError as error:
        raise _to_failure(problem, error) from error
    except Exception as error:
        # Polars wraps errors of the operating system.
        match = OS_ERROR_NUMBER.search(str(error)) if _is_polars_error(error) else None
        if match is None:
            raise
        number = int(match[1])
        raise _to_failure(problem, OSError(number, os.strerror(number))) from error


def _is_polars_error(error: Exception) -> bool:
    """Whether Polars raised the error. A web process stores files without importing Polars."""
    exceptions: Any = sys.modules.get("polars.exceptions")
    return exceptions is not None and isinstance(error, exceptions.PolarsError)


def _to_failure(problem: str, error: OSError) -> DestinationError:
    reason = NO_SPACE_REASONS.get(error.errno or 0) or error.strerror or str(error)
    number = errno.errorcode.get(error.errno or 0, "OSError")
    return DestinationError(f"{problem}: {reason}", evidence=(f"{number}: {reason}",))
