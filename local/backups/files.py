"""Make a consistent copy of the stored files: hard links to local files, or the listing of a bucket."""

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from local.errors import LocalError

LOCK_WAIT_SECONDS = 60.0
CHUNK_SIZE = 1 << 20  # bytes
DUCKDB_SUFFIX, WRITE_AHEAD_SUFFIX = ".duckdb", ".duckdb.wal"
KeepAlive = Callable[[], None]
# The suffixes of hidden files that are not stored files: files that are being written, and locks.
TEMPORARY_SUFFIXES = (".new", ".lock")


def copy_files(storage: Path, target_folder: Path, *, keep_alive: KeepAlive = lambda: None) -> int:
    """Copy the files of `storage` to a new `target_folder`. Returns their total size in bytes. `keep_alive` is called repeatedly.

    A stored file may be replaced, but its content is never modified. So a hard link preserves the content. DuckDB
    files are modified, so they are copied while no process writes to them.
    """
    target_folder.mkdir(mode=0o700)
    total = 0
    for path in _walk_files(storage):
        keep_alive()
        target = target_folder / path.relative_to(storage)
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if path.name.endswith(DUCKDB_SUFFIX):
            _copy_database(path, target, keep_alive)
        elif path.name.endswith(WRITE_AHEAD_SUFFIX) or not _link(path, target, keep_alive):
            continue
        total += sum(file.stat().st_size for file in _with_write_ahead_log(target))
    return total


def _walk_files(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            if not _is_temporary(name) and path.is_file() and not path.is_symlink():
                yield path


def _is_temporary(name: str) -> bool:
    return name.startswith(".") and (name.endswith(TEMPORARY_SUFFIXES) or ".tmp-" in name)


def _with_write_ahead_log(target: Path) -> Iterator[Path]:
    """Yield the copied file. For a DuckDB file, also yield its write-ahead log if there is one."""
    yield target
    log = target.with_name(target.name + ".wal")
    if target.name.endswith(DUCKDB_SUFFIX) and log.exists():
        yield log


def _link(path: Path, target: Path, keep_alive: KeepAlive) -> bool:
    """Link the file, or copy it if the file system has no hard links. Returns whether it still existed."""
    try:
        os.link(path, target)
    except FileNotFoundError:
        return False
    except OSError:
        with path.open("rb") as file:
            _copy(file, target, keep_alive)
    return True


def _copy(file: IO[bytes], target: Path, keep_alive: KeepAlive) -> None:
    with target.open("xb") as copy:
        while chunk := file.read(CHUNK_SIZE):
            copy.write(chunk)
            keep_alive()


def _copy_database(path: Path, target: Path, keep_alive: KeepAlive) -> None:
    """Copy a DuckDB file under the lock that DuckDB uses.

    The file is opened only once: closing another handle of it would release the lock.
    """
    with path.open("rb") as file:
        _lock(file, path, keep_alive)
        _copy(file, target, keep_alive)
        log = path.with_name(path.name + ".wal")
        if log.exists():
            with log.open("rb") as content:
                _copy(content, target.with_name(log.name), keep_alive)


def _lock(file: IO[bytes], path: Path, keep_alive: KeepAlive) -> None:
    deadline = time.monotonic() + LOCK_WAIT_SECONDS
    while True:
        try:
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as busy:
            if time.monotonic() > deadline:
                raise LocalError(
                    f"{path} has been locked by a writer for more than {LOCK_WAIT_SECONDS:.0f} s: try again later."
                ) from busy
            keep_alive()
            time.sleep(0.1)
        else:
            return


# Buckets.


def list_objects(storage: Any, kind: str) -> Iterator[str]:
    """Yield a line of JSON with key, size and etag for each object in Drover's bucket."""
    for key, size, etag in _iterate_objects(storage, kind):
        yield json.dumps([key, size, etag]) + "\n"


def _iterate_objects(storage: Any, kind: str) -> Iterator[tuple[str, int, str]]:
    """Yield key, size and etag of each object. `storage` is a storage of django-storages."""
    if kind == "s3":
        for item in storage.bucket.objects.filter(Prefix="org/"):
            yield item.key, item.size, item.e_tag.strip('"')
    else:
        for blob in storage.client.list_blobs(storage.bucket, prefix="org/"):
            yield blob.name, blob.size, blob.etag


def compare_listing(lines: Iterator[str], storage: Any, kind: str) -> tuple[list[str], list[str]]:
    """Compare the bucket with the lines of a listing. Returns (missing keys, changed keys)."""
    current = {key: (size, etag) for key, size, etag in _iterate_objects(storage, kind)}
    missing, changed = [], []
    for key, size, etag in map(json.loads, lines):
        if key not in current:
            missing.append(key)
        elif current[key] != (size, etag):
            changed.append(key)
    return missing, changed
