"""A consistent copy of the stored files: links to local files, or a bucket's listing."""

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from local.errors import LocalError

LOCK_SECONDS = 60.0
CHUNK = 1 << 20  # bytes
DUCKDB, WRITE_AHEAD = ".duckdb", ".duckdb.wal"
Touch = Callable[[], None]
TEMPORARY = (".new", ".lock")  # prefixes of hidden names: files that are being written, and locks


def freeze(storage: Path, copy: Path, *, touch: Touch = lambda: None) -> int:
    """Make `copy` contain the current content of `storage`, and return its bytes. `touch` is called repeatedly.

    Stored files are replaced as a whole and never modified, so a hard link keeps the content. DuckDB's files
    are the exception: they are copied while no process writes them.
    """
    copy.mkdir(mode=0o700)
    total = 0
    for path in _files(storage):
        touch()
        target = copy / path.relative_to(storage)
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if path.name.endswith(DUCKDB):
            _copy_database(path, target, touch)
        elif path.name.endswith(WRITE_AHEAD) or not _link(path, target, touch):
            continue
        total += sum(one.stat().st_size for one in _with_log(target))
    return total


def _files(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            if not _is_temporary(name) and path.is_file() and not path.is_symlink():
                yield path


def _is_temporary(name: str) -> bool:
    return name.startswith(".") and (name.endswith(TEMPORARY) or ".tmp-" in name)


def _with_log(target: Path) -> Iterator[Path]:
    """Copy a DuckDB file, and its write-ahead log with it."""
    yield target
    log = target.with_name(target.name + ".wal")
    if target.name.endswith(DUCKDB) and log.exists():
        yield log


def _link(path: Path, target: Path, touch: Touch) -> bool:
    """Link the file. Returns whether it still existed."""
    try:
        os.link(path, target)
    except FileNotFoundError:
        return False
    except OSError:  # The file system has no hard links.
        with path.open("rb") as file:
            _copy(file, target, touch)
    return True


def _copy(file: IO[bytes], target: Path, touch: Touch) -> None:
    with target.open("xb") as copy:
        while chunk := file.read(CHUNK):
            copy.write(chunk)
            touch()


def _copy_database(path: Path, target: Path, touch: Touch) -> None:
    """Copy under the lock that DuckDB uses. Closing any handle of the file would release that lock."""
    with path.open("rb") as file:
        _lock(file, path, touch)
        _copy(file, target, touch)
        log = path.with_name(path.name + ".wal")
        if log.exists():
            with log.open("rb") as content:
                _copy(content, target.with_name(log.name), touch)


def _lock(file: IO[bytes], path: Path, touch: Touch) -> None:
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as busy:
            if time.monotonic() > deadline:
                raise LocalError(
                    f"{path} has been locked by a writer for more than {LOCK_SECONDS:.0f} s: try again later."
                ) from busy
            touch()
            time.sleep(0.1)
        else:
            return


# Buckets.


def listing(storage: Any, kind: str) -> Iterator[str]:
    """Yield each object of Drover's bucket as a line of JSON: key, size, etag."""
    for key, size, etag in _objects(storage, kind):
        yield json.dumps([key, size, etag]) + "\n"


def _objects(storage: Any, kind: str) -> Iterator[tuple[str, int, str]]:
    """List the objects; `storage` is one of django-storages."""
    if kind == "s3":
        for found in storage.bucket.objects.filter(Prefix="org/"):
            yield found.key, found.size, found.e_tag.strip('"')
    else:
        for blob in storage.client.list_blobs(storage.bucket, prefix="org/"):
            yield blob.name, blob.size, blob.etag


def differences(lines: Iterator[str], storage: Any, kind: str) -> tuple[list[str], list[str]]:
    """Return (missing keys, changed keys) compared with the listing."""
    now = {key: (size, etag) for key, size, etag in _objects(storage, kind)}
    gone, changed = [], []
    for key, size, etag in map(json.loads, lines):
        if key not in now:
            gone.append(key)
        elif now[key] != (size, etag):
            changed.append(key)
    return gone, changed
