"""Open a DuckDB file whose connection can read only its own staging folder, and translate DuckDB's errors."""

from __future__ import annotations

import contextlib
import fcntl
import random
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import duckdb
from loguru import logger

from apps.engine.failures import ConfigurationError, ContractError, DestinationError
from apps.engine.process.progress import progress

# Seconds between attempts to lock the file. The streams of a run hold it for a few hundredths of a second, other programs longer.
FIRST_POLL_INTERVAL, POLL_INTERVAL = 0.01, 0.2
OPTIONS: dict[str, Any] = {
    "allow_community_extensions": False,
    "allow_unsigned_extensions": False,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "memory_limit": "512MB",
    "python_enable_replacements": False,
    "threads": 2,
}
# DuckDB's messages if another process has locked the file, and if this process is still closing it.
IN_USE_ERRORS = ("Could not set lock", "already attached")
DISK_FULL_ERRORS = ("No space left", "disk quota", "File too large")


@contextlib.contextmanager
def open_database(
    file: Path, *, staging: Path, lock_timeout: float
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Connect to a database whose statements can read files in `staging` and no other files.

    Only one process can have the database open. Raises DestinationError after waiting for it for `lock_timeout` seconds.
    """
    with converting_errors(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        with lock_file(file).open("wb") as lock:
            connection = _connect(file, lock, lock_timeout)
            try:
                _restrict_file_access(connection, staging)
                yield connection
            finally:
                connection.close()


def lock_file(file: Path) -> Path:
    """Return the file that a process locks before it reads the database.

    DuckDB's own lock is not enough. DuckDB reads the headers of the file before it locks the file, and not again. If
    another process writes in between, DuckDB continues from old headers, and rows of the other process are lost.
    """
    return file.with_name(f".{file.name}.lock")


@contextlib.contextmanager
def converting_errors(file: Path) -> Iterator[None]:
    """Convert DuckDB's errors to ours, without paths of this machine."""
    try:
        yield
    except (duckdb.Error, OSError) as error:
        line = f"{type(error).__name__}: {error}".replace(f"{file.parent}/", "")[:300]
        if any(text in line for text in DISK_FULL_ERRORS):
            raise DestinationError("The disk is full", evidence=(line,)) from error
        if isinstance(error, duckdb.ConstraintException | duckdb.ConversionException):
            raise ContractError("A record does not fit the table", evidence=(line,)) from error
        if isinstance(error, duckdb.CatalogException | duckdb.BinderException):
            raise ConfigurationError("DuckDB refused a statement", evidence=(line,)) from error
        raise DestinationError("DuckDB failed", evidence=(line,)) from error


def merge_write_ahead_log(connection: duckdb.DuckDBPyConnection) -> None:
    """Checkpoint the write-ahead log into the file, so that the file alone is complete.

    While another process reads the file, the log remains a separate file.
    """
    try:
        connection.execute("CHECKPOINT")
    except duckdb.TransactionException:
        logger.info("The database is in use: its write-ahead log remains a separate file for now")


def _create(file: Path) -> None:
    """Create an empty database. It gets its name when it is complete."""
    new_file = file.with_name(f".new-{uuid.uuid4().hex}.duckdb")
    duckdb.connect(new_file, config=OPTIONS).close()
    new_file.rename(file)


def _connect(file: Path, lock: IO[bytes], lock_timeout: float) -> duckdb.DuckDBPyConnection:
    return poll_until_free(file, lambda: _try_to_connect(file, lock), lock_timeout)


def poll_until_free(
    file: Path,
    try_to_connect: Callable[[], duckdb.DuckDBPyConnection | None],
    lock_timeout: float,
) -> duckdb.DuckDBPyConnection:
    """Return the first connection. Raises DestinationError if the file is in use for `lock_timeout` seconds."""
    connection = try_to_connect()
    if connection is not None:
        return connection
    if lock_timeout:
        logger.info(
            "Waiting until another run or program has closed {} (at most {:g} s)",
            *(file.name, lock_timeout),
        )
    with progress.expect_silence("waiting for the database", lock_timeout):
        deadline, interval = time.monotonic() + lock_timeout, FIRST_POLL_INTERVAL
        while connection is None and time.monotonic() < deadline:
            time.sleep(random.uniform(0.5, 1) * interval)  # noqa: S311 - spreads load
            interval = min(1.2 * interval, POLL_INTERVAL)
            connection = try_to_connect()
    if connection is None:
        raise DestinationError(
            f"Another run or program has {file.name} open",
            evidence=(f"waited {lock_timeout:g} s for its lock",),
        )
    return connection


def _try_to_connect(file: Path, lock: IO[bytes]) -> duckdb.DuckDBPyConnection | None:
    """Return a connection, or None while another process has the file locked. Create the file if there is none."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return None
    try:
        if not file.exists():
            _create(file)
        return duckdb.connect(file, config=OPTIONS)
    except duckdb.Error as error:
        if any(text in str(error) for text in IN_USE_ERRORS):
            return None
        raise


def _restrict_file_access(connection: duckdb.DuckDBPyConnection, staging: Path) -> None:
    """Restrict the file access of SQL statements to the staging folder.

    Skipped if a connection of this process has already done it: the settings apply to the whole database, and
    DuckDB does not allow loosening them.
    """
    row = connection.execute("SELECT current_setting('enable_external_access')").fetchone()
    if row and row[0]:
        connection.execute("SET allowed_directories = [$folder]", {"folder": str(staging)})
        connection.execute("SET enable_external_access = false")
